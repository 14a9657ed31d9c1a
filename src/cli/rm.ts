/** `tydfs rm`: removes files and directories. */
import type { Command } from "@commander-js/extra-typings";
import type { TydfsClient } from "../client/client.ts";
import { TydfsError } from "../wire/errors.ts";
import { quotePath } from "../wire/names.ts";
import { formatCount } from "./format/format.ts";
import { findMatches, jsonOf } from "./names/matches.ts";
import type { Session } from "./session.ts";
import { addGlobals, addSettings } from "./settings_flags.ts";

const EXAMPLES = `
What is removed is kept in the trash for a while (the master's --trash-ttl),
then its space comes back. Until then tydfs undelete undoes it; tydfs trash ls
shows what is there. PATH may be a pattern (quote it).

Examples:
  tydfs rm /videos/old.mp4
  tydfs rm '/videos/*.tmp'
  tydfs rm -r --dry-run '/videos/20{19,20}'    what would go
  tydfs rm -r /videos/2019 /videos/2020
`;

interface Gone {
  files: number;
  directories: number;
}

/** Declares the command. */
export function addRm(program: Command, session: Session): void {
  const command = program.command("rm")
    .description("Remove files, or directories with all that is below")
    .argument("<PATH...>", "Paths in the cluster, or patterns")
    .option("-r, --recursive", "Directories, with all that is below")
    .option("-f, --force", "What is not there is no failure")
    .option("-n, --dry-run", "Only say what would be removed")
    .addHelpText("after", EXAMPLES)
    .action(async (words, flags, self) => {
      await session.withClient(self, async ({ client, signal, output, json, quiet }) => {
        const { recursive = false, force = false, dryRun = false } = flags;
        const options = { client, signal, topmost: recursive, missingOk: force };
        const { entries, several } = await findMatches(session, words, options);
        const values: unknown[] = [];
        await session.forEach(entries, signal, async ({ path, kind }) => {
          const isTree = recursive && kind === "directory";
          const gone = dryRun
            ? await countTree(client, path, { isTree, isFile: kind === "file", signal })
            : await client.remove(path, { recursive, signal });
          values.push({ path, ...gone });
          if (json || (!dryRun && (quiet || !recursive))) return;
          const counts = `${formatCount(gone.files, "file")}, ${
            formatCount(gone.directories, "directory", "directories")
          }`;
          output.line(`${dryRun ? "would remove" : "removed"} ${quotePath(path)} · ${counts}`);
        });
        const hint = recursive && !dryRun && !quiet && !json && output.messagesOnTerminal;
        if (hint && values.length > 0) {
          output.message("tydfs: tydfs undelete undoes it, as long as the trash keeps it");
        }
        if (json) output.line(jsonOf(values, { several: several || values.length === 0 }));
      });
    });
  addSettings(command, "client", false);
  addGlobals(command, false);
}

/** What removing a path would take away; fails where that would. */
async function countTree(
  client: TydfsClient,
  path: string,
  { isTree, isFile, signal }: { isTree: boolean; isFile: boolean; signal: AbortSignal },
): Promise<Gone> {
  const cannot = `Cannot remove ${quotePath(path)}`;
  if (path === "/") throw new TydfsError("invalid", `${cannot}: it is the root`);
  if (isFile) return { files: 1, directories: 0 };
  const gone = { files: 0, directories: 1 };
  for await (const { kind } of client.list(path, { recursive: isTree, signal })) {
    if (!isTree) {
      throw new TydfsError("not-empty", `${cannot}: the directory has entries; use --recursive`);
    }
    if (kind === "file") gone.files++;
    else gone.directories++;
  }
  return gone;
}
