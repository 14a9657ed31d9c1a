/**
 * Tells of a tree's transfer: progress while it runs, failures and a summary when it is over; for
 * scripts as JSON lines.
 */
import { formatDuration, formatSize } from "../../base/bytes.ts";
import type { Clock, Timer } from "../../base/clock.ts";
import type { ClusterStatus, Progress } from "../../client/client.ts";
import type { Job, JobKind, JobListener } from "../../client/trees/job_runner.ts";
import type { TydfsError } from "../../wire/errors.ts";
import { quotePath } from "../../wire/names.ts";
import { collecting, collectingByCount, TREE_COLLECT_BYTES } from "./collect.ts";
import type { Output } from "../output.ts";
import { printable } from "../output.ts";
import { formatBoard, formatTotal, grouped } from "./progress_board.ts";
import type { Copies } from "./receipt.ts";
import { ReceiptBook } from "./receipt.ts";
import type { Listed } from "./tally.ts";
import { Tally } from "./tally.ts";

const REDRAW_MS = 100;
/** One that is over sooner shows nothing. */
const FIRST_DRAW_MS = 400;
const EVENT_MS = 1_000;
/** Without a terminal, in a log: a line each so long. */
const LINE_MS = 10_000;

export interface ReportOptions {
  output: Output;
  clock: Clock;
  json: boolean;
  quiet: boolean;
  verbose: boolean;
  dryRun: boolean;
  /** What the command does to files, done and to be done: `put` and `put`, `got` and `get`. */
  words: { done: string; will: string };
  /** Tells of what is done in place of the report: several files without a tree. */
  onDone?: (job: Job, told: unknown) => void;
}

export interface SummaryNotes {
  interrupted?: boolean;
  removalsLeftOut?: number;
  state?: ClusterStatus | undefined;
}

export class TreeReport implements JobListener {
  readonly tally: Tally;
  readonly receipts = new ReceiptBook();
  readonly #options: ReportOptions;
  readonly #timers: Timer[] = [];
  /** More often than for one file: several are under way. */
  readonly #collect = collecting(() => {}, TREE_COLLECT_BYTES);
  readonly #collectByCount: () => void;
  #movedBytes = 0;

  constructor(options: ReportOptions) {
    this.#options = options;
    const { output, clock, json, quiet } = options;
    this.#collectByCount = collectingByCount(clock);
    this.tally = new Tally(clock.monotonicMs());
    if (json && options.onDone === undefined) {
      this.#timers.push(clock.every(EVENT_MS, () => this.#event(this.#progressEvent())));
    }
    if (json || quiet) return;
    if (output.messagesOnTerminal) this.#timers.push(clock.every(REDRAW_MS, () => this.#draw()));
    else {
      const line = () => output.message(`tydfs: ${formatTotal(this.tally, clock.monotonicMs())}`);
      this.#timers.push(clock.every(LINE_MS, line));
    }
  }

  found(job: Job): void {
    this.tally.found(job);
  }

  foundAll(): void {
    this.tally.foundAll = true;
  }

  started(job: Job): void {
    this.tally.started(job, this.#nowMs());
    // What has yet to be decided may come to nothing.
    if (this.#tellsEvents && job.decide === undefined && !this.#options.dryRun) {
      this.#event({ event: "start", ...jobJson(job) });
    }
  }

  progressed(job: Job, progress: Progress): void {
    const before = this.tally.bytesDone;
    this.tally.progressed(job, progress, this.#nowMs());
    this.#moved(this.tally.bytesDone - before);
  }

  done(job: Job, done: Job, told: unknown): void {
    this.#collectByCount();
    const entries = typeof told === "number" ? told : done.kind === "remove" ? 1 : 0;
    const before = this.tally.bytesDone;
    this.tally.done(job, done, entries, this.#nowMs());
    this.#moved(this.tally.bytesDone - before);
    const { onDone, dryRun, verbose, quiet, json, output } = this.#options;
    if (onDone !== undefined) return onDone(done, told);
    const copies = copiesOf(told);
    if (copies !== undefined) this.receipts.add(copies);
    if (done.kind === "remove" && told === 0) return;
    if (this.#tellsEvents) {
      this.#event({ event: dryRun ? "would" : "done", ...jobJson(done), ...resultJson(told) });
    }
    const shown = verbose || dryRun && done.kind !== "directory";
    if (!json && !quiet && shown) output.line(this.#line(done));
  }

  needless(job: Job): void {
    this.tally.needless(job, this.#nowMs());
  }

  failed(job: Job, error: TydfsError): void {
    this.tally.failedAt(job, error, this.#nowMs());
    const { code, message } = error;
    this.#event({ event: "failed", ...jobJson(job), code, message });
  }

  /** Hears of what could not be looked at, or is left out. */
  trouble(path: string, error: TydfsError): void {
    const { code, message } = error;
    if (error.data["skipped"] === true) {
      this.tally.skip(error);
      this.#event({ event: "skipped", message });
    } else {
      this.tally.fail(path, error);
      this.#event({ event: "failed", path, code, message });
    }
  }

  /** Takes the progress away, and tells what failed and what was left out. */
  end(): void {
    for (const timer of this.#timers.splice(0)) timer.stop();
    const { output, json, quiet } = this.#options;
    if (output.messagesOnTerminal && !json && !quiet) output.board([]);
    const { leftOut, skipped, failures, failed } = this.tally;
    if (!quiet && !json) this.#list(leftOut, skipped, "left out");
    this.#list(failures, failed, "failed");
  }

  /**
   * The summary, as a line or an event; `notes` are parts of the line. `state` tells why copies are
   * missing.
   */
  summary(notes: SummaryNotes = {}): void {
    const { output, json, quiet } = this.#options;
    const { tally } = this;
    this.#event({
      event: "summary",
      files: tally.filesDone - tally.links,
      links: tally.links,
      directories: tally.directories,
      bytes: tally.bytesWhole,
      same: tally.same,
      adjusted: tally.adjusted,
      removed: tally.removed,
      skipped: tally.skipped,
      failed: tally.failed,
      elapsedMs: Math.round(this.#nowMs() - tally.startMs),
      dryRun: this.#options.dryRun,
      interrupted: notes.interrupted === true,
      ...(notes.removalsLeftOut ? { removalsLeftOut: notes.removalsLeftOut } : {}),
      ...this.receipts.json(notes.state),
    });
    if (json || quiet) return;
    const line = this.#summaryLine(notes);
    if (notes.interrupted === true) output.message(`tydfs: Until then: ${line}`);
    else output.line(line);
    if (notes.removalsLeftOut) {
      const count = grouped(notes.removalsLeftOut);
      output.message(
        `tydfs: Nothing was removed, since not all went well: ${count} left to remove`,
      );
    }
  }

  #moved(bytes: number): void {
    this.#movedBytes += Math.max(0, bytes);
    this.#collect({ doneBytes: this.#movedBytes, totalBytes: undefined });
  }

  #summaryLine({ interrupted, state }: SummaryNotes): string {
    const { words, dryRun } = this.#options;
    const { tally } = this;
    const bytes = tally.bytesWhole;
    const elapsedMs = this.#nowMs() - tally.startMs;
    const moved = Math.max(0, bytes - tally.bytesResumed);
    const rate = formatSize(Math.round(moved / Math.max(1, elapsedMs) * 1000));
    const files = tally.filesDone - tally.links;
    const time = dryRun || bytes === 0
      ? ""
      : ` in ${
        elapsedMs < 60_000 ? `${(elapsedMs / 1000).toFixed(1)} s` : formatDuration(elapsedMs)
      }` +
        ` (${rate}/s)`;
    const would = dryRun ? "would " : "";
    const part = (count: number, text: string) => count > 0 ? [text] : [];
    // One that was interrupted has other worries, and nobody was asked.
    const receipt = interrupted === true ? undefined : this.receipts.words(state);
    return [
      `${would}${dryRun ? words.will : words.done} ${countOf(files, "file", "files")}, ` +
      `${formatSize(bytes)}${time}`,
      ...(receipt === undefined ? [] : [receipt]),
      ...part(tally.links, countOf(tally.links, "link", "links")),
      ...part(tally.directories, countOf(tally.directories, "directory", "directories")),
      ...part(tally.same, `${grouped(tally.same)} the same`),
      ...part(tally.adjusted, `mode or time of ${grouped(tally.adjusted)} set`),
      ...part(tally.removed, `${grouped(tally.removed)} ${dryRun ? "to be removed" : "removed"}`),
      ...part(tally.skipped, `${grouped(tally.skipped)} left out`),
      ...part(tally.failed, `${grouped(tally.failed)} failed`),
    ].join(" · ");
  }

  #line(job: Job): string {
    const { words, dryRun } = this.#options;
    const verbs: Record<JobKind, [string, string]> = {
      file: [words.done, words.will],
      link: [words.done, words.will],
      directory: ["made", "make"],
      facts: ["set", "set"],
      remove: ["removed", "remove"],
    };
    const verb = dryRun ? `would ${verbs[job.kind][1]}` : verbs[job.kind][0];
    const facts = job.kind === "file"
      ? ` · ${formatSize(job.sizeBytes)}`
      : job.kind === "link"
      ? " · link"
      : job.kind === "facts"
      ? " · mode and time"
      : "";
    return `${verb} ${quotePath(job.path)}${facts}`;
  }

  #list(listed: readonly Listed[], count: number, words: string): void {
    const { output } = this.#options;
    for (const { path, message } of listed) {
      // Faults of the network don't know for which file they come.
      const named = path === "" || message.includes('"');
      output.message(`tydfs: ${named ? "" : `${quotePath(path)}: `}${printable(message)}`);
    }
    if (count > listed.length) {
      output.message(`tydfs: … and ${grouped(count - listed.length)} more ${words}`);
    }
  }

  #draw(): void {
    const { output } = this.#options;
    const nowMs = this.#nowMs();
    if (nowMs - this.tally.startMs < FIRST_DRAW_MS) return;
    output.board(formatBoard(this.tally, { columns: output.columns, rows: output.rows, nowMs }));
  }

  #progressEvent(): Record<string, unknown> {
    const { filesDone, filesFound, bytesDone, bytesFound, foundAll, failed, rate } = this.tally;
    const bytesPerMs = rate.bytesPerMs(this.#nowMs()) ?? 0;
    return {
      event: "progress",
      files: filesDone,
      filesTotal: filesFound,
      bytes: bytesDone,
      bytesTotal: bytesFound,
      totalsKnown: foundAll,
      bytesPerSecond: Math.round(bytesPerMs * 1000),
      failed,
    };
  }

  #event(event: Record<string, unknown>): void {
    if (this.#tellsEvents) this.#options.output.line(JSON.stringify(event));
  }

  /** Asked before events are put together: there may be thousands that nobody hears. */
  get #tellsEvents(): boolean {
    const { json, onDone } = this.#options;
    return json && onDone === undefined;
  }

  #nowMs(): number {
    return this.#options.clock.monotonicMs();
  }
}

function jobJson({ kind, path, from, sizeBytes }: Job): Record<string, unknown> {
  return { kind, path, ...(from === "" ? {} : { from, size: sizeBytes }) };
}

/** What a put or a get has told of a file. */
function resultJson(told: unknown): Record<string, unknown> {
  if (typeof told !== "object" || told === null) return {};
  const { version, checksum, target } = told as Record<string, unknown>;
  const { copies, goal } = copiesOf(told) ?? {};
  return { version, checksum, copies, replicas: goal, target };
}

/** The receipt in what a put has told; a get has none. */
function copiesOf(told: unknown): Copies | undefined {
  if (typeof told !== "object" || told === null) return undefined;
  const { copies, goal } = told as Record<string, unknown>;
  return typeof copies === "number" && typeof goal === "number" ? { copies, goal } : undefined;
}

function countOf(count: number, one: string, many: string): string {
  return `${grouped(count)} ${count === 1 ? one : many}`;
}
