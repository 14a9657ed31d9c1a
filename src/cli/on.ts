/** `tydfs on`: runs a command for each event, at least once. */
import { homedir } from "node:os";
import { join } from "node:path";
import type { Command } from "@commander-js/extra-typings";
import { Argument } from "@commander-js/extra-typings";
import { formatDuration } from "../base/bytes.ts";
import { systemClock } from "../base/clock.ts";
import { backoffMs } from "../base/limit.ts";
import { systemRandom } from "../base/random.ts";
import type { LoggedEvent } from "../client/client.ts";
import type { FollowerEvent } from "../client/events/log_follower.ts";
import type { Trigger } from "../client/events/selection.ts";
import { ConfigError } from "../config/load.ts";
import { TydfsError } from "../wire/errors.ts";
import { quotePath } from "../wire/names.ts";
import { parseClusterUrl } from "../wire/url.ts";
import { checkPattern } from "./events.ts";
import type { CommandEnd } from "./event_command.ts";
import { runCommand } from "./event_command.ts";
import { formatCount } from "./format/format.ts";
import { eventJson, formatClock } from "./format/event.ts";
import { printable } from "./output.ts";
import type { ClientSession, Session } from "./session.ts";
import { addGlobals, addSettings } from "./settings_flags.ts";

const RETRIES_DEFAULT = "3";
const RETRIES_MAX = 1_000;
const RETRY_PAUSE = { firstMs: 1_000, maxMs: 60_000 };
/** As in src/client/events/selection.ts, which is loaded only when the command runs. */
const EVENTS = ["put", "replaced", "removed", "renamed", "any"] as const;

const EXAMPLES = `
EVENT is put (a new file, or a new version of one), replaced, removed, renamed,
or any. A PATTERN without a slash is of names, at any depth; another one of
whole paths. A directory that is removed or renamed is one event.

The COMMAND is run as it is, without a shell, one at a time and in order. In its
words {} stands for the path, {to} for the new path of a rename, and {version}
for the file's version. It also finds TYDFS_EVENT_KIND, _PATH, _TO, _SIZE,
_VERSION, _OWNER, _ENTRY, _SEQ and _AT_MS in its environment, and TYDFS_URL.

An event is done with when the command has ended with status 0; only then the
place in the cluster's log moves on. So after a stop, or a crash, it goes on
where it was: each event is handled at least once, and possibly twice. The place
is kept for each --name, or else for each EVENT, PATTERN and COMMAND. One that
is new begins with what happens from now on.

Examples:
  tydfs on put '*.mp4' -- ffprobe -v error -show_format {}
  tydfs on put '/inbox/**' -- sh -c 'tydfs get "$1" /tmp/in/' sh {}
  tydfs on removed '/videos/**' --name index -- ./drop-from-index {}
  tydfs on any '**' --once -- ./note {}         what has happened since, then end
`;

interface OnFlags {
  fromStart?: true;
  name?: string;
  retries: string;
  stopOnFailure?: true;
  once?: true;
}

/** Declares the command. */
export function addOn(program: Command, session: Session): void {
  const command = program.command("on")
    .description("Run a command for each event of the cluster")
    .usage("[options] EVENT PATTERN -- COMMAND...")
    .addArgument(new Argument("<EVENT>", "What is to happen").choices(EVENTS))
    .argument("<PATTERN>", "To paths that match this (quote it)")
    .argument("<COMMAND...>", "The command and its words, behind --")
    .option("--from-start", "A new one begins with what is there already, not from now")
    .option("--name <id>", "Keep the place in the log under this name")
    .option("--retries <number>", "Tries after the first one has failed", RETRIES_DEFAULT)
    .option("--stop-on-failure", "End when all tries have failed, and begin there next time")
    .option("--once", "End when all that has happened is done with")
    .addHelpText("after", EXAMPLES)
    .action(async (trigger, pattern, argv, flags, self) => {
      checkPattern(pattern);
      const retries = retriesOf(flags.retries);
      await session.withClient(self, (connected) => {
        return follow({ session, connected, trigger, pattern, argv, flags, retries });
      });
    });
  addSettings(command, "client", false);
  addGlobals(command, false);
}

interface OnRun {
  session: Session;
  connected: ClientSession;
  trigger: Trigger;
  pattern: string;
  argv: string[];
  flags: OnFlags;
  retries: number;
}

async function follow(run: OnRun): Promise<void> {
  const { connected, trigger, pattern, flags } = run;
  const { client, signal } = connected;
  const { CursorFile } = await import("../client/events/cursor.ts");
  const { LogFollower } = await import("../client/events/log_follower.ts");
  const { eventMatcher, isTriggered } = await import("../client/events/selection.ts");
  const matches = eventMatcher([pattern]);
  const cursors = CursorFile.open(await cursorPath(run));
  try {
    const follower = new LogFollower({
      client,
      clock: systemClock,
      random: systemRandom,
      cursors,
      selects: (event) => isTriggered(trigger, event.kind) && matches(event),
      handle: (event) => handle(run, event),
      onEvent: (event) => tell(run, event),
    }, {
      fromStart: flags.fromStart === true,
      hearsPuts: isTriggered(trigger, "put"),
      once: flags.once === true,
    });
    await follower.run(signal);
  } finally {
    cursors.close();
  }
}

/** Runs the command until it succeeds, or has failed for the last time. */
async function handle(run: OnRun, event: LoggedEvent): Promise<void> {
  const { session, connected, retries, flags } = run;
  const { signal, output, json } = connected;
  const { eventEnvironment, fillCommand } = await import("../client/events/selection.ts");
  const argv = fillCommand(run.argv, event);
  const env = { ...session.env, TYDFS_URL: connected.settings.url, ...eventEnvironment(event) };
  for (let attempt = 0;; attempt++) {
    const startMs = systemClock.monotonicMs();
    const stdout = json ? "stderr" : "stdout";
    const end = await runCommand({ argv, env, stdout, clock: systemClock, signal });
    const elapsedMs = Math.round(systemClock.monotonicMs() - startMs);
    if (json) output.line(JSON.stringify(runJson(event, end, { elapsedMs, attempt })));
    if (end.exit === 0) {
      tellRun(run, event, `done in ${formatDuration(elapsedMs)}`, false);
      return;
    }
    const how = wordsOf(end);
    if (attempt >= retries) {
      const tries = formatCount(attempt + 1, "try", "tries");
      if (flags.stopOnFailure === true) {
        const message = `Cannot handle ${event.kind} ${quotePath(event.path)}: ${how}, after ` +
          `${tries}; it comes first next time`;
        throw new TydfsError("local", message);
      }
      session.exitStatus ||= 1;
      tellRun(run, event, `${how}; given up after ${tries}`, true);
      return;
    }
    const pauseMs = backoffMs(attempt, RETRY_PAUSE, systemRandom);
    tellRun(run, event, `${how}; trying again in ${formatDuration(pauseMs)}`, true);
    await systemClock.sleep(pauseMs, signal);
  }
}

function tellRun({ connected }: OnRun, event: LoggedEvent, words: string, isFailure: boolean) {
  const { output, json, quiet } = connected;
  if (!isFailure && (json || quiet)) return;
  const { kind, path, atMs } = event;
  output.message(`tydfs: ${formatClock(atMs)} ${kind} ${printable(quotePath(path))}: ${words}`);
}

function tell({ connected, trigger, pattern }: OnRun, event: FollowerEvent): void {
  const { output, json, quiet } = connected;
  if (json && event.kind !== "away" && event.kind !== "back") {
    return output.line(JSON.stringify(event));
  }
  if (quiet && event.kind !== "forgotten" && event.kind !== "shorter") return;
  output.message(`tydfs: ${printable(followerWords(event, `${trigger} ${quotePath(pattern)}`))}`);
}

/** What the follower tells, for people. */
function followerWords(event: FollowerEvent, what: string): string {
  switch (event.kind) {
    case "following":
      if (event.resumed) return `Waiting for ${what}, behind event ${event.seq}`;
      return `Waiting for ${what}, from ${event.seq === 0 ? "the start" : "now on"}`;
    case "forgotten":
      return event.recovers
        ? `The cluster has forgotten ${event.count} events: taking the files that were put since`
        : `The cluster has forgotten ${event.count} events: what they said is lost`;
    case "shorter":
      return `The cluster's log ends at ${event.latest}, before ${event.seq}: was it restored from ` +
        "a backup? Going on from its end";
    case "away": {
      const { error } = event;
      return `${error instanceof Error ? error.message : String(error)}; waiting for it`;
    }
    case "back":
      return `The master is back after ${formatDuration(event.afterMs)}`;
  }
}

function runJson(
  event: LoggedEvent,
  { exit, signalName }: CommandEnd,
  { elapsedMs, attempt }: { elapsedMs: number; attempt: number },
): Record<string, unknown> {
  const facts = { exit: exit ?? null, ...(signalName && { signal: signalName }) };
  return { kind: "ran", ...facts, elapsedMs, attempt, event: eventJson(event) };
}

function wordsOf({ exit, signalName }: CommandEnd): string {
  return exit === undefined
    ? `the command was ended by ${signalName}`
    : `the command ended with status ${exit}`;
}

/** Where the place in the log is kept. */
async function cursorPath(run: OnRun): Promise<string> {
  const { session, connected, trigger, pattern, argv, flags } = run;
  const { stateDirectory, stateName } = await import("../client/state_files.ts");
  const { host, port, cluster } = parseClusterUrl(connected.settings.url);
  const parts = flags.name === undefined ? [trigger, pattern, ...argv] : ["name", flags.name];
  const name = stateName(host, String(port), cluster, ...parts);
  return join(stateDirectory(session.env, homedir()), `on-${name}.json`);
}

function retriesOf(text: string): number {
  const number = /^\d+$/.test(text) ? Number(text) : RETRIES_MAX + 1;
  if (number <= RETRIES_MAX) return number;
  throw new ConfigError(
    `Cannot use "${text}" for --retries: it is no number from 0 to ${RETRIES_MAX}`,
  );
}
