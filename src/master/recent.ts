/** A bounded set of what happened a short while ago: for doing a thing at most once in a period. */
import type { Clock } from "../base/clock.ts";

export class RecentSet {
  readonly #clock: Clock;
  readonly #periodMs: number;
  readonly #max: number;
  readonly #untilByKey = new Map<string, number>();

  constructor(clock: Clock, options: { periodMs: number; max: number }) {
    this.#clock = clock;
    this.#periodMs = options.periodMs;
    this.#max = options.max;
  }

  /** Adds `key`; false when it is in already, or when there are too many. */
  add(key: string): boolean {
    const nowMs = this.#clock.monotonicMs();
    // Keys stand in the order of their ends, since all have the same period.
    for (const [old, untilMs] of this.#untilByKey) {
      if (untilMs > nowMs) break;
      this.#untilByKey.delete(old);
    }
    if (this.#untilByKey.has(key) || this.#untilByKey.size >= this.#max) return false;
    this.#untilByKey.set(key, nowMs + this.#periodMs);
    return true;
  }
}
