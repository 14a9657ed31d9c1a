/** What goes into a new pack, and which blocks are read for it. */
import { expect, test } from "bun:test";
import fc from "fast-check";
import { MIB } from "../../src/base/bytes.ts";
import {
  isWorthwhile,
  liveFiles,
  planCompaction,
  planReads,
  sourceOf,
} from "../../src/master/compaction_plan.ts";
import type { PackedFile } from "../../src/wire/pack.ts";
import { decodeManifest, encodeManifest, PACK_BYTES_MAX } from "../../src/wire/pack.ts";
import { PACK_FILES_MAX, PACK_PATH_BYTES_MAX } from "../../src/wire/pack.ts";
import { BLOCK_BYTES } from "../../src/wire/sums.ts";

/** Files that follow each other, as packs have them. */
function filesOf(sizes: readonly number[], name = "f"): PackedFile[] {
  let offset = 0;
  return sizes.map((sizeBytes, index) => {
    const file = { path: `/${name}/${index}`, offset, sizeBytes, mode: 0o644, mtimeMs: 7 };
    offset += sizeBytes;
    return { ...file, owner: "ann", placedMs: 1_700_000_000_000 };
  });
}

const sizes = fc.array(fc.oneof(fc.constant(0), fc.nat(3_000), fc.nat(MIB - 1)), { maxLength: 40 });

test("liveFiles takes those that are referred to, and refuses what nobody could rescue", () => {
  const files = filesOf([10, 0, 20, 30]);
  const at = (offset: number, length: number) => ({ offset, length });
  expect(liveFiles(files, [at(30, 30), at(10, 0), at(30, 30)])).toEqual(
    files.filter((_, index) => index === 1 || index === 3),
  );
  expect(liveFiles(files, [])).toEqual([]);
  expect(liveFiles(files, [at(10, 20), at(11, 20)])).toBeUndefined();
});

test("liveFiles keeps the names of all empty files of a place, which the catalog can't tell apart", () => {
  const files = filesOf([10, 0, 0, 20, 0]);
  const ranges = [{ offset: 10, length: 0 }, { offset: 10, length: 20 }];
  expect(liveFiles(files, ranges)).toEqual(files.slice(1, 4));
});

test("isWorthwhile counts names as it counts bytes", () => {
  // Tiny files are mostly manifest: nothing is gained while they all live, nor with one gone.
  const tiny = filesOf(new Array(100).fill(1));
  const sizeBytes = 100 + encodeManifest(tiny).length;
  expect(isWorthwhile(sourceOf("a", sizeBytes, tiny))).toBe(false);
  expect(isWorthwhile(sourceOf("a", sizeBytes, tiny.slice(1)))).toBe(false);
  expect(isWorthwhile(sourceOf("a", sizeBytes, tiny.slice(60)))).toBe(true);
});

test("planCompaction keeps within a pack, and what it makes is not compacted again", () => {
  fc.assert(fc.property(
    fc.array(sizes.filter((list) => list.length > 0), { minLength: 1, maxLength: 6 }),
    fc.integer({ min: MIB, max: PACK_BYTES_MAX }),
    (packs, bytesMax) => {
      const sources = packs.map((list, index) => {
        const files = filesOf(list, `${index}`);
        const bytes = list.reduce((sum, size) => sum + size, 0);
        return sourceOf(`${index}`, bytes + encodeManifest(files).length, files);
      });
      const plan = planCompaction(sources, bytesMax);
      expect(plan.sources).toEqual(sources.slice(0, plan.sources.length));
      expect(plan.sources.length).toBeGreaterThan(0);
      if (plan.sources.length > 1) expect(plan.sizeBytes).toBeLessThanOrEqual(bytesMax);
      expect(plan.files.length).toBeLessThanOrEqual(PACK_FILES_MAX);
      // All files, one after the other, each moved from where it was.
      let end = 0;
      for (const [index, file] of plan.files.entries()) {
        expect(file.offset).toBe(end);
        end += file.sizeBytes;
        const { from, fromOffset, length, toOffset } = plan.moves[index] ?? {};
        const source = sources.find(({ chunk }) => chunk === from);
        const old = source?.files.find(({ path }) => path === file.path);
        expect({ ...old, offset: toOffset }).toEqual({ ...file, offset: toOffset });
        expect([fromOffset, length, toOffset]).toEqual([old?.offset, file.sizeBytes, file.offset]);
      }
      expect(plan.dataBytes).toBe(end);
      const manifest = encodeManifest(plan.files);
      expect(plan.sizeBytes).toBe(end + manifest.length);
      expect(decodeManifest(manifest, plan.sizeBytes)).toEqual(plan.files);
      expect(isWorthwhile(sourceOf("new", plan.sizeBytes, plan.files))).toBe(false);
    },
  ));
});

test("planCompaction stops where names or files grow too many", () => {
  const long = "x".repeat(1_000);
  const named = [0, 1, 2].map((index) => {
    const files = filesOf(new Array(60).fill(1), `${index}${long}`);
    return sourceOf(`${index}`, MIB, files);
  });
  const plan = planCompaction(named, PACK_BYTES_MAX);
  expect(plan.sources).toHaveLength(2);
  const pathBytes = plan.files.reduce((sum, { path }) => sum + path.length, 0);
  expect(pathBytes).toBeLessThanOrEqual(PACK_PATH_BYTES_MAX);
  const many = [0, 1, 2].map((index) => sourceOf(`${index}`, MIB, filesOf(new Array(900).fill(1))));
  expect(planCompaction(many, PACK_BYTES_MAX).sources).toHaveLength(2);
});

test("planReads covers the bytes of all files, block by block, and no block twice", () => {
  fc.assert(fc.property(sizes, fc.integer({ min: 1, max: 8 }), fc.func(fc.boolean()), (
    list,
    blocksMax,
    isLive,
  ) => {
    const files = filesOf(list);
    const live = files.filter(({ path }) => isLive(path));
    const packBytes = list.reduce((sum, size) => sum + size, 0) + 100;
    const runs = planReads(live, packBytes, blocksMax);
    let last = -1;
    for (const { first, end } of runs) {
      expect(first).toBeGreaterThanOrEqual(Math.max(0, last));
      expect(end - first).toBeGreaterThan(0);
      expect(end - first).toBeLessThanOrEqual(blocksMax);
      expect((end - 1) * BLOCK_BYTES).toBeLessThan(packBytes);
      last = end;
    }
    const isRead = (block: number) => runs.some(({ first, end }) => block >= first && block < end);
    for (const { offset, sizeBytes } of live) {
      if (sizeBytes === 0) continue;
      expect(isRead(Math.floor(offset / BLOCK_BYTES))).toBe(true);
      expect(isRead(Math.floor((offset + sizeBytes - 1) / BLOCK_BYTES))).toBe(true);
    }
  }));
});
