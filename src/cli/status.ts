/** `tydfs status`: keepers, ports, files, repairs; once, or again and again. */
import type { Command } from "@commander-js/extra-typings";
import { systemClock } from "../base/clock.ts";
import { formatStatus } from "./format_status.ts";
import type { Session } from "./session.ts";
import { addGlobals, addSettings } from "./settings_flags.ts";

const WATCH_MS = 1_000;
const CLEAR_SCREEN = "\x1b[H\x1b[2J";

const EXAMPLES = `
With --watch and --json each look is one line of JSON.

Examples:
  tydfs status
  tydfs status --watch
  tydfs status --json | jq '.keepers[] | {name, state, freeBytes}'
`;

/** Declares the command. */
export function addStatus(program: Command, session: Session): void {
  const command = program.command("status")
    .description("Show keepers, ports, files and repairs")
    .option("-w, --watch", "Look again each second, until Ctrl-C")
    .addHelpText("after", EXAMPLES)
    .action(async (flags, self) => {
      await session.withClient(self, async ({ client, signal, output, json }) => {
        for (;;) {
          const status = await client.status({ signal });
          if (flags.watch === true && !json && output.messagesOnTerminal) output.draw(CLEAR_SCREEN);
          if (json) output.line(JSON.stringify(status));
          else formatStatus(status, output.paint).forEach((line) => output.line(line));
          if (flags.watch !== true) return;
          await systemClock.sleep(WATCH_MS, signal);
        }
      });
    });
  addSettings(command, "client", false);
  addGlobals(command, false);
}
