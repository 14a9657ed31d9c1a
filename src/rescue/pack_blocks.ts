/**
 * Reads files out of packs. Files that lie side by side are rescued one after the other, so the
 * blocks that were read last are kept: each is read and verified once, not once for each of its
 * files.
 */
import { BLOCK_BYTES, blockLength } from "../wire/sums.ts";
import type { ReadCounts } from "./blocks.ts";
import { readBlocks } from "./blocks.ts";
import type { Source } from "./survey.ts";
import type { FoundChunk } from "./versions.ts";

/** Blocks that are kept: as much as the largest pack. */
const BLOCKS_MAX = 16;

export class PackBlocks {
  readonly #sources: readonly Source[];
  readonly #counts: ReadCounts;
  /** By chunk and number, those used last at the end; wrong ones, too, with what is wrong. */
  readonly #blocks = new Map<string, Promise<Uint8Array>>();

  constructor(sources: readonly Source[], counts: ReadCounts) {
    this.#sources = sources;
    this.#counts = counts;
  }

  /**
   * Yields the bytes of a file that lies in a pack, in one or two pieces. Throws `corrupt` where
   * they are wrong in all copies of the pack.
   */
  async *read(chunk: FoundChunk): AsyncGenerator<Uint8Array> {
    const end = chunk.start + chunk.sizeBytes;
    for (let at = chunk.start; at < end;) {
      const block = Math.floor(at / BLOCK_BYTES);
      const from = at - block * BLOCK_BYTES;
      const bytes = await this.#block(chunk, block);
      const piece = bytes.subarray(from, Math.min(bytes.length, from + end - at));
      yield piece;
      at += piece.length;
    }
  }

  #block(chunk: FoundChunk, block: number): Promise<Uint8Array> {
    const key = `${chunk.id}/${block}`;
    const bytes = this.#blocks.get(key) ?? this.#readBlock(chunk, block);
    this.#blocks.delete(key);
    this.#blocks.set(key, bytes);
    const oldest = this.#blocks.keys().next();
    if (this.#blocks.size > BLOCKS_MAX && !oldest.done) this.#blocks.delete(oldest.value);
    return bytes;
  }

  async #readBlock(chunk: FoundChunk, block: number): Promise<Uint8Array> {
    const buffer = new Uint8Array(blockLength(chunk.chunkBytes, block));
    const range = { first: block, end: block + 1 };
    const blocks = readBlocks(this.#sources, chunk, buffer, this.#counts, range);
    for await (const _bytes of blocks) continue;
    return buffer;
  }
}
