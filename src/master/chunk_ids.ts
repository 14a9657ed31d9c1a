/**
 * Ids for new chunks: random, but that chunks which are placed one after the other share their
 * first four digits, and so their directory on every keeper. Those that land at the same time are
 * then made durable by one sync of it, and few directories are made; over time all are used alike.
 */
import type { Random } from "../base/random.ts";
import { randomHex } from "../base/random.ts";

/** Chunks that go to one directory before the next one is drawn. */
const SHELF_CHUNKS = 512;

export class ChunkIds {
  readonly #random: Random;
  #shelf = "";
  #left = 0;

  constructor(random: Random) {
    this.#random = random;
  }

  /** An id that no chunk has had: 14 of its 16 bytes are random each time. */
  next(): string {
    if (this.#left === 0) {
      this.#shelf = randomHex(this.#random, 2);
      this.#left = SHELF_CHUNKS;
    }
    this.#left--;
    return this.#shelf + randomHex(this.#random, 14);
  }
}
