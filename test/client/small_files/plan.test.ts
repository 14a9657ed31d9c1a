/** Plans for small files want every byte exactly once, and fetch little beside. */
import { expect, test } from "bun:test";
import * as fc from "fast-check";
import { MIB } from "../../../src/base/bytes.ts";
import { FileCutter } from "../../../src/client/small_files/file_cutter.ts";
import type { PlacedFile } from "../../../src/client/small_files/plan.ts";
import { planRuns, sortAnswer } from "../../../src/client/small_files/plan.ts";
import type { SharedChunk, SmallFile } from "../../../src/wire/locate_many.ts";
import { BLOCK_BYTES, emptySums } from "../../../src/wire/sums.ts";

const CHUNK_BYTES_MAX = 12 * MIB;

/** Files of a chunk: anywhere, also over each other. */
const packs = fc.record({
  chunkBytes: fc.integer({ min: 1, max: CHUNK_BYTES_MAX }),
  places: fc.array(fc.tuple(fc.nat(CHUNK_BYTES_MAX), fc.integer({ min: 1, max: MIB })), {
    maxLength: 30,
  }),
}).map(({ chunkBytes, places }) => {
  const files = places.map(([at, length], index): PlacedFile => {
    const start = at % chunkBytes;
    return { index, start, end: Math.min(chunkBytes, start + length) };
  });
  return { chunkBytes, files };
});

test("planRuns has each file in one run of whole blocks, and skips what nobody wants", () => {
  fc.assert(fc.property(packs, ({ chunkBytes, files }) => {
    const runs = planRuns(files, chunkBytes);
    const planned = runs.flatMap((run) => run.files);
    expect(planned.map(({ index }) => index).sort((a, b) => a - b)).toEqual([...files.keys()]);
    let end = -Infinity;
    for (const run of runs) {
      // Neighbours with little between them are one.
      expect(run.start - end).toBeGreaterThan(end === -Infinity ? 0 : MIB);
      expect(run.start % BLOCK_BYTES).toBe(0);
      expect(run.end % BLOCK_BYTES === 0 || run.end === chunkBytes).toBe(true);
      for (const file of run.files) {
        expect(file.start).toBeGreaterThanOrEqual(run.start);
        expect(file.end).toBeLessThanOrEqual(run.end);
      }
      expect(Math.min(...run.files.map((file) => file.start)) - run.start).toBeLessThan(MIB);
      expect(run.end - Math.max(...run.files.map((file) => file.end))).toBeLessThan(MIB);
      end = run.end;
    }
  }));
});

test("FileCutter hands out each file of a run once, with its bytes", () => {
  const chunk = new Uint8Array(CHUNK_BYTES_MAX);
  for (let at = 0; at < chunk.length; at += 4) chunk[at] = at / 4 % 251;
  fc.assert(
    fc.property(packs, ({ chunkBytes, files }) => {
      const seen: number[] = [];
      for (const run of planRuns(files, chunkBytes)) {
        const cutter = new FileCutter(run);
        const lent = new Uint8Array(BLOCK_BYTES);
        for (let start = run.start; start < run.end; start += BLOCK_BYTES) {
          const block = lent.subarray(0, Math.min(BLOCK_BYTES, run.end - start));
          block.set(chunk.subarray(start, start + block.length));
          for (const { file, bytes } of cutter.cut(block, start)) {
            expect(Buffer.compare(bytes, chunk.subarray(file.start, file.end))).toBe(0);
            seen.push(file.index);
          }
          // What was lent is used again.
          lent.fill(0xee);
        }
      }
      expect(seen.sort((a, b) => a - b)).toEqual([...files.keys()]);
    }),
    { numRuns: 50 },
  );
});

test("sortAnswer leaves to others what does not add up", () => {
  const rest = { inode: 1, version: 1, checksum: "", mtimeMs: 0, mode: 0o644 };
  const file = (sizeBytes: number, chunkOffset: number, chunk?: number): SmallFile => {
    return {
      kind: "file",
      ...rest,
      sizeBytes,
      chunkOffset,
      ...(chunk === undefined ? {} : { chunk }),
    };
  };
  const chunk = (chunkBytes: number, sums = emptySums(chunkBytes)): SharedChunk => {
    return { chunk: "c", chunkBytes, sums, keepers: [], ticket: "" };
  };
  const files = [
    file(10, 90, 0),
    file(0, 0),
    { kind: "other" } as const,
    file(11, 90, 0),
    file(1, 0, 1),
    file(1, 0, 7),
    file(1, 0),
    file(MIB, 0, 2),
    file(5, 5, 0),
  ];
  const chunks = [chunk(100), chunk(100, new Uint8Array(16)), chunk(2 * MIB)];
  const indexes = files.map((_, at) => at + 100);
  const { groups, empty, others } = sortAnswer({ files, chunks, holders: [] }, indexes);
  expect(groups.map((group) => group.files)).toEqual([[
    { index: 100, start: 90, end: 100 },
    { index: 108, start: 5, end: 10 },
  ]]);
  expect(empty).toEqual([101]);
  expect(others).toEqual([102, 103, 104, 105, 106, 107]);
});
