/** `tydfs master`: runs a master until it is stopped. */
import type { Command } from "@commander-js/extra-typings";
import { roleLog, runRole } from "./role_log.ts";
import type { Session } from "./session.ts";
import { addConfigFlag, addSettings, settingsOf } from "./settings_flags.ts";

const DATA_DEFAULT = "./tydfs-master";

const EXAMPLES = `
Settings come from flags, then the environment, then the configuration file.
The data directory is ${DATA_DEFAULT} unless given. The first start makes the
cluster's key there and prints the lines with which keepers and clients join.

Examples:
  tydfs master
  tydfs master --data /srv/tydfs --port 4222 --trackers 3
  tydfs master --host 0.0.0.0 --advertise master.example.org --chunk-size 64MiB
  tydfs master --nats nats://10.0.0.5:4222 --cluster lab
`;

/** Declares the command. */
export function addMaster(program: Command, session: Session): void {
  const command = program.command("master")
    .description("Run a master: it keeps the names and watches over the keepers")
    .addHelpText("after", EXAMPLES)
    .action(async (_options, self) => {
      const settings = settingsOf(self, session.env);
      const log = roleLog("master", settings, session.output);
      const { runMaster } = await import("../master/master.ts");
      const data = settings.data === "" ? DATA_DEFAULT : settings.data;
      await runRole(
        session,
        log,
        (parts) => runMaster({ ...parts, settings: { ...settings, data } }),
      );
    });
  addSettings(command, "master", false);
  addConfigFlag(command);
}
