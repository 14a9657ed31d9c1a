/**
 * What the threads of one keeper share about its store: locks on chunk ids (many ids to a lock),
 * counters, and whether the disk has failed. Words of a SharedArrayBuffer, touched with atomics
 * only; a thread's death ends the process, so that no lock outlives its holder.
 */
import type { Clock } from "../base/clock.ts";
import { MIB } from "../base/bytes.ts";
import { TydfsError } from "../wire/errors.ts";

const ERRORS = 0;
const FULL = 1;
const CHUNKS = 2;
const PROMISED = 3;
const READ_ONLY = 4;
const ASIDE = 5;
const BAD = 6;
const FIRST_LOCK = 16;
const LOCKS = 4096;

const POLL_MS = 2;
const LOCK_WAIT_MS = 30_000;

export class StoreShare {
  readonly buffer: SharedArrayBuffer;
  readonly #words: Int32Array;

  /** `buffer` joins the store of another thread. */
  constructor(buffer?: SharedArrayBuffer) {
    this.buffer = buffer ?? new SharedArrayBuffer((FIRST_LOCK + LOCKS) * 4);
    this.#words = new Int32Array(this.buffer);
  }

  /** Write and sync errors since the start. */
  get errors(): number {
    return Atomics.load(this.#words, ERRORS);
  }

  countErrors(errors: number): void {
    Atomics.add(this.#words, ERRORS, errors);
  }

  /** The disk has said that it is full, and has not been seen with room since. */
  get full(): boolean {
    return Atomics.load(this.#words, FULL) === 1;
  }

  set full(full: boolean) {
    Atomics.store(this.#words, FULL, full ? 1 : 0);
  }

  /** The disk has turned read-only. */
  get readOnly(): boolean {
    return Atomics.load(this.#words, READ_ONLY) === 1;
  }

  set readOnly(readOnly: boolean) {
    Atomics.store(this.#words, READ_ONLY, readOnly ? 1 : 0);
  }

  /** Files that are kept aside, sidecars not counted. */
  get aside(): number {
    return Math.max(0, Atomics.load(this.#words, ASIDE));
  }

  countAside(change: number): void {
    Atomics.add(this.#words, ASIDE, change);
  }

  /** Copies that were found bad since the start. */
  get bad(): number {
    return Atomics.load(this.#words, BAD);
  }

  countBad(): void {
    Atomics.add(this.#words, BAD, 1);
  }

  /** Chunks on the disk. */
  get chunks(): number {
    return Math.max(0, Atomics.load(this.#words, CHUNKS));
  }

  countChunks(change: number): void {
    Atomics.add(this.#words, CHUNKS, change);
  }

  /** Bytes that are promised to chunks under way. */
  get promisedBytes(): number {
    return Atomics.load(this.#words, PROMISED) * MIB;
  }

  /** Promises room for a chunk, in whole MiB; give it back with the returned function, once. */
  promise(sizeBytes: number): () => void {
    const words = Math.ceil(sizeBytes / MIB);
    Atomics.add(this.#words, PROMISED, words);
    return () => void Atomics.sub(this.#words, PROMISED, words);
  }

  /**
   * Takes the lock that stands for this chunk, in all threads; returns its release. Collisions are
   * rare and holders quick (a few renames and a sync), so a waiter polls. Throws `timeout` when it
   * takes very long.
   */
  async lock(id: string, clock: Clock): Promise<() => void> {
    const word = FIRST_LOCK + parseInt(id.slice(0, 8), 16) % LOCKS;
    const startMs = clock.monotonicMs();
    while (Atomics.compareExchange(this.#words, word, 0, 1) !== 0) {
      if (clock.monotonicMs() - startMs > LOCK_WAIT_MS) {
        throw new TydfsError("timeout", `Chunk "${id}" is held by another request for too long`);
      }
      await clock.sleep(POLL_MS);
    }
    return () => void Atomics.store(this.#words, word, 0);
  }
}
