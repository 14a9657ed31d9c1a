/** What has become of the jobs of a tree so far: counts, bytes, rates, failures. */
import { KIB } from "../../base/bytes.ts";
import type { Progress } from "../../client/client.ts";
import type { Job } from "../../client/trees/job_runner.ts";
import type { TydfsError } from "../../wire/errors.ts";
import type { Pace } from "./time_left.ts";

/** Failures that are kept to be listed; all are counted. */
export const LISTED_MAX = 50;
/** The rate is that of so long. */
const RATE_WINDOW_MS = 8_000;
/**
 * That of one transfer: when there are more than streams, each waits for its turn, chunk by chunk.
 */
const JOB_WINDOW_MS = 30_000;
const SAMPLE_MS = 400;
/**
 * What a file costs besides its bytes, told as bytes: of thousands of small files the bytes alone
 * say nothing about the time that the large ones will take, nor the other way round. Between what
 * is right for a slow link (some KiB) and for a fast one (some MiB); it matters for the first
 * seconds only.
 */
const FILE_BYTES = 256 * KIB;

/** A job that runs. */
export interface Running {
  job: Job;
  sinceMs: number;
  doneBytes: number;
  /** Of those, what was there already: it says nothing about speed. */
  resumedBytes: number;
  rate: Rate;
}

/** One thing that failed, or that was left out. */
export interface Listed {
  path: string;
  message: string;
}

export class Tally {
  /** Files and links that are to be moved, as far as they are known. */
  filesFound = 0;
  bytesFound = 0;
  /** Whether more may be found. */
  foundAll = false;
  filesDone = 0;
  bytesDone = 0;
  /** Of those, what was there already from an earlier try. */
  bytesResumed = 0;
  links = 0;
  directories = 0;
  /** Entries that needed nothing. */
  same = 0;
  /** Only mode or time were changed. */
  adjusted = 0;
  removed = 0;
  failed = 0;
  skipped = 0;
  readonly failures: Listed[] = [];
  readonly leftOut: Listed[] = [];
  firstFailure: TydfsError | undefined;
  readonly running = new Map<Job, Running>();
  readonly rate: Rate;
  readonly startMs: number;
  /** Work done, and how fast of late: bytes, and files at a fixed price. */
  #work = 0;
  readonly #workRate: Rate;

  constructor(nowMs: number) {
    this.startMs = nowMs;
    this.rate = new Rate(nowMs);
    this.#workRate = new Rate(nowMs);
  }

  found(job: Job): void {
    if (!moves(job)) return;
    this.foundAll = false;
    this.filesFound++;
    this.bytesFound += job.sizeBytes;
  }

  started(job: Job, nowMs: number): void {
    const rate = new Rate(nowMs, JOB_WINDOW_MS);
    this.running.set(job, { job, sinceMs: nowMs, doneBytes: 0, resumedBytes: 0, rate });
  }

  progressed(job: Job, progress: Progress, nowMs: number): void {
    const running = this.running.get(job);
    if (running === undefined) return;
    // A new try begins anew.
    const { doneBytes, resumedBytes = 0 } = progress;
    const more = doneBytes - running.doneBytes;
    const resumed = resumedBytes - running.resumedBytes;
    running.doneBytes = doneBytes;
    running.resumedBytes = resumedBytes;
    this.bytesDone += more;
    const moved = Math.max(0, more - resumed);
    running.rate.add(moved, nowMs);
    this.#moved(moved, 0, nowMs);
  }

  /** How all goes on, in work: what a time for the rest can be told from. */
  pace(nowMs: number): Pace {
    const files = this.filesFound - this.filesDone;
    return {
      elapsedMs: nowMs - this.startMs,
      done: this.#work,
      left: this.bytesFound - this.bytesDone + files * FILE_BYTES,
      perMs: this.#workRate.bytesPerMs(nowMs),
    };
  }

  /** Bytes of what is whole. */
  get bytesWhole(): number {
    let bytes = this.bytesDone;
    for (const { doneBytes } of this.running.values()) bytes -= doneBytes;
    return bytes;
  }

  /** A job is over, as what it has decided to be. `entries` is how many went in a removal. */
  done(job: Job, done: Job, entries: number, nowMs: number): void {
    this.#end(job, done.kind === "facts" ? "needless" : "done", nowMs);
    if (done.kind === "link") this.links++;
    if (done.kind === "directory") this.directories++;
    if (done.kind === "facts") this.adjusted++;
    if (done.kind === "remove") this.removed += entries;
  }

  needless(job: Job, nowMs: number): void {
    this.same++;
    this.#end(job, "needless", nowMs);
  }

  failedAt(job: Job, error: TydfsError, nowMs: number): void {
    this.#end(job, "failed", nowMs);
    this.fail(job.path, error);
  }

  /** A failure of no job. */
  fail(path: string, error: TydfsError): void {
    this.failed++;
    this.firstFailure ??= error;
    list(this.failures, path, error);
  }

  /** Something that is no failure was not taken. */
  skip(error: TydfsError): void {
    this.skipped++;
    list(this.leftOut, "", error);
  }

  #moved(bytes: number, files: number, nowMs: number): void {
    const work = bytes + files * FILE_BYTES;
    this.#work += work;
    this.#workRate.add(work, nowMs);
    this.rate.add(bytes, nowMs);
  }

  #end(job: Job, how: "done" | "needless" | "failed", nowMs: number): void {
    const doneBytes = this.running.get(job)?.doneBytes ?? 0;
    this.running.delete(job);
    if (!moves(job)) return;
    if (how === "done") {
      this.filesDone++;
      this.bytesDone += job.sizeBytes - doneBytes;
      this.#moved(Math.max(0, job.sizeBytes - doneBytes), 1, nowMs);
    } else {
      this.bytesDone -= doneBytes;
      this.filesFound--;
      this.bytesFound -= job.sizeBytes;
    }
  }
}

/** Bytes a second over the last seconds. */
export class Rate {
  /** Times and the bytes until then, the oldest first. */
  readonly #samples: { atMs: number; bytes: number }[];
  readonly #windowMs: number;
  #bytes = 0;

  constructor(nowMs: number, windowMs = RATE_WINDOW_MS) {
    this.#windowMs = windowMs;
    this.#samples = [{ atMs: nowMs, bytes: 0 }];
  }

  add(bytes: number, nowMs: number): void {
    this.#bytes += bytes;
    const last = this.#samples.at(-1);
    if (last !== undefined && nowMs - last.atMs < SAMPLE_MS) return;
    this.#samples.push({ atMs: nowMs, bytes: this.#bytes });
    while (this.#samples.length > 2 && nowMs - (this.#samples[1]?.atMs ?? 0) > this.#windowMs) {
      this.#samples.shift();
    }
  }

  /** Undefined while too little is known. */
  bytesPerMs(nowMs: number): number | undefined {
    const first = this.#samples[0];
    if (first === undefined || nowMs - first.atMs < SAMPLE_MS) return undefined;
    return (this.#bytes - first.bytes) / (nowMs - first.atMs);
  }
}

function moves({ kind }: Job): boolean {
  return kind === "file" || kind === "link";
}

function list(listed: Listed[], path: string, { message }: TydfsError): void {
  if (listed.length < LISTED_MAX) listed.push({ path, message });
}
