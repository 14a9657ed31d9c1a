/** Pure plans: how a file is cut into chunks, and a located file into ranges. */
import { assert } from "../base/assert.ts";
import { KIB } from "../base/bytes.ts";
import type { LocatedExtent } from "../wire/file.ts";
import { BLOCK_BYTES } from "../wire/sums.ts";

/** Slower than this a transfer counts as failed. */
const RATE_MIN_BYTES_PER_S = 256 * KIB;
const TRANSFER_BASE_MS = 15_000;

export interface PlannedChunk {
  seq: number;
  /** Where it starts in the file. */
  offset: number;
  sizeBytes: number;
}

/** Cuts a file into chunks of `chunkBytes`; an empty file has none. */
export function* cutChunks(sizeBytes: number, chunkBytes: number): Generator<PlannedChunk> {
  assert(chunkBytes > 0 && chunkBytes % BLOCK_BYTES === 0, "chunks end at block borders");
  for (let seq = 0, offset = 0; offset < sizeBytes; seq++, offset += chunkBytes) {
    yield { seq, offset, sizeBytes: Math.min(chunkBytes, sizeBytes - offset) };
  }
}

/**
 * Bytes of one chunk to be read in one stream. All four are offsets in the chunk: whole blocks are
 * fetched, since only they can be verified, and of them the wanted bytes are kept.
 */
export interface PlannedRange {
  extent: LocatedExtent;
  fetchStart: number;
  fetchEnd: number;
  wantStart: number;
  wantEnd: number;
}

/**
 * Cuts an extent into ranges of at most `rangeBytes`; together they want each of its bytes exactly
 * once.
 */
export function* cutRanges(extent: LocatedExtent, rangeBytes: number): Generator<PlannedRange> {
  assert(rangeBytes > 0 && rangeBytes % BLOCK_BYTES === 0, "ranges end at block borders");
  const { chunkOffset, chunkBytes, length } = extent;
  const wantEndAll = chunkOffset + length;
  const firstBlock = Math.floor(chunkOffset / BLOCK_BYTES) * BLOCK_BYTES;
  const lastBlockEnd = Math.min(
    Math.ceil(wantEndAll / BLOCK_BYTES) * BLOCK_BYTES,
    chunkBytes,
  );
  for (let fetchStart = firstBlock; fetchStart < wantEndAll; fetchStart += rangeBytes) {
    const fetchEnd = Math.min(fetchStart + rangeBytes, lastBlockEnd);
    const wantStart = Math.max(fetchStart, chunkOffset);
    if (length > 0) {
      yield { extent, fetchStart, fetchEnd, wantStart, wantEnd: Math.min(fetchEnd, wantEndAll) };
    }
  }
}

/** Where byte `chunkPosition` of the extent's chunk belongs in the file. */
export function filePosition(extent: LocatedExtent, chunkPosition: number): number {
  return extent.offset + chunkPosition - extent.chunkOffset;
}

/** The longest that a transfer of `sizeBytes` may take. */
export function transferDeadlineMs(sizeBytes: number): number {
  return TRANSFER_BASE_MS + sizeBytes / RATE_MIN_BYTES_PER_S * 1000;
}
