/**
 * Fixed-width rows of 32-bit words over a SharedArrayBuffer, touched with atomics only: the base of
 * every table.
 */
import { assert } from "../base/assert.ts";

/**
 * A SharedArrayBuffer seen as `rowsMax` rows of `rowWords` words. All threads that hold the buffer
 * see one table.
 */
export class Rows {
  readonly buffer: SharedArrayBuffer;
  readonly rowsMax: number;
  readonly #rowWords: number;
  readonly #words: Int32Array;

  /** `buffer` joins a table that exists; without it a new one is made, all zeros. */
  constructor(rowsMax: number, rowWords: number, buffer?: SharedArrayBuffer) {
    this.buffer = buffer ?? new SharedArrayBuffer(rowsMax * rowWords * 4);
    // Invariant: both sides of a buffer agree on the table's shape.
    assert(this.buffer.byteLength === rowsMax * rowWords * 4, "a table's buffer has its size");
    this.rowsMax = rowsMax;
    this.#rowWords = rowWords;
    this.#words = new Int32Array(this.buffer);
  }

  /** A word as an unsigned number. */
  get(row: number, word: number): number {
    return Atomics.load(this.#words, this.#at(row, word)) >>> 0;
  }

  set(row: number, word: number, value: number): void {
    Atomics.store(this.#words, this.#at(row, word), value | 0);
  }

  /** Adds (or with a negative `value` subtracts) and returns the word as it was. */
  add(row: number, word: number, value: number): number {
    return Atomics.add(this.#words, this.#at(row, word), value) >>> 0;
  }

  /** Stores `value` if the word is `expected`; whether it did. */
  swap(row: number, word: number, expected: number, value: number): boolean {
    const at = this.#at(row, word);
    return Atomics.compareExchange(this.#words, at, expected | 0, value | 0) === (expected | 0);
  }

  #at(row: number, word: number): number {
    assert(row >= 0 && row < this.rowsMax && word >= 0 && word < this.#rowWords, "a row exists");
    return row * this.#rowWords + word;
  }
}

/**
 * A 53-bit count kept in two words, low first. Readers may see the halves of two writes: for
 * statistics only.
 */
export function readWide(rows: Rows, row: number, word: number): number {
  return rows.get(row, word + 1) * 2 ** 32 + rows.get(row, word);
}

/** Stores a count of up to 53 bits in two words; one writer at a time. */
export function writeWide(rows: Rows, row: number, word: number, value: number): void {
  rows.set(row, word, value % 2 ** 32);
  rows.set(row, word + 1, Math.floor(value / 2 ** 32));
}
