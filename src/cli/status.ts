/** `tydfs status`: how the cluster fares, in plain words; once, or again and again. */
import type { Command } from "@commander-js/extra-typings";
import { formatDuration } from "../base/bytes.ts";
import { systemClock } from "../base/clock.ts";
import type { ClusterStatus } from "../client/client.ts";
import { ConfigError } from "../config/load.ts";
import { formatIfLost, formatRisks, ifLostJson, NAMED_FILES } from "./format/risk.ts";
import { formatStatus } from "./format/status.ts";
import { findRisks, glanceAtRisks } from "./risks.ts";
import type { ClientSession, Session } from "./session.ts";
import { commonFlags } from "./session.ts";
import { addGlobals, addSettings } from "./settings_flags.ts";

const WATCH_MS = 1_000;

const EXAMPLES = `
Tells which keepers there are, and in plain words what is in danger, what is
being repaired and until when, what waits and for what; a healthy cluster is
said in one line. Of the files that are lost or have one copy left the first ten
are named; with --all every file that has fewer copies than it should.

--if-lost tells what would become of the files without the keepers named (by
name, id, or the first digits of it): the sums first, then the files. It changes
nothing, and ends with 0 whatever it finds. With --json it is one value: the
sums lost, endangered and short, each with files and bytes, and all the files.

With --watch and --json each look is one line of JSON. On a terminal --watch
takes the whole screen until q or Ctrl-C; tydfs top shows more there.

Examples:
  tydfs status
  tydfs status --all
  tydfs status --if-lost barn-1 barn-2
  tydfs status --watch
  tydfs status --json | jq '.keepers[] | {name, state, freeBytes}'
  tydfs status --if-lost barn-1 --json | jq .lost
`;

interface StatusFlags {
  watch?: true;
  once?: true;
  all?: true;
  ifLost?: string[];
}

/** Declares the command. */
export function addStatus(program: Command, session: Session): void {
  const command = program.command("status")
    .description("Show how keepers and files fare, and what is being repaired")
    .option("-w, --watch", "Look again each second, until Ctrl-C")
    .option("--once", "Look once, as without --watch")
    .option("--all", "Name all files that lack copies, not only the first in danger")
    .option("--if-lost <keeper...>", "Tell what would be lost or at risk without these")
    .addHelpText("after", EXAMPLES)
    .action(async (flags, self) => {
      const { watch = false, all = false, ifLost } = checkFlags(flags);
      const { isOnTerminal } = await import("./screen/terminal.ts");
      const live = watch && !commonFlags(self).json && isOnTerminal();
      await session.withClient(self, async (connected) => {
        if (ifLost !== undefined) return await tellIfLost(connected, ifLost, all);
        if (live) {
          const { watchLive } = await import("./screen/top_run.ts");
          return await watchLive(connected, new StatusView());
        }
        if (!watch) return await tellOnce(connected, all);
        const { client, signal, output, json } = connected;
        for (;;) {
          const status = await client.status({ signal });
          if (json) output.line(JSON.stringify(status));
          else printStatus(connected, status);
          await systemClock.sleep(WATCH_MS, signal);
        }
      }, { tellWaits: !live });
    });
  addSettings(command, "client", false);
  addGlobals(command, false);
}

/** Throws `ConfigError` for flags that don't go together. */
function checkFlags(flags: StatusFlags): StatusFlags {
  const { watch, once, all, ifLost } = flags;
  if (watch === true && once === true) {
    throw new ConfigError("Cannot look both once and again and again: --watch or --once");
  }
  if (watch === true && (all === true || ifLost !== undefined)) {
    const flag = ifLost === undefined ? "--all" : "--if-lost";
    throw new ConfigError(`Cannot use ${flag} with --watch: it looks at all files once`);
  }
  return flags;
}

function printStatus({ output }: ClientSession, status: ClusterStatus): void {
  const format = { nowMs: systemClock.wallMs(), paint: output.paint };
  formatStatus(status, format).forEach((line) => output.line(line));
}

/** The status, and the files that are in danger. */
async function tellOnce(connected: ClientSession, all: boolean): Promise<void> {
  const { client, signal, output, json } = connected;
  const status = await client.status({ signal });
  if (json) {
    const more = all ? { atRisk: (await findRisks(client, [], signal)).list() } : {};
    return output.line(JSON.stringify({ ...status, ...more }));
  }
  printStatus(connected, status);
  if (all) {
    const files = (await findRisks(client, [], signal)).list();
    if (files.length === 0) return output.line("Every file has all its copies");
    output.line(`Files that lack copies:`);
    return formatRisks(files, { all }).forEach((line) => output.line(line));
  }
  if (status.chunks.lost + status.repairs.endangered > 0) await tellDangers(connected);
}

/** The first files that are lost or have one copy left. */
async function tellDangers({ client, signal, output }: ClientSession): Promise<void> {
  const { book, whole, failure } = await glanceAtRisks(client, signal);
  const files = book.list(["lost", "endangered"]);
  if (files.length > 0) {
    output.line("Files in danger:");
    formatRisks(files, { all: false }).forEach((line) => output.line(line));
  }
  // More than are named is said by the list itself.
  if (whole || files.length > NAMED_FILES) return;
  const why = failure === undefined ? "not all were looked at in this short time" : failure;
  output.line(`There may be more files in danger: ${why}; tydfs status --all takes its time`);
}

/** What would become of the files without some keepers. */
async function tellIfLost(
  { client, signal, output, json }: ClientSession,
  without: readonly string[],
  all: boolean,
): Promise<void> {
  const book = await findRisks(client, without, signal);
  if (json) return output.line(JSON.stringify(ifLostJson(book, without)));
  formatIfLost(book, without, { all }).forEach((line) => output.line(line));
}

/** The lines of `status` as a screen that is drawn anew; a `LiveView`. */
class StatusView {
  readonly intervalMs = WATCH_MS;
  #lines: string[] = [];

  take(status: ClusterStatus): void {
    this.#lines = formatStatus(status, { nowMs: systemClock.wallMs() });
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
