/**
 * Virtual time: a heap of timers, and turns of an event loop that is nobody's but ours. All that
 * happens in a simulated cluster happens in `settle` (promises and turns) or in a timer; nothing
 * waits for the machine, so that one seed always gives one history.
 */
import { drainMicrotasks } from "bun:jsc";
import type { Timer } from "../../src/base/clock.ts";

interface Entry {
  atMs: number;
  /** Ties are broken by age. */
  no: number;
  callback: (() => void) | undefined;
}

/** Turns of the event loop in which nothing may be left to do; more means an endless loop. */
const TURNS_MAX = 100_000;

export class VirtualTime {
  /** Fires what falls due; errors of callbacks go to `onError`. */
  onError: (error: unknown) => void = (error) => {
    throw error;
  };
  #nowMs = 1_000_000;
  #lastNo = 0;
  readonly #heap: Entry[] = [];
  readonly #turns: (() => void)[] = [];

  get nowMs(): number {
    return this.#nowMs;
  }

  /** Calls back once after `ms`. */
  after(ms: number, callback: () => void): Timer {
    const entry: Entry = { atMs: this.#nowMs + Math.max(0, ms), no: ++this.#lastNo, callback };
    this.#push(entry);
    return { stop: () => void (entry.callback = undefined) };
  }

  /**
   * Takes over what the code under test has of the machine's event loop. Returns how to give it
   * back.
   */
  install(): () => void {
    const real = { setImmediate: globalThis.setImmediate, queueMicrotask };
    const guarded = (task: () => void) => () => {
      try {
        task();
      } catch (error) {
        this.onError(error);
      }
    };
    Object.assign(globalThis, {
      setImmediate: (task: () => void) => void this.#turns.push(guarded(task)),
      queueMicrotask: (task: () => void) => real.queueMicrotask(guarded(task)),
    });
    return () => void Object.assign(globalThis, real);
  }

  /**
   * Lets promises and turns run until nothing is left to do at this moment. Not to be called from a
   * promise: the engine drains no queue within itself.
   */
  settle(): void {
    for (let turn = 0; turn < TURNS_MAX; turn++) {
      drainMicrotasks();
      const task = this.#turns.shift();
      if (task === undefined) return;
      task();
    }
    throw new Error("The simulated event loop does not come to rest");
  }

  /** Fires the next timer, and lets what follows settle; false when there is none. */
  step(): boolean {
    for (;;) {
      const entry = this.#pop();
      if (entry === undefined) return false;
      const { callback } = entry;
      if (callback === undefined) continue;
      this.#nowMs = Math.max(this.#nowMs, entry.atMs);
      entry.callback = undefined;
      try {
        callback();
      } catch (error) {
        this.onError(error);
      }
      this.settle();
      return true;
    }
  }

  /** Lets time pass until `done`, for `ms` at most; whether it came about. */
  runUntil(done: () => boolean, ms: number): boolean {
    const endMs = this.#nowMs + ms;
    this.settle();
    while (!done()) {
      const next = this.#heap[0];
      if (next === undefined || next.atMs > endMs) {
        this.#nowMs = endMs;
        return done();
      }
      this.step();
    }
    return true;
  }

  #push(entry: Entry): void {
    const heap = this.#heap;
    let at = heap.length;
    heap.push(entry);
    while (at > 0) {
      const up = (at - 1) >> 1;
      const parent = heap[up] as Entry;
      if (!before(entry, parent)) break;
      heap[at] = parent;
      at = up;
    }
    heap[at] = entry;
  }

  #pop(): Entry | undefined {
    const heap = this.#heap;
    const first = heap[0];
    const last = heap.pop();
    if (first === undefined || last === undefined || heap.length === 0) return first;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= heap.length) break;
      const right = heap[child + 1];
      if (right !== undefined && before(right, heap[child] as Entry)) child++;
      const next = heap[child] as Entry;
      if (!before(next, last)) break;
      heap[at] = next;
      at = child;
    }
    heap[at] = last;
    return first;
  }
}

function before(left: Entry, right: Entry): boolean {
  return left.atMs < right.atMs || (left.atMs === right.atMs && left.no < right.no);
}
