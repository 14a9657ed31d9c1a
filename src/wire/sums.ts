/**
 * Checksums: XXH3-64 (Collet) of each block of 1 MiB, 8 bytes big-endian a block, in one array a
 * chunk. Made by the writer, checked by the keeper on landing, by scrubs, and by every reader.
 */
import * as v from "valibot";
import { MIB } from "../base/bytes.ts";

export const BLOCK_BYTES = MIB;
export const SUM_BYTES = 8;

/**
 * The largest chunk size that can be configured: its sums must fit into a ticket (an HTTP header).
 */
export const CHUNK_BYTES_MAX = 256 * MIB;

/** The schema of a chunk's sums. */
export const Sums = v.custom<Uint8Array>(
  (value) =>
    value instanceof Uint8Array && value.length % SUM_BYTES === 0 &&
    value.length <= SUM_BYTES * CHUNK_BYTES_MAX / BLOCK_BYTES,
  "sums have 8 bytes a block",
);

/** XXH3-64 of `bytes`. */
export function hashBlock(bytes: Uint8Array): bigint {
  return Bun.hash.xxHash3(bytes);
}

/** The number of blocks of a chunk of `sizeBytes`; the last one may be short. */
export function blockCount(sizeBytes: number): number {
  return Math.ceil(sizeBytes / BLOCK_BYTES);
}

/** The length of block number `block` of a chunk of `sizeBytes`. */
export function blockLength(sizeBytes: number, block: number): number {
  return Math.min(BLOCK_BYTES, sizeBytes - block * BLOCK_BYTES);
}

/** Room for the sums of a chunk of `sizeBytes`. */
export function emptySums(sizeBytes: number): Uint8Array {
  return new Uint8Array(blockCount(sizeBytes) * SUM_BYTES);
}

/** Stores the sum of block number `block`. */
export function setSum(sums: Uint8Array, block: number, sum: bigint): void {
  new DataView(sums.buffer, sums.byteOffset).setBigUint64(block * SUM_BYTES, sum);
}

/** The sum of block number `block`. */
export function getSum(sums: Uint8Array, block: number): bigint {
  return new DataView(sums.buffer, sums.byteOffset, sums.byteLength).getBigUint64(
    block * SUM_BYTES,
  );
}

/** The sums of bytes in memory. */
export function sumsOf(bytes: Uint8Array): Uint8Array {
  const sums = emptySums(bytes.length);
  for (let block = 0; block < blockCount(bytes.length); block++) {
    const start = block * BLOCK_BYTES;
    setSum(sums, block, hashBlock(bytes.subarray(start, start + BLOCK_BYTES)));
  }
  return sums;
}

/** Whether two chunks' sums are the same. */
export function sameSums(left: Uint8Array, right: Uint8Array): boolean {
  return Buffer.from(left.buffer, left.byteOffset, left.byteLength).equals(right);
}

/**
 * The checksum of a whole file: XXH3-64 over the sums of its blocks in order, as 16 hexadecimal
 * digits. Chunks end at block borders (but for the last), so it does not depend on the chunk size.
 */
export function fileChecksum(chunkSums: Iterable<Uint8Array>): string {
  const [first, ...others] = chunkSums;
  const sums = first === undefined || others.length > 0
    ? Buffer.concat([first ?? new Uint8Array(), ...others])
    : first;
  return hashBlock(sums).toString(16).padStart(16, "0");
}
