/** `tydfs mv`: moves or renames; no byte is copied. */
import type { Command } from "@commander-js/extra-typings";
import type { Session } from "./session.ts";
import { addGlobals, addSettings } from "./settings_flags.ts";

const EXAMPLES = `
A directory as TO takes FROM under its own name. No byte is moved, however
large the file.

Examples:
  tydfs mv /videos/a.mp4 /videos/b.mp4
  tydfs mv /videos/a.mp4 /archive/
  tydfs mv --no-replace /new /current
`;

/** Declares the command. */
export function addMv(program: Command, session: Session): void {
  const command = program.command("mv")
    .description("Move or rename a file or directory")
    .argument("<FROM>", "The path as it is")
    .argument("<TO>", "The path as it shall be, or a directory")
    .option("--no-replace", "Fail when there is such a file already")
    .addHelpText("after", EXAMPLES)
    .action(async (from, to, flags, self) => {
      await session.withClient(self, async ({ client, signal, output, json }) => {
        const path = await client.rename(from, to, { replace: flags.replace, signal });
        if (json) output.line(JSON.stringify({ from, path }));
      });
    });
  addSettings(command, "client", false);
  addGlobals(command, false);
}
