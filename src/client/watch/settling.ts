/**
 * Paths that have changed and wait until they are quiet. Each is handed out when a settle time has
 * passed since it was looked at; who takes it looks again, and puts it back when it has changed
 * meanwhile. So nothing depends on the clock of a file system, and a file that grows goes round.
 *
 * What has gone waits longer than what has appeared: it may have appeared under another name. Waits
 * among paths that are worked on point to those handed out before only, so that they can't form a
 * circle.
 */
import type { Clock } from "../../base/clock.ts";
import { orAbort } from "../crew.ts";
import type { LocalEntry } from "../trees/local_tree.ts";
import { directoriesAbove } from "./plan.ts";

/** A path, and what was seen there; undefined when nothing was. */
export interface Sighting {
  path: string;
  seen: LocalEntry | undefined;
}

interface Waiting extends Sighting {
  dueMs: number;
  /** Grows with each that is added. */
  order: number;
}

interface Running {
  order: number;
  /** Grows with each that is handed out. */
  turn: number;
  /** Something was seen, which may turn out to be what is missing elsewhere. */
  appears: boolean;
  decided: PromiseWithResolvers<void>;
  over: PromiseWithResolvers<void>;
}

interface Mark {
  order: number;
  passed: PromiseWithResolvers<void>;
}

export interface SettlingOptions {
  settleMs: number;
  /** What has gone waits longer by this. */
  goneMs: number;
  /** Paths that may wait. */
  max: number;
}

export class Settling {
  readonly #clock: Clock;
  readonly #options: SettlingOptions;
  /** What has appeared or changed, in the order in which it falls due; and what has gone. */
  readonly #queue = new Map<string, Waiting>();
  readonly #gone = new Map<string, Waiting>();
  /** What has failed, and is tried again later; in no order. */
  readonly #held = new Map<string, Waiting>();
  readonly #running = new Map<string, Running>();
  readonly #marks: Mark[] = [];
  #order = 0;
  #turns = 0;
  #closed = false;
  #change = Promise.withResolvers<void>();

  constructor(clock: Clock, options: SettlingOptions) {
    this.#clock = clock;
    this.#options = options;
  }

  /** Paths that wait or are worked on, without those that have failed. */
  get size(): number {
    return this.#queue.size + this.#gone.size + this.#running.size;
  }

  get full(): boolean {
    return this.#queue.size + this.#gone.size >= this.#options.max;
  }

  /** Lets a path settle. One that waits already stays where it is: who takes it looks again. */
  add({ path, seen }: Sighting): void {
    this.#held.delete(path);
    if (this.#queue.has(path)) return;
    const { settleMs, goneMs } = this.#options;
    const queue = seen === undefined ? this.#gone : this.#queue;
    if (queue.has(path)) return;
    this.#gone.delete(path);
    const waitMs = seen === undefined ? settleMs + goneMs : settleMs;
    const dueMs = this.#clock.monotonicMs() + waitMs;
    queue.set(path, { path, seen, dueMs, order: ++this.#order });
    this.#changed();
  }

  /** Hands a path out again after `ms`, unless it is added before. */
  hold({ path, seen }: Sighting, ms: number): void {
    // What finds no place is found again by the next scan.
    if (this.#queue.has(path) || this.#gone.has(path)) return;
    if (this.#held.size >= this.#options.max) return;
    const dueMs = this.#clock.monotonicMs() + ms;
    this.#held.set(path, { path, seen, dueMs, order: ++this.#order });
    this.#changed();
  }

  /** Resolves when there is room for another path. */
  async room(signal: AbortSignal): Promise<void> {
    while (this.full) await orAbort(this.#change.promise, signal);
  }

  /**
   * The next path that is due; undefined once `close` was called. It counts as worked on until
   * `done`, and is not handed out a second time before that.
   */
  async take(signal: AbortSignal): Promise<Sighting | undefined> {
    for (;;) {
      signal.throwIfAborted();
      if (this.#closed) return undefined;
      const next = this.#next();
      const waitMs = next && next.dueMs - this.#clock.monotonicMs();
      if (next !== undefined && waitMs !== undefined && waitMs <= 0) {
        const taken = this.#hand(next);
        this.#changed();
        return taken;
      }
      await this.#wait(waitMs, signal);
    }
  }

  /**
   * The next paths that are due now, as `take` hands them out: at most `max`, up to the first that
   * `accept` refuses.
   */
  takeMore(max: number, accept: (sighting: Sighting) => boolean): Sighting[] {
    const taken: Sighting[] = [];
    while (!this.#closed && taken.length < max) {
      const next = this.#next();
      if (next === undefined || next.dueMs > this.#clock.monotonicMs() || !accept(next)) break;
      taken.push(this.#hand(next));
    }
    if (taken.length > 0) this.#changed();
    return taken;
  }

  /** What a path is, new or moved, is decided; what follows may take long. */
  decided(path: string): void {
    this.#running.get(path)?.decided.resolve();
  }

  /** The work on a path is over. */
  done(path: string): void {
    const running = this.#running.get(path);
    running?.decided.resolve();
    running?.over.resolve();
    this.#running.delete(path);
    this.#changed();
  }

  /**
   * Resolves when work on `path` may go on: that on the directories above it is over, and, if
   * nothing was seen there, that on what appeared before it is decided: it may be the same file
   * under its new name.
   */
  async turn({ path, seen }: Sighting): Promise<void> {
    const turn = this.#running.get(path)?.turn ?? 0;
    const above = new Set(directoriesAbove(path));
    const waits: Promise<void>[] = [];
    for (const [other, running] of this.#running) {
      if (running.turn >= turn) continue;
      if (above.has(other)) waits.push(running.over.promise);
      else if (seen === undefined && running.appears) waits.push(running.decided.promise);
    }
    await Promise.all(waits);
  }

  /** Resolves when all that was added before this call has been taken, and done, once. */
  mark(): Promise<void> {
    const mark = { order: this.#order, passed: Promise.withResolvers<void>() };
    this.#marks.push(mark);
    this.#passMarks();
    return mark.passed.promise;
  }

  /** Nothing is handed out any more. */
  close(): void {
    this.#closed = true;
    this.#changed();
  }

  /** A path is worked on from now on. */
  #hand({ path, seen, order }: Waiting): Sighting {
    for (const queue of [this.#queue, this.#gone, this.#held]) queue.delete(path);
    this.#running.set(path, {
      order,
      turn: ++this.#turns,
      appears: seen !== undefined,
      decided: Promise.withResolvers(),
      over: Promise.withResolvers(),
    });
    return { path, seen };
  }

  /** The path that falls due first. */
  #next(): Waiting | undefined {
    let next: Waiting | undefined;
    const compare = (waiting: Waiting) => {
      if (next === undefined || waiting.dueMs < next.dueMs) next = waiting;
    };
    for (const queue of [this.#queue, this.#gone]) {
      for (const waiting of queue.values()) {
        if (this.#running.has(waiting.path)) continue;
        compare(waiting);
        break;
      }
    }
    for (const waiting of this.#held.values()) {
      if (!this.#running.has(waiting.path)) compare(waiting);
    }
    return next;
  }

  async #wait(ms: number | undefined, signal: AbortSignal): Promise<void> {
    const due = Promise.withResolvers<void>();
    const timer = ms === undefined ? undefined : this.#clock.after(ms, due.resolve);
    try {
      await orAbort(Promise.race([this.#change.promise, due.promise]), signal);
    } finally {
      timer?.stop();
    }
  }

  #changed(): void {
    this.#change.resolve();
    this.#change = Promise.withResolvers();
    this.#passMarks();
  }

  #passMarks(): void {
    if (this.#marks.length === 0) return;
    let first = Infinity;
    for (const { order } of this.#running.values()) first = Math.min(first, order);
    for (const queue of [this.#queue, this.#gone]) {
      for (const { order } of queue.values()) {
        first = Math.min(first, order);
        break;
      }
    }
    while (this.#marks[0] !== undefined && this.#marks[0].order < first) {
      this.#marks.shift()?.passed.resolve();
    }
  }
}
