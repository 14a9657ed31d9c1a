/** A clock for tests: time moves only when the test says so. */
import type { Clock, Timer } from "../src/base/clock.ts";

interface Waiter {
  atMs: number;
  everyMs: number | undefined;
  callback: () => void;
}

export class ManualClock implements Clock {
  #nowMs = 1_000_000;
  readonly #waiters = new Set<Waiter>();

  wallMs(): number {
    return 1_700_000_000_000 + this.#nowMs;
  }

  monotonicMs(): number {
    return this.#nowMs;
  }

  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      if (signal?.aborted) return reject(signal.reason);
      const timer = this.after(ms, resolve);
      signal?.addEventListener("abort", () => {
        timer.stop();
        reject(signal.reason);
      }, { once: true });
    });
  }

  after(ms: number, callback: () => void): Timer {
    return this.#add({ atMs: this.#nowMs + ms, everyMs: undefined, callback });
  }

  every(ms: number, callback: () => void): Timer {
    return this.#add({ atMs: this.#nowMs + ms, everyMs: ms, callback });
  }

  /**
   * Moves time on by `ms`, firing what falls due, in order, and lets promises settle in between.
   */
  async advance(ms: number): Promise<void> {
    const endMs = this.#nowMs + ms;
    for (;;) {
      await settle();
      const due = this.#next();
      if (due === undefined || due.atMs > endMs) break;
      this.#fire(due);
    }
    this.#nowMs = endMs;
    await settle();
  }

  /** Lets time fly from one waiter to the next until `promise` settles. */
  async runUntil<T>(promise: Promise<T>): Promise<T> {
    let settled = false;
    promise.then(() => settled = true, () => settled = true);
    for (let step = 0; step < 100_000; step++) {
      await settle();
      if (settled) break;
      const due = this.#next();
      if (due !== undefined) this.#fire(due);
    }
    return await promise;
  }

  #add(waiter: Waiter): Timer {
    this.#waiters.add(waiter);
    return { stop: () => void this.#waiters.delete(waiter) };
  }

  #next(): Waiter | undefined {
    let first: Waiter | undefined;
    for (const waiter of this.#waiters) {
      if (first === undefined || waiter.atMs < first.atMs) first = waiter;
    }
    return first;
  }

  #fire(waiter: Waiter): void {
    this.#nowMs = Math.max(this.#nowMs, waiter.atMs);
    if (waiter.everyMs === undefined) this.#waiters.delete(waiter);
    else waiter.atMs += waiter.everyMs;
    waiter.callback();
  }
}

function settle(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
