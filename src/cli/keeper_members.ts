/** `tydfs keeper list` and `tydfs keeper remove`: which keepers belong to the cluster. */
import type { CommandUnknownOpts } from "@commander-js/extra-typings";
import { formatKeepers, formatRemoved } from "./format/membership.ts";
import type { Session } from "./session.ts";
import { addGlobals, addSettings } from "./settings_flags.ts";

const REMOVE_EXAMPLES = `
Forgets a keeper that was drained, or that is gone for good. It is refused
(status 4) while chunks need its copies: fewer than their goal lie on other
keepers that are alive. With --force they are left with fewer copies, or with
none: tydfs status --if-lost tells before what that would cost. A process that
still runs ends with status 0; its files stay. Started again it joins as before,
and what it has counts again.

Examples:
  tydfs keeper remove barn-2          drained before: tydfs drain barn-2 --follow
  tydfs keeper remove --force 3f2a    it will not come back
`;

/** Declares the subcommands of `keeper`. */
export function addKeeperMembers(keeper: CommandUnknownOpts, session: Session): void {
  for (const command of [listCommand(keeper, session), removeCommand(keeper, session)]) {
    addSettings(command, "client", false);
    addGlobals(command, false);
  }
}

function listCommand(keeper: CommandUnknownOpts, session: Session): CommandUnknownOpts {
  return keeper.command("list")
    .description("List the keepers of the cluster, with their ids")
    .addHelpText("after", "\nExamples:\n  tydfs keeper list\n  tydfs keeper list --json\n")
    .action(async (_flags, self) => {
      await session.withClient(self, async ({ client, signal, output, json }) => {
        const status = await client.status({ signal });
        if (json) return output.line(JSON.stringify(status.keepers));
        for (const line of formatKeepers(status)) output.line(line);
      });
    });
}

function removeCommand(keeper: CommandUnknownOpts, session: Session): CommandUnknownOpts {
  return keeper.command("remove")
    .description("Have the cluster forget a keeper")
    .argument("<KEEPER>", "Its name, its id, or the beginning of its id")
    .option("--force", "Even if chunks are left with too few copies, or none")
    .addHelpText("after", REMOVE_EXAMPLES)
    .action(async (word, flags, self) => {
      await session.withClient(self, async ({ client, signal, output, json, quiet }) => {
        const force = flags.force === true;
        const removed = await client.operator.removeKeeper(word, force, { signal });
        if (json) output.line(JSON.stringify(removed));
        else if (!quiet) output.line(formatRemoved(removed));
      });
    });
}
