/**
 * Limits on work that runs at once, and pauses between tries. Every queue here is bounded by its
 * callers.
 */
import type { Clock } from "./clock.ts";
import type { Random } from "./random.ts";

/** At most `max` tasks at once; the others wait their turn, first come first served. */
export class Limiter {
  readonly #max: number;
  readonly #waiting: (() => void)[] = [];
  #running = 0;

  constructor(max: number) {
    this.#max = max;
  }

  /** Tasks under way. */
  get running(): number {
    return this.#running;
  }

  /** Runs `task` when a place is free, and settles as it does. */
  async run<T>(task: () => Promise<T>): Promise<T> {
    if (this.#running >= this.#max) {
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    } else {
      this.#running++;
    }
    try {
      return await task();
    } finally {
      // The place goes straight to the next in line, so that `#running` never exceeds `#max`.
      const next = this.#waiting.shift();
      if (next === undefined) this.#running--;
      else next();
    }
  }
}

/**
 * Holds a flow of bytes to a pace: a token bucket, told as the time at which what has flowed so far
 * is paid for. What was not used for a while may be used at once, up to `BURST_MS` of it.
 */
export class Pacer {
  readonly #clock: Clock;
  readonly #bytesPerSecond: number;
  #paidMs: number;

  /** `bytesPerSecond` is above 0. */
  constructor(clock: Clock, bytesPerSecond: number) {
    this.#clock = clock;
    this.#bytesPerSecond = bytesPerSecond;
    this.#paidMs = clock.monotonicMs();
  }

  /** Waits until so many bytes more may flow. Rejects with the signal's reason when it aborts. */
  async pass(bytes: number, signal?: AbortSignal): Promise<void> {
    const nowMs = this.#clock.monotonicMs();
    this.#paidMs = Math.max(this.#paidMs, nowMs - BURST_MS) + bytes / this.#bytesPerSecond * 1000;
    if (this.#paidMs > nowMs) await this.#clock.sleep(this.#paidMs - nowMs, signal);
  }
}

/** Unused time that a `Pacer` lets one make up for. */
const BURST_MS = 100;

/**
 * Applies `work` to each item with at most `max` under way; stops handing out at the first failure,
 * waits for what runs, then throws that failure.
 */
export async function forEachLimited<T>(
  items: Iterable<T> | AsyncIterable<T>,
  max: number,
  work: (item: T) => Promise<void>,
): Promise<void> {
  const failures: unknown[] = [];
  const running = new Set<Promise<void>>();
  for await (const item of items) {
    if (failures.length > 0) break;
    const task = work(item).catch((error) => void failures.push(error)).finally(() => {
      running.delete(task);
    });
    running.add(task);
    if (running.size >= max) await Promise.race(running);
  }
  await Promise.all(running);
  if (failures.length > 0) throw failures[0];
}

export interface BackoffOptions {
  firstMs: number;
  maxMs: number;
}

/**
 * The pause before try number `attempt` (0 is the first repetition): exponential with full jitter
 * (Brooker, "Exponential Backoff And Jitter", AWS 2015), so that many waiters do not return at
 * once.
 */
export function backoffMs(attempt: number, options: BackoffOptions, random: Random): number {
  const ceiling = Math.min(options.maxMs, options.firstMs * 2 ** Math.min(attempt, 30));
  return ceiling / 2 + random.next() * ceiling / 2;
}

export interface RetryOptions extends BackoffOptions {
  clock: Clock;
  random: Random;
  /** No new try begins later than this after the first one. */
  forMs: number;
  /** Whether this failure may pass. */
  retryable: (error: unknown) => boolean;
  signal?: AbortSignal;
}

/**
 * Tries `task` until it succeeds, fails for good, or the time is up; then throws its last failure.
 */
export async function retry<T>(
  task: (attempt: number) => Promise<T>,
  options: RetryOptions,
): Promise<T> {
  const startMs = options.clock.monotonicMs();
  for (let attempt = 0;; attempt++) {
    try {
      return await task(attempt);
    } catch (error) {
      const pauseMs = backoffMs(attempt, options, options.random);
      const late = options.clock.monotonicMs() + pauseMs - startMs > options.forMs;
      if (late || options.signal?.aborted || !options.retryable(error)) throw error;
      await options.clock.sleep(pauseMs, options.signal);
    }
  }
}
