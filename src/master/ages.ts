/** Since when things have been seen, by key: bounded, and forgotten once they are seen no more. */
import type { Clock } from "../base/clock.ts";

export class Ages {
  readonly #clock: Clock;
  readonly #max: number;
  readonly #seen = new Map<string, { sinceMs: number; latestMs: number }>();

  constructor(clock: Clock, max: number) {
    this.#clock = clock;
    this.#max = max;
  }

  /**
   * Notes that `key` is seen now. Returns for how long it has been; 0 the first time, and while
   * there is no room.
   */
  see(key: string): number {
    const nowMs = this.#clock.monotonicMs();
    const entry = this.#seen.get(key);
    if (entry !== undefined) {
      entry.latestMs = nowMs;
      return nowMs - entry.sinceMs;
    }
    if (this.#seen.size < this.#max) this.#seen.set(key, { sinceMs: nowMs, latestMs: nowMs });
    return 0;
  }

  /** Forgets what was not seen since `beforeMs`. */
  forget(beforeMs: number): void {
    for (const [key, { latestMs }] of this.#seen) {
      if (latestMs < beforeMs) this.#seen.delete(key);
    }
  }
}
