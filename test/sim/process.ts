/**
 * A simulated process: it has a clock of its own machine, and once it is killed nothing of it goes
 * on: its timers are gone, and what it waits for never comes.
 */
import type { Clock, Timer } from "../../src/base/clock.ts";
import type { VirtualTime } from "./virtual_time.ts";

/** Thrown into code of a process that is dead already. Nobody may see it. */
export class DeadProcess extends Error {
  override name = "DeadProcess";
}

/** A machine's wall clock, which may be wrong and jump. */
export interface WallClock {
  offsetMs: number;
}

const WALL_START_MS = 1_700_000_000_000;

export class SimProcess {
  readonly name: string;
  /** The machine it runs on, by which links are named. */
  readonly node: string;
  readonly clock: Clock;
  readonly #time: VirtualTime;
  readonly #onKill: (() => void)[] = [];
  #alive = true;

  constructor(name: string, node: string, time: VirtualTime, wall: WallClock) {
    this.name = name;
    this.node = node;
    this.#time = time;
    this.clock = {
      wallMs: () => WALL_START_MS + Math.floor(time.nowMs) + wall.offsetMs,
      monotonicMs: () => time.nowMs,
      sleep: (ms, signal) => this.#sleep(ms, signal),
      after: (ms, callback) => this.after(ms, callback),
      every: (ms, callback) => this.#every(ms, callback),
    };
  }

  get alive(): boolean {
    return this.#alive;
  }

  /** Ends it at once, as `kill -9` does. */
  kill(): void {
    if (!this.#alive) return;
    this.#alive = false;
    for (const callback of this.#onKill.splice(0)) callback();
  }

  /** Calls back when the process dies: its sockets close. */
  onKill(callback: () => void): void {
    this.#onKill.push(callback);
  }

  /** Throws in a process that is dead. */
  check(): void {
    if (!this.#alive) throw new DeadProcess(`${this.name} is dead`);
  }

  /** Calls back after `ms`, if the process lives then. */
  after(ms: number, callback: () => void): Timer {
    return this.#time.after(ms, () => {
      if (this.#alive) callback();
    });
  }

  /** What a call to the outside comes to after `ms`; nothing, ever, if the process is dead then. */
  later<T>(ms: number, task: () => T): Promise<T> {
    return new Promise((resolve, reject) => {
      this.after(ms, () => {
        try {
          resolve(task());
        } catch (error) {
          reject(error);
        }
      });
    });
  }

  #sleep(ms: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      if (signal?.aborted) return reject(signal.reason);
      const timer = this.after(ms, () => {
        signal?.removeEventListener("abort", onAbort);
        resolve();
      });
      function onAbort() {
        timer.stop();
        reject(signal?.reason);
      }
      signal?.addEventListener("abort", onAbort, { once: true });
    });
  }

  #every(ms: number, callback: () => void): Timer {
    let stopped = false;
    let timer: Timer;
    const next = () => {
      timer = this.after(ms, () => {
        next();
        callback();
      });
    };
    next();
    return {
      stop: () => {
        if (stopped) return;
        stopped = true;
        timer.stop();
      },
    };
  }
}
