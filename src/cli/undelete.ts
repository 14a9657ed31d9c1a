/** `tydfs undelete`: brings back from the trash what was removed or replaced. */
import type { Command } from "@commander-js/extra-typings";
import { formatSize } from "../base/bytes.ts";
import { hasPattern } from "../client/pattern.ts";
import { ConfigError } from "../config/load.ts";
import { quotePath } from "../wire/names.ts";
import { formatCount } from "./format/format.ts";
import { findDestination, Targets } from "./names/destination.ts";
import { jsonOf } from "./names/matches.ts";
import { findTrashed } from "./names/trashed.ts";
import type { Session } from "./session.ts";
import { addGlobals, addSettings } from "./settings_flags.ts";

const EXAMPLES = `
A file comes back with its version, mode, time and owner, and no byte moves. For
a directory all files come back that its latest removal has taken away, into
what is there now; called again, those of the removal before. Directories that
were empty are not kept in the trash, and do not come back.

The latest version is taken that was removed or replaced; --version takes an
older one, by the number that tydfs trash ls -l shows. Where a file is now,
--replace puts it into the trash in turn. PATH may be a pattern (quote it): then
only what was removed comes back. The trash keeps things for the master's
--trash-ttl.

Examples:
  tydfs undelete /videos/old.mp4
  tydfs undelete /videos/2019                        a whole directory
  tydfs undelete /videos/a.mp4 --version 412 --replace
  tydfs undelete '/videos/*.tmp' --to /rescued/
`;

interface UndeleteFlags {
  version?: string;
  to?: string;
  replace?: true;
}

/** Declares the command. */
export function addUndelete(program: Command, session: Session): void {
  const command = program.command("undelete")
    .description("Bring back what was removed or replaced")
    .argument("<PATH...>", "Paths that were in the cluster, or patterns")
    .option("--version <number>", "This version, and not the latest")
    .option("--to <path>", "Another place, or a directory for it")
    .option("--replace", "Also where a file is now: that one goes to the trash")
    .addHelpText("after", EXAMPLES)
    .action(async (words, flags, self) => {
      const version = versionOf(flags, words);
      const replace = flags.replace === true;
      await session.withClient(self, async ({ client, signal, output, json, quiet }) => {
        const { paths, several } = await findTrashed(session, words, { client, signal });
        const targets = flags.to === undefined
          ? undefined
          : new Targets(await findDestination(client, flags.to, { several, signal }));
        const values: unknown[] = [];
        await session.forEach(paths, signal, async (path) => {
          const to = targets?.pathOf(path);
          const wish = {
            replace,
            ...(version === undefined ? {} : { version }),
            ...(to === undefined ? {} : { to }),
          };
          const done = await client.operator.undelete(path, wish, { signal });
          values.push({ path, to: done.path, files: done.files, bytes: done.bytes });
          if (json || quiet) return;
          const place = to === undefined ? "" : ` as ${quotePath(done.path)}`;
          const facts = `${formatCount(done.files, "file")}, ${formatSize(done.bytes)}`;
          output.line(`restored ${quotePath(path)}${place} · ${facts}`);
        });
        if (json) output.line(jsonOf(values, { several: several || values.length === 0 }));
      });
    });
  addSettings(command, "client", false);
  addGlobals(command, false);
}

/** Throws `ConfigError` where no version, or not one path, is meant. */
function versionOf({ version }: UndeleteFlags, words: readonly string[]): number | undefined {
  if (version === undefined) return undefined;
  if (!/^\d{1,15}$/.test(version)) {
    throw new ConfigError(`Cannot use "${version}" for --version: no whole number`);
  }
  if (words.length > 1) throw new ConfigError("Cannot use --version with several paths: give one");
  if (words.some(hasPattern)) {
    throw new ConfigError("Cannot use --version with a pattern: name the file");
  }
  return Number(version);
}
