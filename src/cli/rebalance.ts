/** `tydfs rebalance`: has chunks moved from full keepers to empty ones, until all are even. */
import type { Command } from "@commander-js/extra-typings";
import { ConfigError } from "../config/load.ts";
import { formatBalance } from "./format/membership.ts";
import type { ClientSession, Session } from "./session.ts";
import { addGlobals, addSettings } from "./settings_flags.ts";
import { waitShowing } from "./wait_line.ts";

const EXAMPLES = `
Moves chunks until no keeper is more than 2 percent of its disk above or below
the mean. A keeper is as full as the space which its chunks take of what chunks
may take there: what else lies on the disk does not count. It goes on by itself,
also after a restart of the master, at most --balance-bandwidth of the master's
settings to each keeper, and only while no repair is due. Beyond the master's
--balance-threshold it begins without this command; --stop does not end that.

Examples:
  tydfs rebalance --dry-run       what would be moved
  tydfs rebalance --follow
  tydfs rebalance --stop
`;

/** Declares the command. */
export function addRebalance(program: Command, session: Session): void {
  const command = program.command("rebalance")
    .description("Move chunks from full keepers to empty ones")
    .option("-n, --dry-run", "Only say what would be moved")
    .option("--stop", "End it")
    .option("-f, --follow", "Wait until it is done, and tell how far it is")
    .addHelpText("after", EXAMPLES)
    .action(async ({ dryRun = false, stop = false, follow = false }, self) => {
      if ([dryRun, stop, follow].filter(Boolean).length > 1) {
        throw new ConfigError("Cannot use more than one of --dry-run, --stop and --follow");
      }
      await session.withClient(self, async (connected) => {
        const { client, signal, output, json, quiet } = connected;
        const action = dryRun ? "plan" : stop ? "stop" : "start";
        const first = await client.operator.rebalance(action, { signal });
        const reply = follow ? await untilEven(connected) : first;
        if (json) return output.line(JSON.stringify(reply));
        if (quiet) return;
        for (const line of formatBalance(reply)) output.line(line);
        if (!dryRun) output.line(reply.running ? "balancing" : "not balancing");
      });
    });
  addSettings(command, "client", false);
  addGlobals(command, false);
}

async function untilEven(connected: ClientSession) {
  const { client, signal } = connected;
  return await waitShowing(connected, async () => {
    const value = await client.operator.rebalance("plan", { signal });
    const line = `balancing · ${formatBalance(value).at(-1)}`;
    return { value, line, isOver: !value.running };
  }, "Chunks are moved all the same; to end that: tydfs rebalance --stop");
}
