/** `tydfs top`: the cluster on a whole screen, live; once and plainly for scripts. */
import type { Command } from "@commander-js/extra-typings";
import { plain } from "./color.ts";
import type { Session } from "./session.ts";
import { commonFlags } from "./session.ts";
import { addGlobals, addSettings } from "./settings_flags.ts";

const EXAMPLES = `
Keys: q quit · p pause · + - slower, faster · s sort · ↑ ↓ scroll

IN/s and OUT/s are bytes per second that a keeper takes and gives, those from
and to other keepers too. USED is how full its disk is. Without a terminal, or
with --once, one picture is printed.

Examples:
  tydfs top
  tydfs top --interval 5s --sort out
  tydfs top --once
  tydfs top --json | jq '.keepers[] | {name, state, freeBytes}'
`;

/** Declares the command. */
export function addTop(program: Command, session: Session): void {
  const command = program.command("top")
    .description("Watch keepers, throughput and repairs on a whole screen")
    .option("--interval <duration>", "Time between two looks", "1s")
    .option("--sort <key>", "By name, free, in, out, chunks or zone", "name")
    .option("--once", "Print one picture, plainly")
    .addHelpText("after", EXAMPLES)
    .action(async (flags, self) => {
      const { isOnTerminal } = await import("./screen/terminal.ts");
      const { parseInterval, parseSort, printOnce, TopView, watchLive } = await import(
        "./screen/top_run.ts"
      );
      const intervalMs = parseInterval(flags.interval);
      const sort = parseSort(flags.sort);
      const live = flags.once !== true && !commonFlags(self).json && isOnTerminal();
      await session.withClient(self, async (connected) => {
        const view = new TopView({
          intervalMs,
          sort,
          paint: live ? connected.output.paint : plain,
        });
        if (live) return await watchLive(connected, view);
        await printOnce(connected, view, Number(session.env["COLUMNS"]));
      }, { tellWaits: !live });
    });
  addSettings(command, "client", false);
  addGlobals(command, false);
}
