/** `tydfs mv`: moves or renames; no byte is copied. */
import type { Command } from "@commander-js/extra-typings";
import { quotePath } from "../wire/names.ts";
import { findDestination, splitTarget, Targets } from "./names/destination.ts";
import { findMatches, jsonOf } from "./names/matches.ts";
import type { Session } from "./session.ts";
import { addGlobals, addSettings } from "./settings_flags.ts";

const EXAMPLES = `
A directory as TO takes each FROM under its own name; several go into TO in any
case. FROM may be a pattern (quote it). No byte is moved, however large the
file.

Examples:
  tydfs mv /videos/a.mp4 /videos/b.mp4
  tydfs mv '/videos/*.mp4' /photos/2024 /archive/
  tydfs mv --no-replace /new /current
  tydfs mv --dry-run '/inbox/**/*.{jpg,png}' /photos/
`;

/** Declares the command. */
export function addMv(program: Command, session: Session): void {
  const command = program.command("mv")
    .description("Move or rename files and directories")
    .usage("[options] FROM... TO")
    .argument("<FROM...>", "What is moved, and last where to")
    .option("--no-replace", "Fail when there is such a file already")
    .option("-n, --dry-run", "Only say what would be moved")
    .addHelpText("after", EXAMPLES)
    .action(async (words, flags, self) => {
      const { froms, to } = splitTarget(words, "move");
      const dryRun = flags.dryRun === true;
      await session.withClient(self, async ({ client, signal, output, json }) => {
        const options = { client, signal, topmost: true };
        const { entries, several } = await findMatches(session, froms, options);
        if (entries.length === 0) return;
        const targets = new Targets(await findDestination(client, to, { several, signal }));
        const values: unknown[] = [];
        await session.forEach(entries, signal, async ({ path: from }) => {
          const path = targets.pathOf(from);
          if (!dryRun) {
            await client.rename(from, path, { replace: flags.replace, signal, exact: true });
          } else if (!json) {
            output.line(`would move ${quotePath(from)} to ${quotePath(path)}`);
          }
          values.push({ from, path });
        });
        if (json) output.line(jsonOf(values, { several }));
      });
    });
  addSettings(command, "client", false);
  addGlobals(command, false);
}
