/** `tydfs watch`: keeps a remote directory in step with a local one. */
import { homedir } from "node:os";
import { join } from "node:path";
import type { Command } from "@commander-js/extra-typings";
import { parseDuration } from "../base/bytes.ts";
import type { WatchEvent } from "../client/watch/event.ts";
import type { WatchOptions } from "../client/watch/start.ts";
import { ConfigError, parseOption } from "../config/load.ts";
import { quotePath } from "../wire/names.ts";
import { parseClusterUrl } from "../wire/url.ts";
import { collecting } from "./transfer/collect.ts";
import { exitStatusOf } from "./exit.ts";
import { formatCount } from "./format/format.ts";
import { formatWatchEvent, watchJson } from "./format/watch.ts";
import { printable } from "./output.ts";
import type { ClientSession, Session } from "./session.ts";
import { addGlobals, addSettings } from "./settings_flags.ts";
import { addFilterFlags, filterOf, treeFlags } from "./transfer/flags.ts";

const SETTLE_DEFAULT = "750ms";
const RESCAN_DEFAULT = "10m";
const POLL_DEFAULT = "5s";

const EXAMPLES = `
What is new or changed in DIR is sent when it has been quiet for the settle
time, so that half a file never is. A rename is followed without sending the
file again. What is removed in DIR stays in the cluster, unless --delete is
given; only what this watch has sent is ever removed. A file .tydfsignore in any
directory says what is left alone, as a .gitignore does.

What was sent is kept in a database below ~/.local/state/tydfs, so that a
restart sends only what changed meanwhile. At its start a watch also compares
with the cluster: what is there already is not sent again, what is missing is.
A directory that vanishes, or a disk that isn't mounted, never leads to
removals.

Examples:
  tydfs watch ~/Videos /videos
  tydfs watch --delete --exclude '*.part' /srv/inbox /inbox
  tydfs watch --once ~/Videos /videos          send what changed, then end
  tydfs watch --poll 10s /mnt/nas /nas         for changes that others make
`;

interface WatchFlags {
  delete?: true;
  once?: true;
  poll?: string | true;
  settle: string;
  rescan: string;
  state?: string;
  replicas?: string;
  minCopies?: string;
}

/** Declares the command. */
export function addWatch(program: Command, session: Session): void {
  const command = program.command("watch")
    .description("Keep a remote directory in step with a local one")
    .argument("<DIR>", "The local directory")
    .argument("<REMOTE>", "The remote directory; made when something is put there")
    .option("--delete", "Remove in the cluster, too, what is removed in DIR")
    .option("--once", "Send what has changed, and end")
    .option("--poll [interval]", `Look at all files each ${POLL_DEFAULT}, for network mounts`)
    .option("--settle <duration>", "Time without a change before a file is sent", SETTLE_DEFAULT)
    .option("--rescan <duration>", "Look at all files this often anyway", RESCAN_DEFAULT)
    .option("--state <file>", "The state database, in place of one below ~/.local/state/tydfs")
    .option("--replicas <number>", "Copies to reach, in place of the cluster's own goal")
    .option("--min-copies <number>", "Copies on disk before a file counts as sent")
    .addHelpText("after", EXAMPLES);
  addFilterFlags(command, ["keep", "follow", "skip"]);
  command.action(async (directory, remote, flags, self) => {
    const options = watchOptions(flags as WatchFlags);
    const tree = { ...treeFlags(self), recursive: true };
    const filter = await filterOf(tree);
    await session.withClient(self, async (connected) => {
      const { url, transfers } = connected.settings;
      const statePath = await statePathOf(flags.state, url, session.env);
      const places = { directory, remote, statePath };
      const { links } = tree;
      await run(session, connected, { ...options, ...places, filter, links, transfers });
    });
  });
  addSettings(command, "client", false);
  addGlobals(command, false);
}

type ParsedFlags = Omit<
  WatchOptions,
  | "directory"
  | "remote"
  | "filter"
  | "links"
  | "transfers"
  | "statePath"
  | "onEvent"
  | "signal"
  | "onProgress"
>;

function watchOptions(flags: WatchFlags): ParsedFlags {
  const { replicas, minCopies, poll } = flags;
  return {
    deletes: flags.delete === true,
    once: flags.once === true,
    poll: poll !== undefined,
    pollMs: durationOf("--poll", typeof poll === "string" ? poll : POLL_DEFAULT),
    settleMs: durationOf("--settle", flags.settle),
    rescanMs: durationOf("--rescan", flags.rescan),
    put: {
      ...(replicas && { replicas: parseOption("replicas", replicas, "flag --replicas") as number }),
      ...(minCopies &&
        { minCopies: parseOption("min_copies", minCopies, "flag --min-copies") as number }),
    },
  };
}

async function run(
  session: Session,
  connected: ClientSession,
  options: Omit<WatchOptions, "onEvent" | "signal">,
): Promise<void> {
  const { client, signal, output, json, quiet } = connected;
  const { watchDirectory } = await import("../client/watch/start.ts");
  const { directory, remote, once } = options;
  const onEvent = (event: WatchEvent) => {
    if (json) return output.line(JSON.stringify(watchJson(event)));
    const { kind, text } = formatWatchEvent(event, directory);
    if (quiet && kind !== "error") return;
    if (kind === "result") output.line(printable(text));
    else output.message(`tydfs: ${printable(text)}`);
  };
  const onProgress = collecting(() => {});
  const result = await watchDirectory(client, { ...options, onProgress, onEvent, signal });
  if (!once) return;
  const { files, failures, unsettled } = result;
  if (failures.length > 0) session.exitStatus ||= exitStatusOf(failures[0]);
  if (json) {
    const failed = failures.length;
    return output.line(JSON.stringify({ kind: "done", files, failed, unsettled }));
  }
  if (quiet) return;
  const facts = [
    `${formatCount(files, "file")} in step`,
    ...(failures.length > 0 ? [`${formatCount(failures.length, "path")} failed`] : []),
    ...(unsettled > 0 ? [`${formatCount(unsettled, "path")} still being written`] : []),
  ];
  output.line(`${quotePath(directory)} to ${quotePath(remote)} · ${facts.join(" · ")}`);
}

/** Where the state lies: a file for each pair of a directory and a place in a cluster. */
async function statePathOf(
  given: string | undefined,
  url: string,
  env: Record<string, string | undefined>,
): Promise<WatchOptions["statePath"]> {
  if (given !== undefined) return () => given;
  const { stateDirectory, stateName } = await import("../client/state_files.ts");
  const { host, port, cluster } = parseClusterUrl(url);
  const base = stateDirectory(env, homedir());
  return (root, remote) => {
    const name = stateName(host, String(port), cluster, root, remote);
    return join(base, `watch-${name}.db`);
  };
}

function durationOf(flag: string, text: string): number {
  const ms = parseDuration(text);
  if (ms !== undefined && ms > 0) return ms;
  throw new ConfigError(`Cannot use "${text}" for ${flag}: it is no duration, such as 5s or 10m`);
}
