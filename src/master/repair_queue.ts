/**
 * Chunks that wait for a copy: bounded, the most endangered first and then first come first served;
 * and pauses after failures. Passes over the catalog fill it: what a whole pass has not offered
 * again has been settled otherwise, and goes.
 */
import type { Clock } from "../base/clock.ts";
import { backoffMs } from "../base/limit.ts";
import type { Random } from "../base/random.ts";

/** A chunk that needs a copy. */
export interface RepairJob {
  chunk: string;
  /** The lower, the sooner: its live copies, and so much more for a move. */
  rank: number;
  /** Bytes that are to be copied. */
  sizeBytes: number;
}

interface Waiting extends RepairJob {
  /** The pass that has offered it last. */
  pass: number;
}

const PAUSE = { firstMs: 1_000, maxMs: 60_000 };

export class RepairQueue {
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #max: number;
  readonly #jobsByRank = new Map<number, Map<string, Waiting>>();
  readonly #ranks = new Map<string, number>();
  readonly #pauses = new Map<string, { failures: number; untilMs: number }>();
  #sizeBytes = 0;
  #pass = 0;

  constructor(clock: Clock, random: Random, max: number) {
    this.#clock = clock;
    this.#random = random;
    this.#max = max;
  }

  get size(): number {
    return this.#ranks.size;
  }

  /** Bytes that all jobs are to copy. */
  get sizeBytes(): number {
    return this.#sizeBytes;
  }

  /**
   * Adds a job, or renews what is known of it. When there is no room, a least endangered one goes:
   * a later pass finds it again.
   */
  offer(job: RepairJob): void {
    if (this.#isPaused(job.chunk)) return;
    const rank = this.#ranks.get(job.chunk);
    const waiting = { ...job, pass: this.#pass };
    const same = rank === job.rank ? this.#jobsByRank.get(rank) : undefined;
    if (same !== undefined) {
      // It keeps its place.
      this.#sizeBytes += job.sizeBytes - (same.get(job.chunk)?.sizeBytes ?? 0);
      same.set(job.chunk, waiting);
      return;
    }
    this.#remove(job.chunk);
    if (this.size >= this.#max) {
      const least = Math.max(...this.#jobsByRank.keys());
      const [victim] = this.#jobsByRank.get(least)?.keys() ?? [];
      if (victim === undefined || least <= job.rank) return;
      this.#remove(victim);
    }
    const jobs = this.#jobsByRank.get(job.rank) ?? new Map<string, Waiting>();
    this.#jobsByRank.set(job.rank, jobs.set(job.chunk, waiting));
    this.#ranks.set(job.chunk, job.rank);
    this.#sizeBytes += job.sizeBytes;
  }

  /** Takes the most endangered job out. */
  take(): RepairJob | undefined {
    if (this.size === 0) return undefined;
    const [first] = this.#jobsByRank.get(Math.min(...this.#jobsByRank.keys()))?.values() ?? [];
    if (first === undefined) return undefined;
    this.#remove(first.chunk);
    const { pass: _pass, ...job } = first;
    return job;
  }

  /** A new pass begins to offer. */
  beginPass(): void {
    this.#pass++;
  }

  /** The pass is over: jobs that it has not offered go. */
  endPass(): void {
    for (const jobs of [...this.#jobsByRank.values()]) {
      for (const { chunk, pass } of [...jobs.values()]) {
        if (pass < this.#pass) this.#remove(chunk);
      }
    }
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

  #remove(chunk: string): void {
    const rank = this.#ranks.get(chunk);
    const jobs = rank === undefined ? undefined : this.#jobsByRank.get(rank);
    const job = jobs?.get(chunk);
    if (rank === undefined || jobs === undefined || job === undefined) return;
    jobs.delete(chunk);
    if (jobs.size === 0) this.#jobsByRank.delete(rank);
    this.#ranks.delete(chunk);
    this.#sizeBytes -= job.sizeBytes;
  }
}
