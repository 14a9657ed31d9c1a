/**
 * Keepers that this client could not reach a short while ago. A keeper that hangs costs seconds
 * until that is known: whoever finds it out spares all other chunks and files the same wait.
 */
import type { Clock } from "../base/clock.ts";

/** Time for which others are preferred; it may be long over by then. */
const MEMORY_MS = 30_000;
/** Keepers that are remembered; of more the oldest go. */
const KEEPERS_MAX = 64;

export class RecentFailures {
  readonly #clock: Clock;
  /** When each failed last, the oldest first. */
  readonly #failedMs = new Map<string, number>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Notes that a keeper can't be reached, or is too slow. */
  note(keeper: string): void {
    this.#failedMs.delete(keeper);
    this.#failedMs.set(keeper, this.#clock.monotonicMs());
    const [oldest] = this.#failedMs.keys();
    if (this.#failedMs.size > KEEPERS_MAX && oldest !== undefined) this.#failedMs.delete(oldest);
  }

  /** Notes that a keeper has done what it was to do. */
  forgive(keeper: string): void {
    this.#failedMs.delete(keeper);
  }

  /** Whether a keeper failed a short while ago. */
  has(keeper: string): boolean {
    const failedMs = this.#failedMs.get(keeper);
    if (failedMs === undefined) return false;
    if (this.#clock.monotonicMs() - failedMs < MEMORY_MS) return true;
    this.#failedMs.delete(keeper);
    return false;
  }

  /** All that failed a short while ago. */
  all(): string[] {
    return [...this.#failedMs.keys()].filter((keeper) => this.has(keeper));
  }
}
