/**
 * Checks a file against a chunk's block sums. One block is in memory at a time, and the event loop
 * turns in between.
 */
import { BLOCK_BYTES, blockCount, blockLength, getSum, hashBlock } from "../wire/sums.ts";
import type { DiskFile } from "./disk.ts";
import type { ChunkFacts } from "./sidecar.ts";

/** Blocks that are hashed before other requests of this thread get a turn: half a millisecond. */
const BLOCKS_PER_TURN = 4;

// Filled and hashed without a pause in between, so that all checks of this thread may share it.
let shared: Uint8Array | undefined;

/**
 * Checks a file that has just been written, so that its bytes are in the page cache. The first
 * wrong block, or undefined.
 */
export async function findBadBlockNow(
  file: DiskFile,
  facts: ChunkFacts,
): Promise<number | undefined> {
  shared ??= new Uint8Array(BLOCK_BYTES);
  for (let block = 0; block < blockCount(facts.sizeBytes); block++) {
    const bytes = shared.subarray(0, blockLength(facts.sizeBytes, block));
    let filled = 0;
    while (filled < bytes.length) {
      const count = file.readNow(bytes.subarray(filled), block * BLOCK_BYTES + filled);
      if (count === 0) return block;
      filled += count;
    }
    if (hashBlock(bytes) !== getSum(facts.sums, block)) return block;
    if (block % BLOCKS_PER_TURN === BLOCKS_PER_TURN - 1) await nextTurn();
  }
  return undefined;
}

/** Checks a chunk that is in memory as a whole, of its right length. The first wrong block. */
export function findBadBlockIn(bytes: Uint8Array, facts: ChunkFacts): number | undefined {
  for (let block = 0; block < blockCount(bytes.length); block++) {
    const start = block * BLOCK_BYTES;
    const sum = hashBlock(bytes.subarray(start, start + BLOCK_BYTES));
    if (sum !== getSum(facts.sums, block)) return block;
  }
  return undefined;
}

/** Told of so many bytes that were read and are right; what it waits, the reading waits. */
export type Pace = (bytes: number) => Promise<void>;

/** The same for a file that lies on the disk: reading does not block this thread. */
export async function findBadBlock(
  file: DiskFile,
  facts: ChunkFacts,
  pace?: Pace,
): Promise<number | undefined> {
  const buffer = new Uint8Array(BLOCK_BYTES);
  for (let block = 0; block < blockCount(facts.sizeBytes); block++) {
    const bytes = buffer.subarray(0, blockLength(facts.sizeBytes, block));
    let filled = 0;
    while (filled < bytes.length) {
      const count = await file.read(bytes.subarray(filled), block * BLOCK_BYTES + filled);
      if (count === 0) return block;
      filled += count;
    }
    if (hashBlock(bytes) !== getSum(facts.sums, block)) return block;
    await pace?.(bytes.length);
  }
  return undefined;
}

/** Lets other requests of this thread have a turn. */
export function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
