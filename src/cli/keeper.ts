/** `tydfs keeper`: runs a keeper until it is stopped; its subcommands tell of those there are. */
import type { Command } from "@commander-js/extra-typings";
import { ConfigError } from "../config/load.ts";
import { addKeeperMembers } from "./keeper_members.ts";
import { roleLog, runRole } from "./role_log.ts";
import type { Session } from "./session.ts";
import { addConfigFlag, addSettings, settingsOf } from "./settings_flags.ts";

const DATA_DEFAULT = "./tydfs-keeper";

const EXAMPLES = `
Settings come from flags, then the environment, then the configuration file.
The data directory is ${DATA_DEFAULT} unless given; a keeper keeps its identity
there, so each one needs its own.

Examples:
  tydfs keeper --url tydfs://keeper:SECRET@master.example.org:4222
  tydfs keeper --data /disk2/tydfs --name barn-2 --port 7010 --label zone=barn
  tydfs keeper list
  tydfs keeper --host 0.0.0.0 --advertise 10.0.0.7 --streamers 3 --reserve 20GiB
`;

/** Declares the command. */
export function addKeeper(program: Command, session: Session): void {
  const command = program.command("keeper")
    .description("Run a keeper: it keeps copies of chunks on its disk and streams them")
    .addHelpText("after", EXAMPLES)
    .action(async (_options, self) => {
      const settings = settingsOf(self, session.env);
      if (settings.url === "") {
        throw new ConfigError(
          "Cannot join a cluster: no URL is given; set TYDFS_URL or give --url, " +
            "as the master's join line for keepers says",
        );
      }
      const log = roleLog("keeper", settings, session.output);
      const { runKeeper } = await import("../keeper/keeper.ts");
      const { buildInfo: { version } } = await import("../embedded.ts");
      const data = settings.data === "" ? DATA_DEFAULT : settings.data;
      await runRole(
        session,
        log,
        (parts) => runKeeper({ ...parts, settings: { ...settings, data }, version }),
      );
    });
  addKeeperMembers(command, session);
  addSettings(command, "keeper", false);
  addConfigFlag(command);
}
