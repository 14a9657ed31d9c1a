/**
 * What the threads of one keeper share about its scrub: how far it is, whether somebody wants one
 * now, and whether the master is one to obey. Words of a SharedArrayBuffer, touched with atomics
 * only.
 */
import type { ScrubBeat } from "../wire/heartbeat.ts";

const RUNNING = 0;
const DONE = 1;
const TOTAL = 2;
const PASSED = 3;
const BEGAN = 4;
const REQUESTS = 5;
const PASSES = 6;
const OBEYING = 7;
const DUE = 8;
const WORDS = 9;

export class ScrubShare {
  readonly buffer: SharedArrayBuffer;
  readonly #words: BigInt64Array;

  /** `buffer` joins that of another thread. */
  constructor(buffer?: SharedArrayBuffer) {
    this.buffer = buffer ?? new SharedArrayBuffer(WORDS * 8);
    this.#words = new BigInt64Array(this.buffer);
  }

  /** How far the scrub is, for heartbeats. */
  get progress(): Omit<ScrubBeat, "bad"> {
    return {
      running: this.#get(RUNNING) === 1,
      doneBytes: this.#get(DONE),
      totalBytes: this.#get(TOTAL),
      passedMs: this.#get(PASSED),
      beganMs: this.#get(BEGAN),
      dueMs: this.#get(DUE),
    };
  }

  /** Only the scrubber sets it. */
  set progress(progress: Omit<ScrubBeat, "bad">) {
    const { running, doneBytes, totalBytes, passedMs, beganMs, dueMs } = progress;
    this.#set(RUNNING, running ? 1 : 0);
    this.#set(DONE, doneBytes);
    this.#set(TOTAL, totalBytes);
    this.#set(PASSED, passedMs);
    this.#set(BEGAN, beganMs);
    this.#set(DUE, dueMs);
  }

  /** Passes that somebody has asked for since the start. */
  get requests(): number {
    return this.#get(REQUESTS);
  }

  /** Asks for a pass now. */
  request(): void {
    Atomics.add(this.#words, REQUESTS, 1n);
  }

  /** Whole passes since the start. */
  get passes(): number {
    return this.#get(PASSES);
  }

  countPass(): void {
    Atomics.add(this.#words, PASSES, 1n);
  }

  /** The keeper has joined a master whose word counts. */
  get obeying(): boolean {
    return this.#get(OBEYING) === 1;
  }

  set obeying(obeying: boolean) {
    this.#set(OBEYING, obeying ? 1 : 0);
  }

  #get(word: number): number {
    return Number(Atomics.load(this.#words, word));
  }

  #set(word: number, value: number): void {
    Atomics.store(this.#words, word, BigInt(Math.floor(value)));
  }
}
