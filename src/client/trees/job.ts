/** The jobs of a tree: what is done to one entry, who hears of it, and how they are run. */
import type { Clock } from "../../base/clock.ts";
import type { Random } from "../../base/random.ts";
import type { TydfsError } from "../../wire/errors.ts";
import type { Progress, ProgressListener } from "../context.ts";

/** What a job does, as results and events name it. */
export type JobKind = "file" | "link" | "directory" | "facts" | "remove";

/** Does many small jobs of one kind together, where that costs less than one by one. */
export interface Bundler {
  /** Jobs that go together, at most, and bytes of them. */
  readonly filesMax: number;
  readonly bytesMax: number;
  /**
   * Does `jobs`, all of which have this bundler, and returns what each has to tell, in their order,
   * or the `TydfsError` with which it has failed for good; undefined for those that are to be run
   * by themselves, whose errors are told then. Throws only when its signal aborts.
   */
  run(
    jobs: readonly Job[],
    options: { signal: AbortSignal; onProgress: (job: Job, progress: Progress) => void },
  ): Promise<unknown[]>;
}

/** One thing that is done to one entry. */
export interface Job {
  kind: JobKind;
  /** Where to: a remote path in a put, a local one in a get. */
  path: string;
  /** Where from; empty where nothing is moved. */
  from: string;
  /** Bytes that will be moved, as far as is known. */
  sizeBytes: number;
  /**
   * Looks whether it has to be done, where that takes time; the answer is done in its place, also
   * nothing. It changes nothing, and is asked in a dry run, too.
   */
  decide?: (signal: AbortSignal) => Promise<Job | undefined>;
  /** Does it, and returns what it has to tell. May be called again after a passing fault. */
  run: (options: { signal: AbortSignal; onProgress: ProgressListener }) => Promise<unknown>;
  /** Set for a small file: it may go together with others that have the same one. */
  bundler?: Bundler;
  /** Called once when the job is over, whichever way. */
  settled?: () => Promise<void>;
}

/** Hears of jobs; its methods must be quick. */
export interface JobListener {
  found(job: Job): void;
  /** All is found. */
  foundAll(): void;
  started(job: Job): void;
  progressed(job: Job, progress: Progress): void;
  /**
   * `done` is `job`, or what it decided to be; `told` what that has returned. In a dry run nothing
   * was done.
   */
  done(job: Job, done: Job, told: unknown): void;
  /** It was looked at, and needs nothing. */
  needless(job: Job): void;
  failed(job: Job, error: TydfsError): void;
}

export interface RunOptions {
  /** Jobs at once. */
  transfers: number;
  /** Nothing is changed: what would be done is told as done. */
  dryRun: boolean;
  signal: AbortSignal;
  clock: Clock;
  random: Random;
  listener: JobListener;
}
