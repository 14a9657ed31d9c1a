/** `tydfs drain`: moves everything off a keeper, and says when it is safe to remove. */
import type { Command } from "@commander-js/extra-typings";
import type { DrainReply } from "../client/operator.ts";
import { ConfigError } from "../config/load.ts";
import { exitStatusOf } from "./exit.ts";
import { formatDrain, isStuck } from "./format/membership.ts";
import { TydfsError } from "../wire/errors.ts";
import type { ClientSession, Session } from "./session.ts";
import { addGlobals, addSettings } from "./settings_flags.ts";
import { printable } from "./output.ts";
import { waitShowing } from "./wait_line.ts";

const EXAMPLES = `
The keeper takes no new chunks from now on, and serves those that it has; copies
of them are made elsewhere (at most --balance-bandwidth of the master's settings
to each keeper), and then its own are removed. It goes on by itself, also after
a restart of the master; the same command again tells how far it is. With
--follow it tells until all is done, and the status is 6 when the other keepers
can't take everything. Then tydfs keeper remove forgets it. KEEPER is a name, an
id or the beginning of one (tydfs keeper list).

Examples:
  tydfs drain barn-2
  tydfs drain barn-2 --follow
  tydfs drain barn-2 --stop
`;

/** A keeper that is stuck for so many looks is told to be: others may just have been away. */
const STUCK_LOOKS = 5;

/** Declares the command. */
export function addDrain(program: Command, session: Session): void {
  const command = program.command("drain")
    .description("Move everything off a keeper, and say when it is safe to remove")
    .argument("<KEEPER>", "Its name, its id, or the beginning of its id")
    .option("--stop", "Leave it as it is, and have it take chunks again")
    .option("-f, --follow", "Wait until it is done, and tell how far it is")
    .addHelpText("after", EXAMPLES)
    .action(async (keeper, { stop = false, follow = false }, self) => {
      if (stop && follow) throw new ConfigError("Cannot use --stop and --follow together");
      await session.withClient(self, async (connected) => {
        const { client, signal, output, json, quiet } = connected;
        const first = await client.operator.drain(keeper, !stop, { signal });
        const drain = follow ? await untilDrained(connected, first) : first;
        if (drain.heldBack !== undefined && !quiet) {
          output.message(`tydfs: Nothing is moved for now: ${drain.heldBack}`);
        }
        if (follow && isStuck(drain)) {
          session.exitStatus = exitStatusOf(new TydfsError("no-keepers", "It is stuck"));
        }
        if (json) return output.line(JSON.stringify(drain));
        if (quiet) return;
        output.line(
          stop ? `${drain.name} is not drained any more: it takes chunks` : formatDrain(drain),
        );
      });
    });
  addSettings(command, "client", false);
  addGlobals(command, false);
}

async function untilDrained(connected: ClientSession, first: DrainReply): Promise<DrainReply> {
  const { client, signal } = connected;
  let stuckLooks = 0;
  return await waitShowing(connected, async () => {
    const value = await client.operator.drain(first.keeper, true, { signal });
    stuckLooks = isStuck(value) ? stuckLooks + 1 : 0;
    const isOver = value.safeToRemove || stuckLooks >= STUCK_LOOKS;
    return { value, line: formatDrain(value), isOver };
  }, `${printable(first.name)} is drained all the same; to end that: tydfs drain --stop`);
}
