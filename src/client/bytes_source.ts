/** A small source that is in memory already: the target of a symbolic link. */
import { assert } from "../base/assert.ts";
import { sumsOf } from "../wire/sums.ts";
import { cutChunks } from "./plan.ts";
import type { Source, SourceChunk } from "./source.ts";

/** More than that is no small source. */
const BYTES_MAX = 64 * 1024;

export class BytesSource implements Source {
  readonly mode: number;
  readonly mtimeMs: number;
  readonly chunksMax = 1;
  readonly isResumable = false;
  readonly #bytes: Uint8Array;

  constructor(bytes: Uint8Array, facts: { mode: number; mtimeMs: number }) {
    assert(bytes.length <= BYTES_MAX, "what is put from memory is small");
    this.#bytes = bytes;
    this.mode = facts.mode;
    this.mtimeMs = facts.mtimeMs;
  }

  get sizeBytes(): number {
    return this.#bytes.length;
  }

  whole(): Promise<SourceChunk> {
    return Promise.resolve(this.#chunk(0, 0, this.sizeBytes));
  }

  async *chunks(chunkBytes: number): AsyncGenerator<SourceChunk> {
    for (const { seq, offset, sizeBytes } of cutChunks(this.sizeBytes, chunkBytes)) {
      yield this.#chunk(seq, offset, sizeBytes);
    }
  }

  check(): Promise<void> {
    return Promise.resolve();
  }

  #chunk(seq: number, offset: number, sizeBytes: number): SourceChunk {
    const bytes = this.#bytes.subarray(offset, offset + sizeBytes);
    return {
      seq,
      offset,
      sizeBytes,
      sums: () => Promise.resolve(sumsOf(bytes)),
      body: () => bytes,
      release: () => {},
    };
  }
}
