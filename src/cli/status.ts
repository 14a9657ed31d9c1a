/** `tydfs status`: keepers, ports, files, repairs; once, or again and again. */
import type { Command } from "@commander-js/extra-typings";
import { formatDuration } from "../base/bytes.ts";
import { systemClock } from "../base/clock.ts";
import type { ClusterStatus } from "../client/client.ts";
import { ConfigError } from "../config/load.ts";
import { formatStatus } from "./format/status.ts";
import type { Session } from "./session.ts";
import { commonFlags } from "./session.ts";
import { addGlobals, addSettings } from "./settings_flags.ts";

const WATCH_MS = 1_000;

const EXAMPLES = `
With --watch and --json each look is one line of JSON. On a terminal --watch
takes the whole screen until q or Ctrl-C; tydfs top shows more there.

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
    .option("--once", "Look once, as without --watch")
    .addHelpText("after", EXAMPLES)
    .action(async (flags, self) => {
      const watch = flags.watch === true;
      if (watch && flags.once === true) {
        throw new ConfigError("Cannot look both once and again and again: --watch or --once");
      }
      const { isOnTerminal } = await import("./screen/terminal.ts");
      const live = watch && !commonFlags(self).json && isOnTerminal();
      await session.withClient(self, async (connected) => {
        const { client, signal, output, json } = connected;
        if (live) {
          const { watchLive } = await import("./screen/top_run.ts");
          return await watchLive(connected, new StatusView());
        }
        for (;;) {
          const status = await client.status({ signal });
          if (json) output.line(JSON.stringify(status));
          else formatStatus(status, output.paint).forEach((line) => output.line(line));
          if (!watch) return;
          await systemClock.sleep(WATCH_MS, signal);
        }
      }, { tellWaits: !live });
    });
  addSettings(command, "client", false);
  addGlobals(command, false);
}

/** The lines of `status` as a screen that is drawn anew; a `LiveView`. */
class StatusView {
  readonly intervalMs = WATCH_MS;
  #lines: string[] = [];

  take(status: ClusterStatus): void {
    this.#lines = formatStatus(status);
  }

  draw({ rows }: { rows: number }, silentMs: number | undefined): string[] {
    const warning = silentMs === undefined
      ? []
      : [`No answer from the master for ${formatDuration(silentMs)}: this is the last picture`];
    return [...this.#lines.slice(0, rows - warning.length), ...warning];
  }

  press(key: string): boolean {
    return key !== "quit";
  }
}
