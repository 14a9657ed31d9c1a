/** Plans cover every byte once and end at block borders. */
import { expect, test } from "bun:test";
import * as fc from "fast-check";
import { MIB } from "../../src/base/bytes.ts";
import { cutChunks, cutRanges, filePosition, planMissing, spanOf } from "../../src/client/plan.ts";
import type { LocatedExtent } from "../../src/wire/file.ts";
import { BLOCK_BYTES } from "../../src/wire/sums.ts";

test("cutChunks covers a file exactly once", () => {
  const sizes = fc.oneof(fc.nat(20 * MIB), fc.nat(2 ** 40));
  const chunks = fc.integer({ min: 1, max: 256 }).map((blocks) => blocks * BLOCK_BYTES);
  fc.assert(fc.property(sizes, chunks, (sizeBytes, chunkBytes) => {
    fc.pre(sizeBytes / chunkBytes < 1000);
    let end = 0;
    let seq = 0;
    for (const chunk of cutChunks(sizeBytes, chunkBytes)) {
      expect(chunk.seq).toBe(seq++);
      expect(chunk.offset).toBe(end);
      expect(chunk.sizeBytes).toBeGreaterThan(0);
      expect(chunk.sizeBytes).toBeLessThanOrEqual(chunkBytes);
      end += chunk.sizeBytes;
    }
    expect(end).toBe(sizeBytes);
  }));
});

const extents = fc.record({
  chunkBytes: fc.integer({ min: 1, max: 64 * MIB }),
  from: fc.double({ min: 0, max: 1, noNaN: true }),
  share: fc.double({ min: 0, max: 1, noNaN: true }),
  offset: fc.nat(2 ** 40),
}).map(({ chunkBytes, from, share, offset }): LocatedExtent => {
  const chunkOffset = Math.floor(from * (chunkBytes - 1));
  const length = Math.floor(share * (chunkBytes - chunkOffset));
  const chunk = "0".repeat(32);
  const rest = { seq: 0, chunk, sums: new Uint8Array(), keepers: [], ticket: "" };
  return { ...rest, offset, length, chunkOffset, chunkBytes };
});

test("cutRanges wants every byte of an extent exactly once and fetches whole blocks", () => {
  const ranges = fc.integer({ min: 1, max: 9 }).map((blocks) => blocks * BLOCK_BYTES);
  fc.assert(fc.property(extents, ranges, (extent, rangeBytes) => {
    let next = extent.chunkOffset;
    let wanted = 0;
    for (const range of cutRanges(extent, rangeBytes)) {
      expect(range.wantStart).toBe(next);
      expect(range.wantEnd).toBeGreaterThan(range.wantStart);
      expect(range.fetchStart % BLOCK_BYTES).toBe(0);
      const atChunkEnd = range.fetchEnd === extent.chunkBytes;
      expect(range.fetchEnd % BLOCK_BYTES === 0 || atChunkEnd).toBe(true);
      expect(range.fetchStart).toBeLessThanOrEqual(range.wantStart);
      expect(range.fetchEnd).toBeGreaterThanOrEqual(range.wantEnd);
      expect(range.fetchEnd - range.fetchStart).toBeLessThanOrEqual(rangeBytes);
      expect(filePosition(extent, range.wantStart)).toBe(extent.offset + wanted);
      wanted += range.wantEnd - range.wantStart;
      next = range.wantEnd;
    }
    expect(wanted).toBe(extent.length);
  }));
});

const shares = fc.double({ min: 0, max: 1, noNaN: true });

test("cutRanges wants of an extent what is in the span, and no block beside it", () => {
  fc.assert(fc.property(extents, shares, shares, (extent, from, to) => {
    const span = {
      start: extent.offset - 9 + Math.floor(from * (extent.length + 18)),
      end: extent.offset - 9 + Math.floor(to * (extent.length + 18)),
    };
    const start = Math.max(span.start, extent.offset);
    const end = Math.min(span.end, extent.offset + extent.length);
    let next = start;
    for (const range of cutRanges(extent, 2 * BLOCK_BYTES, span)) {
      expect(filePosition(extent, range.wantStart)).toBe(next);
      expect(range.wantEnd).toBeGreaterThan(range.wantStart);
      expect(range.wantStart - range.fetchStart).toBeWithin(0, BLOCK_BYTES);
      expect(range.fetchEnd - range.wantEnd).toBeWithin(0, BLOCK_BYTES);
      next += range.wantEnd - range.wantStart;
    }
    expect(next).toBe(Math.max(start, end));
  }));
});

test("spanOf counts from the end when the offset is negative, and ends with the file", () => {
  expect(spanOf(100, {})).toEqual({ start: 0, end: 100 });
  expect(spanOf(100, { offset: 90, length: 20 })).toEqual({ start: 90, end: 100 });
  expect(spanOf(100, { offset: -30, length: 20 })).toEqual({ start: 70, end: 90 });
  expect(spanOf(100, { offset: -300, length: 20 })).toEqual({ start: 0, end: 20 });
  expect(spanOf(100, { offset: 300 })).toEqual({ start: 100, end: 100 });
});

test("planMissing covers the blocks that are not good, neighbours together", () => {
  const masks = fc.array(fc.boolean(), { minLength: 9, maxLength: 9 });
  fc.assert(fc.property(extents, masks, (extent, mask) => {
    for (const range of cutRanges(extent, 9 * BLOCK_BYTES)) {
      const isGood = (start: number) => mask[(start - range.fetchStart) / BLOCK_BYTES] === true;
      const missing = planMissing(range, isGood);
      const blocks: number[] = [];
      for (const [index, part] of missing.entries()) {
        expect(part.wantStart).toBe(Math.max(part.fetchStart, range.wantStart));
        expect(part.wantEnd).toBe(Math.min(part.fetchEnd, range.wantEnd));
        expect(part.fetchStart).toBeGreaterThan(missing[index - 1]?.fetchEnd ?? -1);
        for (let at = part.fetchStart; at < part.fetchEnd; at += BLOCK_BYTES) blocks.push(at);
      }
      const wanted: number[] = [];
      for (let at = range.fetchStart; at < range.fetchEnd; at += BLOCK_BYTES) {
        if (!isGood(at)) wanted.push(at);
      }
      expect(blocks).toEqual(wanted);
    }
  }));
});
