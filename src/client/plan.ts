/**
 * Pure plans: how a file is cut into chunks, a located file into ranges, and what of a range is
 * still missing.
 */
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
  /** What is fetched is a whole file in no whole blocks, and has this checksum. */
  checksum?: string;
}

/** Bytes of a file, `end` not among them. */
export interface Span {
  start: number;
  end: number;
}

/** The span of any whole file. */
export const ALL: Span = { start: 0, end: Infinity };

/**
 * Cuts what an extent has of `span` into ranges of at most `rangeBytes`; together they want each of
 * those bytes exactly once.
 */
export function* cutRanges(
  extent: LocatedExtent,
  rangeBytes: number,
  span: Span = ALL,
): Generator<PlannedRange> {
  assert(rangeBytes > 0 && rangeBytes % BLOCK_BYTES === 0, "ranges end at block borders");
  const { offset, chunkOffset, chunkBytes, length } = extent;
  const wantStartAll = chunkOffset + Math.max(0, span.start - offset);
  const wantEndAll = chunkOffset + Math.min(length, span.end - offset);
  if (wantStartAll >= wantEndAll) return;
  const firstBlock = Math.floor(wantStartAll / BLOCK_BYTES) * BLOCK_BYTES;
  const lastBlockEnd = Math.min(
    Math.ceil(wantEndAll / BLOCK_BYTES) * BLOCK_BYTES,
    chunkBytes,
  );
  for (let fetchStart = firstBlock; fetchStart < wantEndAll; fetchStart += rangeBytes) {
    const fetchEnd = Math.min(fetchStart + rangeBytes, lastBlockEnd);
    const wantStart = Math.max(fetchStart, wantStartAll);
    yield { extent, fetchStart, fetchEnd, wantStart, wantEnd: Math.min(fetchEnd, wantEndAll) };
  }
}

/**
 * The range for a file that is one part of a chunk and less than a block: exactly its bytes, which
 * its own checksum verifies, where the block around them would be up to thousands of times as long.
 * Undefined for other files, and where nothing of the span is wanted.
 */
export function packedRange(
  extent: LocatedExtent,
  { sizeBytes, checksum }: { sizeBytes: number; checksum: string },
  span: Span = ALL,
): PlannedRange | undefined {
  const { chunkOffset, chunkBytes, length } = extent;
  if (length !== sizeBytes || length >= Math.min(BLOCK_BYTES, chunkBytes)) return undefined;
  const wantStart = chunkOffset + Math.max(0, span.start);
  const wantEnd = chunkOffset + Math.min(length, span.end);
  if (wantStart >= wantEnd) return undefined;
  const fetched = { fetchStart: chunkOffset, fetchEnd: chunkOffset + length };
  return { extent, ...fetched, wantStart, wantEnd, checksum };
}

/**
 * The bytes of a file that are asked for: `length` of them (all, when undefined) from `offset` on,
 * which counts from the end when it is negative. What the file does not have is left out.
 */
export function spanOf(
  sizeBytes: number,
  { offset = 0, length = Infinity }: { offset?: number | undefined; length?: number | undefined },
): Span {
  const start = offset < 0 ? Math.max(0, sizeBytes + offset) : Math.min(offset, sizeBytes);
  return { start, end: Math.min(sizeBytes, start + length) };
}

/**
 * What of a range is still to be fetched, when some of its blocks are good already: neighbours
 * become one range.
 */
export function planMissing(
  range: PlannedRange,
  isGood: (fetchStart: number) => boolean,
): PlannedRange[] {
  const { extent, wantStart, wantEnd } = range;
  const missing: PlannedRange[] = [];
  for (let start = range.fetchStart; start < range.fetchEnd; start += BLOCK_BYTES) {
    if (isGood(start)) continue;
    const end = Math.min(start + BLOCK_BYTES, range.fetchEnd);
    const want = { wantStart: Math.max(start, wantStart), wantEnd: Math.min(end, wantEnd) };
    const last = missing.at(-1);
    if (last?.fetchEnd === start) {
      last.fetchEnd = end;
      last.wantEnd = want.wantEnd;
    } else {
      missing.push({ extent, fetchStart: start, fetchEnd: end, ...want });
    }
  }
  return missing;
}

/** Where byte `chunkPosition` of the extent's chunk belongs in the file. */
export function filePosition(extent: LocatedExtent, chunkPosition: number): number {
  return extent.offset + chunkPosition - extent.chunkOffset;
}

/** The longest that a transfer of `sizeBytes` may take. */
export function transferDeadlineMs(sizeBytes: number): number {
  return TRANSFER_BASE_MS + sizeBytes / RATE_MIN_BYTES_PER_S * 1000;
}
