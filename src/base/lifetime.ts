/**
 * Owners and what they own: parts are started in order and stopped in reverse, each within a
 * deadline.
 */
import type { Clock } from "./clock.ts";
import { withTimeout } from "./clock.ts";
import type { Log } from "./log.ts";

interface Part {
  name: string;
  stop: () => void | Promise<void>;
}

/** Collects what must be stopped; `stop` undoes everything, last first, and never hangs. */
export class Lifetime {
  readonly #parts: Part[] = [];
  readonly #clock: Clock;
  readonly #log: Log;
  #stopping: Promise<void> | undefined;

  constructor(clock: Clock, log: Log) {
    this.#clock = clock;
    this.#log = log;
  }

  /** Registers how a part that has just been started is stopped. */
  own(name: string, stop: () => void | Promise<void>): void {
    this.#parts.push({ name, stop });
  }

  /** Stops all parts in reverse order; a part gets `partMs` at most. Safe to call again. */
  stop(partMs: number): Promise<void> {
    this.#stopping ??= this.#stopAll(partMs);
    return this.#stopping;
  }

  async #stopAll(partMs: number): Promise<void> {
    for (let part = this.#parts.pop(); part !== undefined; part = this.#parts.pop()) {
      const { name, stop } = part;
      try {
        const late = () => new Error(`no end within ${partMs} ms`);
        await withTimeout(this.#clock, Promise.resolve(stop()), partMs, late);
      } catch (error) {
        this.#log.warn("Cannot stop a part in good order", { part: name, error });
      }
    }
  }
}
