/** Chunks that wait for repair: bounded, the most endangered first, and pauses after failures. */
import type { Clock } from "../base/clock.ts";
import { backoffMs } from "../base/limit.ts";
import type { Random } from "../base/random.ts";

/** A chunk that needs a copy. */
export interface RepairJob {
  chunk: string;
  /** The lower, the sooner: its live copies, and so much more for a move. */
  rank: number;
}

const PAUSE = { firstMs: 1_000, maxMs: 60_000 };

export class RepairQueue {
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #max: number;
  readonly #jobs = new Map<string, RepairJob>();
  readonly #pauses = new Map<string, { failures: number; untilMs: number }>();

  constructor(clock: Clock, random: Random, max: number) {
    this.#clock = clock;
    this.#random = random;
    this.#max = max;
  }

  get size(): number {
    return this.#jobs.size;
  }

  /**
   * Adds a job, or renews what is known of it. When there is no room, the least endangered goes: a
   * later pass finds it again.
   */
  offer(job: RepairJob): void {
    if (this.#isPaused(job.chunk)) return;
    if (this.#jobs.size >= this.#max && !this.#jobs.has(job.chunk)) {
      const least = this.#pick((left, right) => left.rank > right.rank);
      if (least === undefined || least.rank <= job.rank) return;
      this.#jobs.delete(least.chunk);
    }
    this.#jobs.set(job.chunk, job);
  }

  /** Takes the most endangered job out. */
  take(): RepairJob | undefined {
    const job = this.#pick((left, right) => left.rank < right.rank);
    if (job !== undefined) this.#jobs.delete(job.chunk);
    return job;
  }

  /** Forgets all jobs: a new pass brings those that still stand. */
  clear(): void {
    this.#jobs.clear();
  }

  /** The job has failed: it is not taken up again before a pause that grows with each failure. */
  fail(chunk: string): void {
    const nowMs = this.#clock.monotonicMs();
    const failures = (this.#pauses.get(chunk)?.failures ?? 0) + 1;
    if (this.#pauses.size >= this.#max) this.#dropOldPauses(nowMs);
    if (this.#pauses.size >= this.#max) return;
    const pauseMs = backoffMs(failures - 1, PAUSE, this.#random);
    this.#pauses.set(chunk, { failures, untilMs: nowMs + pauseMs });
  }

  /** The job is done: its failures are forgotten. */
  succeed(chunk: string): void {
    this.#pauses.delete(chunk);
  }

  #isPaused(chunk: string): boolean {
    const pause = this.#pauses.get(chunk);
    return pause !== undefined && pause.untilMs > this.#clock.monotonicMs();
  }

  #dropOldPauses(nowMs: number): void {
    for (const [chunk, { untilMs }] of this.#pauses) {
      if (untilMs < nowMs) this.#pauses.delete(chunk);
    }
  }

  /** The first job that stands before all others by `before`. */
  #pick(before: (left: RepairJob, right: RepairJob) => boolean): RepairJob | undefined {
    let best: RepairJob | undefined;
    for (const job of this.#jobs.values()) {
      if (best === undefined || before(job, best)) best = job;
    }
    return best;
  }
}
