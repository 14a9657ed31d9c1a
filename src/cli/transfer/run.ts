/** Runs the jobs of put, get and sync, and ends as a command does: summary, failures, status. */
import { systemClock } from "../../base/clock.ts";
import { systemRandom } from "../../base/random.ts";
import type { RunOptions } from "../../client/trees/job_runner.ts";
import { exitStatusOf } from "../exit.ts";
import type { ClientSession, Session } from "../session.ts";
import type { TreeFlags } from "./flags.ts";
import { askState } from "./receipt.ts";
import type { ReportOptions } from "./report.ts";
import { TreeReport } from "./report.ts";

export interface TreeRun {
  session: Session;
  connected: ClientSession;
  flags: TreeFlags;
  words: ReportOptions["words"];
  onDone?: ReportOptions["onDone"];
  /** What to say when it is interrupted: how to go on. */
  goOn: () => string;
  /** Does all; returns notes for the summary. */
  work: (report: TreeReport, run: RunOptions) => Promise<{ removalsLeftOut?: number } | void>;
}

/** Runs it. Throws what ends all; single failures are told, and are the program's status. */
export async function runTree(options: TreeRun): Promise<void> {
  const { session, connected, flags, words, onDone, goOn, work } = options;
  const { output, json, quiet, signal } = connected;
  const { dryRun, verbose } = flags;
  const clock = systemClock;
  const report = new TreeReport({
    ...{ output, clock, json, quiet, verbose, dryRun, words },
    ...(onDone === undefined || dryRun ? {} : { onDone }),
  });
  const { transfers } = connected.settings;
  const run = { transfers, dryRun, signal, clock, random: systemRandom, listener: report };
  // Several files without a tree have a line each already.
  const sums = onDone === undefined || dryRun;
  try {
    const notes = await work(report, run) ?? {};
    report.end();
    const { worst } = report.receipts;
    const short = sums && worst !== undefined && (json || !quiet);
    const state = short ? await askState(connected.client, signal) : undefined;
    if (sums) report.summary({ ...notes, state });
  } catch (error) {
    report.end();
    // Stopped in the middle: by the user, or since nothing gets through any more.
    if (signal.aborted || report.tally.failed > 0) {
      if (sums) report.summary({ interrupted: true });
      if (!quiet && !dryRun) output.message(`tydfs: ${goOn()}`);
    }
    throw error;
  }
  const { firstFailure } = report.tally;
  if (firstFailure !== undefined) session.exitStatus ||= exitStatusOf(firstFailure);
}
