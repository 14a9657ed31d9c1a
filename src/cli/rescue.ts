/** `tydfs rescue`: files from the data directories of keepers, with nothing else of the cluster. */
import { resolve } from "node:path";
import type { Command } from "@commander-js/extra-typings";
import { formatSize } from "../base/bytes.ts";
import { systemClock } from "../base/clock.ts";
import { systemRandom } from "../base/random.ts";
import { ConfigError } from "../config/config_error.ts";
import type { FileOutcome, RescueProgress, RescueSummary } from "../rescue/rescue.ts";
import { formatOutcome, formatRescue, isNoteworthy } from "./format/rescue.ts";
import { untilInterrupted } from "./interrupt.ts";
import type { Output } from "./output.ts";
import type { Session } from "./session.ts";
import { commonFlags } from "./session.ts";
import { addGlobals } from "./settings_flags.ts";

const REDRAW_MS = 200;
const FAILED_STATUS = 1;
const EXISTS_STATUS = 4;
const INTEGRITY_STATUS = 7;

const EXAMPLES = `
For the day on which the master and its catalog are lost for good (try
tydfs master --recover first, which brings back all of it). Needs no master and
no network: each chunk on a keeper's disk has a file beside it that says of
which file it is a part, or which small files are packed into it. Give all
directories that are left; keepers must not run on them, and nothing is written
there, so that they may be mounted read-only.

The newest version of each path is written, every block checked against its
sum; a block that is damaged in one copy is taken from another. What is not
whole is not written but listed, with what is missing.

The disks know the names under which files were put: not what was renamed or
copied later, so that a renamed file has its old name; a file that was removed
a short while ago comes back, and so does a small one (below 1 MiB) as long as
half of those that were put together with it are left; empty directories are
not known at all. What was put as a stream may lack its end, which is told. All
names that are found are held in memory, about 1 KiB for each file: with many
millions of them rescue one part after the other, with --path.

Exit status: 0 when all was written; 1 when a file could not be written; 4 when
other files are in the way; 7 when files are incomplete or damaged.

Examples:
  tydfs rescue /mnt/keeper-1 /mnt/keeper-2 --list
  tydfs rescue /mnt/keeper-1 /mnt/keeper-2 --to ./rescued
  tydfs rescue /mnt/* --to ./rescued --path /videos --older
`;

interface RescueFlags {
  to?: string | undefined;
  list?: true | undefined;
  path?: string | undefined;
  older?: true | undefined;
  overwrite?: true | undefined;
  sync?: true | undefined;
}

/** Declares the command. */
export function addRescue(program: Command, session: Session): void {
  const command = program.command("rescue")
    .description("Rebuild files from the data directories of keepers, without a master")
    .argument("<KEEPER_DIR...>", "Data directories of keepers: all that are left")
    .option("-t, --to <dir>", "Write the files below this directory")
    .option("-l, --list", "Write nothing: tell what could be rescued")
    .option("-p, --path <path>", "Only this remote path and what is below it")
    .option("--older", "Take an older version where the newest one is not whole")
    .option("--overwrite", "Replace files that are there")
    .option("--sync", "Wait until each file is on its disk")
    .addHelpText("after", EXAMPLES)
    .action(async (directories, flags, self) => {
      checkFlags(directories, flags);
      const { json, quiet } = commonFlags(self);
      const report = new RescueReport(session.output, { json, quiet, listed: flags.list === true });
      const summary = await untilInterrupted(
        (signal) => run(directories, flags, report, signal),
        { stays: session.stays },
      );
      report.end(summary, directories.length);
      session.exitStatus = statusOf(summary);
    });
  addGlobals(command, false);
}

async function run(
  directories: readonly string[],
  { to, list, path, older, overwrite, sync }: RescueFlags,
  report: RescueReport,
  signal: AbortSignal,
): Promise<RescueSummary> {
  const { systemDisk } = await import("../chunks/disk.ts");
  const { openSource, seemsInUse } = await import("../rescue/survey.ts");
  const { rescue } = await import("../rescue/rescue.ts");
  const { parsePath } = await import("../wire/names.ts");
  const sources = directories.map((each) => openSource(each, systemDisk(resolve(each))));
  for (const source of sources.filter(seemsInUse)) report.warnOfKeeper(source.directory);
  try {
    return await rescue({
      ...{ sources, signal, random: systemRandom },
      to: list === true || to === undefined ? undefined : resolve(to),
      under: parsePath(path ?? "/"),
      older: older === true,
      overwrite: overwrite === true,
      sync: sync === true,
      onProgress: (progress) => report.show(progress),
      onFile: (outcome) => report.take(outcome),
    });
  } finally {
    report.clear();
  }
}

/** Throws `ConfigError`. */
function checkFlags(directories: readonly string[], { to, list }: RescueFlags): void {
  if (to === undefined && list !== true) {
    throw new ConfigError("Cannot rescue: say where to (--to DIR), or only --list");
  }
  if (to !== undefined && list === true) {
    throw new ConfigError("Cannot use --to and --list together: take one of them");
  }
  const target = `${resolve(to ?? "")}/`;
  const own = directories.find((each) => target.startsWith(`${resolve(each)}/`));
  if (to !== undefined && own !== undefined) {
    throw new ConfigError(`Cannot write to "${to}": nothing is written into a keeper's directory`);
  }
}

function statusOf({ outcomes }: RescueSummary): number {
  if (outcomes.incomplete + outcomes.damaged > 0) return INTEGRITY_STATUS;
  if (outcomes.failed > 0) return FAILED_STATUS;
  return outcomes["in-the-way"] > 0 ? EXISTS_STATUS : 0;
}

/** Tells files as they are done, and how far it is. */
class RescueReport {
  readonly #output: Output;
  readonly #flags: { json: boolean; quiet: boolean; listed: boolean };
  #items = 0;
  #drawnMs = 0;

  constructor(output: Output, flags: { json: boolean; quiet: boolean; listed: boolean }) {
    this.#output = output;
    this.#flags = flags;
  }

  warnOfKeeper(directory: string): void {
    const words = `A keeper seems to run on "${directory}", or was killed: stop it before, ` +
      "since what it stores meanwhile may be missed";
    this.#output.message(`tydfs: ${words}`);
  }

  take(outcome: FileOutcome): void {
    const { json, listed } = this.#flags;
    if (json) {
      const { kind: what, ...facts } = outcome;
      return this.#item({ what, ...facts });
    }
    if (listed || isNoteworthy(outcome)) {
      this.#output.line(formatOutcome(outcome, this.#output.paint));
    }
  }

  show(progress: RescueProgress): void {
    const output = this.#output;
    const nowMs = systemClock.monotonicMs();
    if (this.#flags.quiet || !output.messagesOnTerminal) return;
    if (nowMs - this.#drawnMs < REDRAW_MS) return;
    this.#drawnMs = nowMs;
    const words = progress.kind === "survey"
      ? `Reading sidecars: ${progress.sidecars}`
      : `${progress.done} of ${progress.total} files, ${formatSize(progress.doneBytes)}`;
    output.board([words]);
  }

  clear(): void {
    if (this.#output.messagesOnTerminal) this.#output.board([]);
  }

  end(summary: RescueSummary, directories: number): void {
    const { json, listed, quiet } = this.#flags;
    const output = this.#output;
    if (json) {
      this.#item({ what: "summary", ...summary });
      return output.line("]");
    }
    const lines = formatRescue(summary, { listed, directories }, output.paint);
    for (const line of lines) output.line(line);
    if (quiet) return;
    output.message("tydfs: Names are those under which files were put: see tydfs rescue --help");
  }

  #item(item: Record<string, unknown>): void {
    this.#output.line(`${this.#items === 0 ? "[" : ","}${JSON.stringify(item)}`);
    this.#items++;
  }
}
