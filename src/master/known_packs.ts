/** What is remembered of packs that could not be compacted, or are not worth it: bounded. */
import type { Clock } from "../base/clock.ts";
import { backoffMs } from "../base/limit.ts";
import type { Random } from "../base/random.ts";

/** Packs of which something is remembered. */
export const KNOWN_MAX = 10_000;
const PAUSE = { firstMs: 5_000, maxMs: 10 * 60_000 };

interface Known {
  /** Bytes that lived then: when fewer do, it is worth another look. */
  live: number;
  failures: number;
  untilMs: number;
}

type Pack = { id: string; live: number };

export class KnownPacks {
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #known = new Map<string, Known>();

  constructor(clock: Clock, random: Random) {
    this.#clock = clock;
    this.#random = random;
  }

  /** Whether a pack may be looked at (again). */
  isDue({ id, live }: Pack): boolean {
    const known = this.#known.get(id);
    return known === undefined || live < known.live || this.#clock.monotonicMs() >= known.untilMs;
  }

  /** It is not worth it, or can't be done: it stays until fewer of its bytes live. */
  leave({ id, live }: Pack): void {
    this.#remember(id, { live, failures: 0, untilMs: Infinity });
  }

  /** It could not be done now. The pause grows with each failure. */
  fail({ id }: Pack): void {
    const failures = (this.#known.get(id)?.failures ?? 0) + 1;
    const pauseMs = backoffMs(failures - 1, PAUSE, this.#random);
    // Whatever lives less then, a fault does not pass sooner for it.
    this.#remember(id, { live: 0, failures, untilMs: this.#clock.monotonicMs() + pauseMs });
  }

  /** It was done. */
  forget(id: string): void {
    this.#known.delete(id);
  }

  /** When there is no room, what was learned first is forgotten: it is learned again. */
  #remember(id: string, known: Known): void {
    this.#known.delete(id);
    const [oldest] = this.#known.size >= KNOWN_MAX ? this.#known.keys() : [];
    if (oldest !== undefined) this.#known.delete(oldest);
    this.#known.set(id, known);
  }
}
