/** Whether the master can be reached: who finds it away waits here until it is back. */
import type { Clock } from "../../base/clock.ts";
import { backoffMs } from "../../base/limit.ts";
import type { Random } from "../../base/random.ts";
import { decideFailure } from "./failure.ts";
import type { WatchListener } from "./event.ts";

const PAUSE = { firstMs: 500, maxMs: 15_000 };

export interface PresenceEffects {
  clock: Clock;
  random: Random;
  /** Throws while the master is away. */
  probe: (signal: AbortSignal) => Promise<unknown>;
  onEvent: WatchListener;
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
        return onEvent({ kind: "back", afterMs: clock.monotonicMs() - startMs });
      } catch (cause) {
        signal.throwIfAborted();
        // It answers, if only that something is wrong with the question.
        if (decideFailure(cause, 0).kind !== "wait") {
          return onEvent({ kind: "back", afterMs: clock.monotonicMs() - startMs });
        }
      }
    }
  }
}
