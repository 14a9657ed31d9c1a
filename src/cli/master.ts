/** `tydfs master`: runs a master until it is stopped. */
import type { Command } from "@commander-js/extra-typings";
import { Option } from "@commander-js/extra-typings";
import { parseDuration } from "../base/bytes.ts";
import { ConfigError } from "../config/config_error.ts";
import type { MasterOptions } from "../master/master.ts";
import { roleLog, runRole } from "./role_log.ts";
import type { Session } from "./session.ts";
import { addConfigFlag, addSettings, settingsOf } from "./settings_flags.ts";

const DATA_DEFAULT = "./tydfs-master";
/** Longer than a keeper takes to come back to a master that is there again. */
const WAIT_DEFAULT = "15s";

const EXAMPLES = `
Settings come from flags, then the environment, then the configuration file.
The data directory is ${DATA_DEFAULT} unless given. The first start makes the
cluster's key there and prints the lines with which keepers and clients join.

Examples:
  tydfs master
  tydfs master --data /srv/tydfs --port 4222 --trackers 3
  tydfs master --host 0.0.0.0 --advertise master.example.org --chunk-size 64MiB
  tydfs master --nats nats://10.0.0.5:4222 --cluster lab

When its disk is lost, the catalog and the cluster's key are rebuilt from the
keepers: they keep snapshots and a journal. Start on the host and port that
they know, with the URL that they join with and an empty data directory:
  TYDFS_URL=tydfs://keeper:SECRET@HOST:PORT tydfs master --recover --data DIR
`;

/** Declares the command. */
export function addMaster(program: Command, session: Session): void {
  const command = program.command("master")
    .description("Run a master: it keeps the names and watches over the keepers")
    .option("--recover", "Rebuild catalog and key from the keepers first; needs their URL")
    .option("--dry-run", "With --recover: tell what can be rebuilt, and end")
    .option(
      "--recover-wait <duration>",
      `With --recover: time to wait for further keepers (default ${WAIT_DEFAULT})`,
    )
    .addOption(new Option("--url <text>", "The keepers' URL, for --recover (TYDFS_URL)"))
    .addHelpText("after", EXAMPLES)
    .action(async (options, self) => {
      const settings = settingsOf(self, session.env);
      const recover = orderOf(options, settings.url);
      const log = roleLog("master", settings, session.output);
      const { runMaster } = await import("../master/master.ts");
      const data = settings.data === "" ? DATA_DEFAULT : settings.data;
      await runRole(
        session,
        log,
        (parts) => runMaster({ ...parts, settings: { ...settings, data }, ...recover }),
      );
    });
  addSettings(command, "master", false);
  addConfigFlag(command);
}

interface RecoverFlags {
  recover?: true | undefined;
  dryRun?: true | undefined;
  recoverWait?: string | undefined;
}

/** The order to recover, if there is one. Throws `ConfigError` on what does not go together. */
function orderOf(
  { recover, dryRun, recoverWait }: RecoverFlags,
  url: string,
): Pick<MasterOptions, "recover"> {
  if (recover === undefined) {
    if (dryRun !== undefined) {
      throw new ConfigError("Cannot try out a start: --dry-run goes with --recover only");
    }
    if (recoverWait === undefined) return {};
    throw new ConfigError("Cannot wait for keepers: --recover-wait goes with --recover only");
  }
  if (url === "") {
    throw new ConfigError(
      "Cannot recover: the keepers' URL is missing; give --url or set TYDFS_URL, as it stands " +
        "on each keeper's machine",
    );
  }
  const waitMs = parseDuration(recoverWait ?? WAIT_DEFAULT);
  if (waitMs === undefined) {
    throw new ConfigError(`Cannot use --recover-wait "${recoverWait}": give a time as 15s or 2m`);
  }
  return { recover: { url, waitMs, dryRun: dryRun === true } };
}
