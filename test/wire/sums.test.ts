/** Sums: each block's own, in order, independent of how a file is cut into chunks. */
import { expect, test } from "bun:test";
import fc from "fast-check";
import { seededRandom } from "../../src/base/random.ts";
import {
  BLOCK_BYTES,
  blockCount,
  blockLength,
  fileChecksum,
  getSum,
  hashBlock,
  sameSums,
  sumsOf,
} from "../../src/wire/sums.ts";

test("sumsOf sums each block of 1 MiB", () => {
  const bytes = seededRandom(1).bytes(2 * BLOCK_BYTES + 5);
  const sums = sumsOf(bytes);
  expect(sums.length).toBe(24);
  expect(getSum(sums, 2)).toBe(hashBlock(bytes.subarray(2 * BLOCK_BYTES)));
  expect(sameSums(sums, sumsOf(bytes))).toBe(true);
  bytes[BLOCK_BYTES] = (bytes[BLOCK_BYTES] ?? 0) ^ 1;
  expect(sameSums(sums, sumsOf(bytes))).toBe(false);
});

test("fileChecksum does not depend on the chunk size", () => {
  const bytes = seededRandom(2).bytes(4 * BLOCK_BYTES + 9);
  const cut = (blocks: number) => {
    const chunks: Uint8Array[] = [];
    for (let at = 0; at < bytes.length; at += blocks * BLOCK_BYTES) {
      chunks.push(sumsOf(bytes.subarray(at, at + blocks * BLOCK_BYTES)));
    }
    return fileChecksum(chunks);
  };
  expect(cut(1)).toBe(cut(3));
  expect(cut(2)).toBe(cut(8));
  expect(fileChecksum([])).toBe("2d06800538d394c2");
});

test("blockCount and blockLength cover a chunk exactly", () => {
  fc.assert(fc.property(fc.nat(2 ** 28), (sizeBytes) => {
    let total = 0;
    for (let block = 0; block < blockCount(sizeBytes); block++) {
      total += blockLength(sizeBytes, block);
    }
    expect(total).toBe(sizeBytes);
  }));
});
