/** Which files go into which pack: the limits hold, and no file is in two of them. */
import { expect, test } from "bun:test";
import fc from "fast-check";
import { KIB } from "../../../src/base/bytes.ts";
import { planPacks, PUT_LIMITS } from "../../../src/client/packs/plan.ts";
import type { SmallFile } from "../../../src/client/packs/small_file.ts";
import { encodeManifest, PACKED_FILE_BYTES_MAX } from "../../../src/wire/pack.ts";

function file(path: string, sizeBytes: number): SmallFile {
  return { path, local: path, sizeBytes, mtimeMs: 1 };
}

const names = fc.oneof(
  fc.string({ minLength: 1, maxLength: 200 }),
  fc.constantFrom("/a", "/a/b", "/", "/a//b", "a", "/ä"),
  fc.nat(1_000).map((number) => `/tree/${number}`),
);
const sizes = fc.oneof(fc.nat(100), fc.nat(300 * KIB), fc.constantFrom(0, PACKED_FILE_BYTES_MAX));
const trees = fc.array(fc.tuple(names, sizes).map(([path, size]) => file(path, size)), {
  maxLength: 60,
});
const limits = fc.record({
  files: fc.integer({ min: 2, max: 20 }),
  bytes: fc.integer({ min: 10 * KIB, max: 1_000 * KIB }),
  pathBytes: fc.integer({ min: 10, max: 2_000 }),
});

test("planPacks keeps its limits, and puts each file into one pack at most", () => {
  fc.assert(fc.property(trees, limits, fc.string({ maxLength: 20 }), (files, limits, owner) => {
    const packs = planPacks(files, owner, limits);
    const indexes = packs.flatMap((pack) => pack.indexes);
    expect(new Set(indexes).size).toBe(indexes.length);
    expect(indexes).toEqual([...indexes].sort((left, right) => left - right));
    const paths = indexes.map((index) => files[index]?.path);
    expect(new Set(paths).size).toBe(paths.length);
    for (const pack of packs) {
      const packed = pack.indexes.map((index) => files[index]).filter((one) => one !== undefined);
      expect(packed.length).toBeGreaterThan(1);
      expect(packed.length).toBeLessThanOrEqual(limits.files);
      const pathBytes = packed.reduce((sum, { path }) => sum + Buffer.byteLength(path), 0);
      expect(pathBytes).toBeLessThanOrEqual(limits.pathBytes);
      let offset = 0;
      const entries = packed.map(({ path, sizeBytes, mtimeMs }) => {
        offset += sizeBytes;
        return { path, offset: offset - sizeBytes, sizeBytes, mode: 0o777, mtimeMs, owner };
      });
      const bytes = offset + encodeManifest(entries).length;
      expect(bytes).toBeLessThanOrEqual(pack.bytesMax);
      expect(pack.bytesMax).toBeLessThanOrEqual(limits.bytes);
    }
  }));
});

test("planPacks leaves out only what is large, has a bad name or a path twice, or is alone", () => {
  const good = Array.from({ length: 5_000 }, (_, n) => file(`/d/${n}`, n % 5_000));
  const bad = [
    file("/large", PACKED_FILE_BYTES_MAX),
    file("/d/1", 5),
    file("/", 5),
    file("x", 5),
    file("/..", 5),
  ];
  const packs = planPacks([...good, ...bad], "ann");
  expect(packs.flatMap(({ indexes }) => indexes)).toEqual(good.map((_, index) => index));
  expect(planPacks([file("/a", 1)], "ann")).toEqual([]);
});

test("planPacks believes no manifest smaller than it can be, at the extremes", () => {
  const path = `/${"x".repeat(250)}`;
  const owner = "o".repeat(255);
  const entry = { path, offset: 2 ** 24, sizeBytes: 2 ** 20, mode: 0o177777, mtimeMs: 2 ** 52 };
  const one = encodeManifest([{ ...entry, owner }]).length;
  const two = encodeManifest([{ ...entry, owner }, { ...entry, owner }]).length;
  const limits = { ...PUT_LIMITS, files: 2 };
  const [pack] = planPacks([file(`${path}a`, 0), file(`${path}b`, 0)], owner, limits);
  expect(pack?.bytesMax).toBeGreaterThanOrEqual(two);
  expect(two - one).toBeLessThan(600);
});
