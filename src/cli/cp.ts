/** `tydfs cp`: copies within the cluster; no byte is moved. */
import type { Command } from "@commander-js/extra-typings";
import { formatSize } from "../base/bytes.ts";
import type { CopyCounts } from "../client/trees/copy.ts";
import type { Entry } from "../client/client.ts";
import { TydfsError } from "../wire/errors.ts";
import { quotePath } from "../wire/names.ts";
import { findDestination, splitTarget, Targets } from "./names/destination.ts";
import { exitStatusOf, reportFailure } from "./exit.ts";
import { formatCount } from "./format/format.ts";
import { findMatches, jsonOf } from "./names/matches.ts";
import type { ClientSession, Session } from "./session.ts";
import { addGlobals, addSettings } from "./settings_flags.ts";

const EXAMPLES = `
A copy shares the bytes of what it was copied from, so it takes no time and no
room, however large it is; from then on both go their own ways. A directory as
TO takes each FROM under its own name; several go into TO in any case. FROM may
be a pattern (quote it).

Examples:
  tydfs cp /videos/a.mp4 /videos/b.mp4
  tydfs cp '/videos/*.mp4' /archive/
  tydfs cp -r /videos /videos-2024
  tydfs cp -r --dry-run --no-replace /photos /videos /backup/
`;

interface CopyFlags {
  recursive: boolean;
  replace: boolean;
  dryRun: boolean;
}

/** Declares the command. */
export function addCp(program: Command, session: Session): void {
  const command = program.command("cp")
    .description("Copy files or directories within the cluster")
    .usage("[options] FROM... TO")
    .argument("<FROM...>", "What is copied, and last where to")
    .option("-r, --recursive", "Directories, with all that is below")
    .option("--no-replace", "Fail where there is such a file already")
    .option("-n, --dry-run", "Only say what would be copied")
    .addHelpText("after", EXAMPLES)
    .action(async (words, flags, self) => {
      const { froms, to } = splitTarget(words, "copy");
      await session.withClient(self, async (connected) => {
        const { client, signal } = connected;
        const recursive = flags.recursive === true;
        const options = { client, signal, topmost: recursive };
        const { entries, several } = await findMatches(session, froms, options);
        if (entries.length === 0) return;
        const targets = new Targets(await findDestination(client, to, { several, signal }));
        const all = { recursive, replace: flags.replace, dryRun: flags.dryRun === true };
        const values: unknown[] = [];
        await session.forEach(entries, signal, async (from) => {
          const path = targets.pathOf(from.path);
          const counts = await copyOne(session, connected, { from, path, flags: all });
          const { sizeBytes: size, ...others } = counts;
          values.push({ from: from.path, path, ...others, size });
          tellCopied(connected, from, path, { counts, dryRun: all.dryRun });
        });
        if (connected.json) connected.output.line(jsonOf(values, { several }));
      });
    });
  addSettings(command, "client", false);
  addGlobals(command, false);
}

async function copyOne(
  session: Session,
  { client, signal, output }: ClientSession,
  { from, path, flags }: { from: Entry; path: string; flags: CopyFlags },
): Promise<CopyCounts> {
  const { replace, dryRun } = flags;
  if (from.kind === "file") {
    if (!dryRun) await client.copy(from.path, path, { replace, signal, exact: true });
    return { files: 1, directories: 0, sizeBytes: from.size };
  }
  if (!flags.recursive) {
    const state = "it is a directory; use --recursive";
    throw new TydfsError("is-directory", `Cannot copy ${quotePath(from.path)}: ${state}`);
  }
  const { copyTree } = await import("../client/trees/copy.ts");
  const onFailure = (error: unknown) => {
    reportFailure(error, output, session.debug);
    session.exitStatus ||= exitStatusOf(error);
  };
  return await copyTree(client, from, path, { signal, replace, dryRun, onFailure });
}

function tellCopied(
  { output, json, quiet }: ClientSession,
  from: Entry,
  path: string,
  { counts, dryRun }: { counts: CopyCounts; dryRun: boolean },
): void {
  if (json || (!dryRun && (quiet || from.kind === "file"))) return;
  const done = `${dryRun ? "would copy" : "copied"} ${quotePath(from.path)} to ${quotePath(path)}`;
  const facts = from.kind === "file" ? [] : [
    formatCount(counts.files, "file"),
    formatCount(counts.directories, "directory", "directories"),
  ];
  output.line([done, ...facts, formatSize(counts.sizeBytes)].join(" · "));
}
