/**
 * Runs the jobs of a tree: several at once, found while others run, each tried again where a fault
 * may pass. A failure is told and never stops the others, unless nothing gets through any more.
 */
import { AssertionError } from "../../base/assert.ts";
import type { Clock } from "../../base/clock.ts";
import { backoffMs } from "../../base/limit.ts";
import { BoundedQueue } from "../../base/queue.ts";
import type { Random } from "../../base/random.ts";
import { mayPass, TydfsError, wrapError } from "../../wire/errors.ts";
import type { Progress, ProgressListener } from "../context.ts";

/** Jobs that may wait: enough to tell ahead how much there is to do. */
const WAITING_MAX = 4096;
const TRIES_MAX = 3;
const BACKOFF = { firstMs: 1_000, maxMs: 10_000 };
/** So many jobs in a row that nothing but a passing fault ends: the cluster is away. */
const HOPELESS_MAX = 16;

/** What a job does, as results and events name it. */
export type JobKind = "file" | "link" | "directory" | "facts" | "remove";

/** Does many small jobs of one kind together, where that costs less than one by one. */
export interface Bundler {
  /** Jobs that go together, at most, and bytes of them. */
  readonly filesMax: number;
  readonly bytesMax: number;
  /**
   * Does `jobs`, all of which have this bundler, and returns what each has to tell, in their order;
   * undefined for those that are to be run by themselves, whose errors are told then. Throws only
   * when its signal aborts.
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

/**
 * Runs all jobs. Throws the signal's reason when it aborts, what finding jobs throws, and the last
 * failure when nothing gets through any more.
 */
export async function runJobs(jobs: AsyncIterable<Job>, options: RunOptions): Promise<void> {
  const queue = new BoundedQueue<Job>(WAITING_MAX);
  const { listener } = options;
  const stopped = new AbortController();
  const signal = AbortSignal.any([options.signal, stopped.signal]);
  const runner = new Runner({ ...options, signal });
  let failure: { error: unknown } | undefined;
  const stop = (error: unknown) => {
    failure ??= { error };
    stopped.abort(error);
    queue.close({ drop: true });
  };
  const onAbort = () => stop(options.signal.reason);
  options.signal.addEventListener("abort", onAbort, { once: true });
  const find = async () => {
    for await (const job of jobs) {
      signal.throwIfAborted();
      listener.found(job);
      if (!await queue.push(job)) return;
    }
    listener.foundAll();
    queue.close();
  };
  const work = async () => {
    for (let job = await queue.pull(); job !== undefined; job = await queue.pull()) {
      signal.throwIfAborted();
      await runner.run(job);
    }
  };
  const crew = [find, ...Array.from({ length: options.transfers }, () => work)];
  await Promise.all(crew.map((member) => member().catch(stop)));
  options.signal.removeEventListener("abort", onAbort);
  options.signal.throwIfAborted();
  if (failure !== undefined) throw failure.error;
}

class Runner {
  readonly #options: RunOptions;
  /** Jobs that only passing faults have ended, since the last one that came to an end. */
  #hopeless = 0;

  constructor(options: RunOptions) {
    this.#options = options;
  }

  /** Runs one job to its end. Throws only what ends the others, too. */
  async run(job: Job): Promise<void> {
    const { listener, signal, dryRun } = this.#options;
    try {
      listener.started(job);
      const decided = await this.#try(() => job.decide?.(signal) ?? Promise.resolve(job));
      if (decided === undefined) return listener.needless(job);
      const onProgress = (progress: Progress) => listener.progressed(job, progress);
      const run = () => decided.run({ signal, onProgress });
      const told = dryRun ? undefined : await this.#try(run);
      this.#hopeless = 0;
      listener.done(job, decided, told);
    } catch (cause) {
      signal.throwIfAborted();
      if (cause instanceof AssertionError) throw cause;
      const error = wrapError(cause);
      listener.failed(job, error);
      this.#hopeless = mayPass(error) ? this.#hopeless + 1 : 0;
      if (this.#hopeless >= HOPELESS_MAX) throw hopelessError(error);
    } finally {
      if (!signal.aborted) await job.settled?.();
    }
  }

  async #try<T>(task: () => Promise<T>): Promise<T> {
    const { clock, random, signal } = this.#options;
    for (let attempt = 0;; attempt++) {
      try {
        return await task();
      } catch (error) {
        signal.throwIfAborted();
        if (!mayPass(error) || attempt + 1 >= TRIES_MAX) throw error;
        await clock.sleep(backoffMs(attempt, BACKOFF, random), signal);
      }
    }
  }
}

function hopelessError(cause: TydfsError): TydfsError {
  const message = `Stopped: ${HOPELESS_MAX} in a row failed; the last: ${cause.message}`;
  return new TydfsError(cause.code, message, { cause });
}
