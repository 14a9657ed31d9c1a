/** Whether the master can be reached: who finds it away waits here until it is back. */
import type { Clock } from "../base/clock.ts";
import { backoffMs } from "../base/limit.ts";
import type { Random } from "../base/random.ts";
import { hasCode } from "../wire/errors.ts";

const PAUSE = { firstMs: 500, maxMs: 15_000 };

export type PresenceEvent =
  /** The master can't be reached. */
  | { kind: "away"; error: unknown }
  | { kind: "back"; afterMs: number };

export interface PresenceEffects {
  clock: Clock;
  random: Random;
  /** Throws while the master is away. */
  probe: (signal: AbortSignal) => Promise<unknown>;
  onEvent: (event: PresenceEvent) => void;
}

/** Whether an error says that the master can't be reached, rather than what it answered. */
export function saysAway(error: unknown): boolean {
  return hasCode(error, "no-master", "timeout", "unavailable");
}

export class Presence {
  readonly #effects: PresenceEffects;
  #waiting: Promise<void> | undefined;

  constructor(effects: PresenceEffects) {
    this.#effects = effects;
  }

  /** Resolves at once unless the master is known to be away; then when it is back. */
  async untilBack(): Promise<void> {
    await this.#waiting;
  }

  /** The master was found to be away by this error: resolves when it is back. */
  async wait(error: unknown, signal: AbortSignal): Promise<void> {
    this.#waiting ??= this.#probe(error, signal).finally(() => this.#waiting = undefined);
    await this.#waiting;
  }

  async #probe(error: unknown, signal: AbortSignal): Promise<void> {
    const { clock, random, probe, onEvent } = this.#effects;
    const startMs = clock.monotonicMs();
    onEvent({ kind: "away", error });
    for (let attempt = 0;; attempt++) {
      await clock.sleep(backoffMs(attempt, PAUSE, random), signal);
      try {
        await probe(signal);
        break;
      } catch (cause) {
        signal.throwIfAborted();
        // Else it answers, if only that something is wrong with the question.
        if (!saysAway(cause)) break;
      }
    }
    onEvent({ kind: "back", afterMs: clock.monotonicMs() - startMs });
  }
}
