/**
 * Runs the jobs of a tree: several at once, found while others run, each tried again where a fault
 * may pass. A failure is told and never stops the others, unless nothing gets through any more.
 */
import { AssertionError } from "../../base/assert.ts";
import { backoffMs, forEachLimited, Limiter } from "../../base/limit.ts";
import { mayPass, TydfsError, wrapError } from "../../wire/errors.ts";
import type { Progress } from "../context.ts";
import type { Bundler, Job, RunOptions } from "./job.ts";
import type { Bundle } from "./job_queue.ts";
import { JobQueue } from "./job_queue.ts";

export type * from "./job.ts";

/** Jobs that may wait: enough to tell ahead how much there is to do. */
const WAITING_MAX = 4096;
const TRIES_MAX = 3;
const BACKOFF = { firstMs: 1_000, maxMs: 10_000 };
/** So many jobs in a row that nothing but a passing fault ends: the cluster is away. */
const HOPELESS_MAX = 16;
/** Jobs of one bundle that decide at once. */
const DECISIONS_AT_ONCE = 8;

/**
 * Runs all jobs. Throws the signal's reason when it aborts, what finding jobs throws, and the last
 * failure when nothing gets through any more.
 */
export async function runJobs(jobs: AsyncIterable<Job>, options: RunOptions): Promise<void> {
  const { listener, clock } = options;
  const queue = new JobQueue({ clock, waitingMax: WAITING_MAX });
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
    for (let next = await queue.pull(); next !== undefined; next = await queue.pull()) {
      signal.throwIfAborted();
      await runner.run(next);
      queue.over(next);
    }
  };
  const crew = [find, ...Array.from({ length: options.transfers }, () => work)];
  await Promise.all(crew.map((member) => member().catch(stop)));
  options.signal.removeEventListener("abort", onAbort);
  options.signal.throwIfAborted();
  if (failure !== undefined) throw failure.error;
}

/** A job that has begun, and what it has decided to be. */
interface Begun {
  job: Job;
  decided: Job;
}

class Runner {
  readonly #options: RunOptions;
  /** Jobs by themselves, also those that a bundle was left with: no more than workers at once. */
  readonly #places: Limiter;
  /** Jobs that only passing faults have ended, since the last one that came to an end. */
  #hopeless = 0;

  constructor(options: RunOptions) {
    this.#options = options;
    this.#places = new Limiter(options.transfers);
  }

  /** Runs one job, or a bundle of them, to the end. Throws only what ends the others, too. */
  async run({ jobs, bundler }: Bundle): Promise<void> {
    const { transfers, signal } = this.#options;
    const runSingle = (task: () => Promise<void>) =>
      this.#places.run(async () => {
        signal.throwIfAborted();
        await task();
      });
    if (bundler === undefined || jobs.length === 1) {
      for (const job of jobs) await runSingle(() => this.#runSingle(job));
      return;
    }
    const left = await this.#runBundle(jobs, bundler);
    await forEachLimited(left, transfers, (begun) => runSingle(() => this.#runDecided(begun)));
  }

  async #runSingle(job: Job): Promise<void> {
    const begun = await this.#begin(job);
    if (begun !== undefined) await this.#runDecided(begun);
  }

  /** Does a bundle; returns what is left to be run one by one. */
  async #runBundle(jobs: readonly Job[], bundler: Bundler): Promise<Begun[]> {
    const { listener, signal, dryRun } = this.#options;
    const begun: Begun[] = [];
    for (const job of jobs) {
      if (job.decide !== undefined) continue;
      listener.started(job);
      begun.push({ job, decided: job });
    }
    const deciding = jobs.filter(({ decide }) => decide !== undefined);
    await forEachLimited(deciding, DECISIONS_AT_ONCE, async (job) => {
      const decided = await this.#begin(job);
      if (decided !== undefined) begun.push(decided);
    });
    const together = begun.filter(({ decided }) => decided.bundler === bundler);
    if (dryRun || together.length < 2) return begun;
    const jobByDecided = new Map(together.map(({ job, decided }) => [decided, job]));
    const told = await bundler.run(together.map(({ decided }) => decided), {
      signal,
      onProgress: (decided, progress) => {
        const job = jobByDecided.get(decided);
        if (job !== undefined) listener.progressed(job, progress);
      },
    });
    signal.throwIfAborted();
    const left = begun.filter(({ decided }) => decided.bundler !== bundler);
    for (const [at, one] of together.entries()) {
      const outcome = told[at];
      if (outcome === undefined) left.push(one);
      else if (outcome instanceof TydfsError) await this.#fail(one.job, outcome);
      else await this.#succeed(one, outcome);
    }
    return left;
  }

  /** Lets a job decide what it is. Undefined when it is over with that. */
  async #begin(job: Job): Promise<Begun | undefined> {
    const { listener, signal } = this.#options;
    const { decide } = job;
    listener.started(job);
    if (decide === undefined) return { job, decided: job };
    let decided: Job | undefined;
    try {
      decided = await this.#try(() => decide(signal));
    } catch (cause) {
      await this.#fail(job, cause);
      return undefined;
    }
    if (decided !== undefined) return { job, decided };
    listener.needless(job);
    await this.#settle(job);
    return undefined;
  }

  async #runDecided(begun: Begun): Promise<void> {
    const { listener, signal, dryRun } = this.#options;
    const { job, decided } = begun;
    let told: unknown;
    try {
      const onProgress = (progress: Progress) => listener.progressed(job, progress);
      if (!dryRun) told = await this.#try(() => decided.run({ signal, onProgress }));
    } catch (cause) {
      return await this.#fail(job, cause);
    }
    await this.#succeed(begun, told);
  }

  async #succeed({ job, decided }: Begun, told: unknown): Promise<void> {
    this.#hopeless = 0;
    this.#options.listener.done(job, decided, told);
    await this.#settle(job);
  }

  /** Tells of a failure. Throws when it is one of all. */
  async #fail(job: Job, cause: unknown): Promise<void> {
    this.#options.signal.throwIfAborted();
    if (cause instanceof AssertionError) throw cause;
    const error = wrapError(cause);
    this.#options.listener.failed(job, error);
    this.#hopeless = mayPass(error) ? this.#hopeless + 1 : 0;
    await this.#settle(job);
    if (this.#hopeless >= HOPELESS_MAX) throw hopelessError(error);
  }

  async #settle(job: Job): Promise<void> {
    if (job.settled !== undefined && !this.#options.signal.aborted) await job.settled();
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
