/** What `bench:scale` builds and prints: its catalog is a right one, its table says what was measured. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { holds } from "../../bench/figure.ts";
import { costOf } from "../../bench/scale/cost.ts";
import { checkGrown, directoryOf, growCatalog } from "../../bench/scale/grow.ts";
import { COPIES, DIRECTORY_FILES, keepersOf, makeCatalog } from "../../bench/scale/grow.ts";
import { figuresOf, formatSizes, growthOf, type ScaleSize } from "../../bench/scale/table.ts";
import { pathOf } from "../../bench/scale/grow.ts";
import { CatalogReader } from "../../src/catalog/reader.ts";

const KEEPERS = 12;
const directory = mkdtempSync(join(tmpdir(), "tydfs-scale-test-"));
const path = join(directory, "catalog.db");

beforeAll(async () => {
  await makeCatalog(path, keepersOf(KEEPERS));
  growCatalog(path, 0, DIRECTORY_FILES, KEEPERS);
  growCatalog(path, DIRECTORY_FILES, 3 * DIRECTORY_FILES, KEEPERS);
});

afterAll(() => rmSync(directory, { recursive: true, force: true }));

test("growCatalog breaks no invariant of the catalog, step by step", () => {
  expect(checkGrown(path)).toEqual([]);
});

test("growCatalog makes each file, with copies on different keepers", () => {
  const reader = new CatalogReader(path);
  for (const n of [0, 999, 1_000, 2_999]) {
    const { extents } = reader.locate(pathOf(n), undefined, 0, 10);
    const [extent] = extents;
    expect(new Set(extent?.keepers).size).toBe(COPIES);
  }
  const listed = reader.list(directoryOf(1_500), {
    ...{ recursive: false, after: undefined, limit: 2_000 },
  });
  expect(listed.entries.length).toBe(DIRECTORY_FILES);
  expect(reader.counts()).toMatchObject({ files: 3_000, directories: 3, chunksShort: 0 });
  const held = reader.heldByKeepers().map(({ replicas }) => replicas);
  expect(held.reduce((sum, replicas) => sum + replicas, 0)).toBe(COPIES * 3_000);
  expect(Math.min(...held)).toBeGreaterThan(500);
  reader.close();
});

test("costOf counts each operation once, the first batch for nothing", async () => {
  const seen: number[] = [];
  const cost = await costOf((n) => seen.push(n), { batch: 3, batches: 2 });
  expect(seen).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8]);
  expect(cost.cpuUs).toBeGreaterThanOrEqual(0);
});

test("growthOf compares the largest with the smallest, an inventory by chunk", () => {
  const sizes = [sizeOf(1e6, 100, 3_000), sizeOf(5e6, 900, 15_000), sizeOf(1e7, 120, 30_000)];
  expect(growthOf(sizes, "commit")).toBeCloseTo(1.2);
  expect(growthOf(sizes, "inventory")).toBeCloseTo(0.12);
  expect(growthOf(sizes.slice(0, 1), "commit")).toBeUndefined();
});

test("figuresOf holds the largest size to its targets, and says where it grows too much", () => {
  const figures = figuresOf([sizeOf(1e6, 100, 3_000), sizeOf(1e7, 200, 30_000)]);
  const growth = figures.find(({ what }) => what.startsWith("growth: file.stat"));
  expect(growth && holds(growth)).toBe(false);
  const commits = figures.find(({ what }) => what.startsWith("commits of files, 10 M"));
  expect(commits?.value).toBeCloseTo(5_000);
  expect(figuresOf([])).toEqual([]);
});

test("formatSizes has a column for each size", () => {
  const [head, ...rows] = formatSizes([sizeOf(1e6, 100, 1), sizeOf(5e6, 1_500, 1)]).split("\n");
  expect(head).toMatch(/1 M\s+5 M\s+growth$/);
  expect(rows[0]).toMatch(/100 µs\s+1\.50 ms\s+15\.00 ×$/);
});

function sizeOf(files: number, cpuUs: number, lostChunks: number): ScaleSize {
  const cost = { cpuUs, wallUs: cpuUs };
  return {
    ...{ files, keepers: 1_000, bytesPerFile: 356, beatShare: 0.05, lostChunks },
    ...{ firstCopyMs: 500, planMs: 1_000 },
    costs: {
      ...{ place: cost, begin: cost, commit: cost, list: cost, locate: cost, stat: cost },
      ...{ beat: cost, tick: cost, idleTick: cost, judge: cost, copy: cost },
      ...{ inventory: cost, open: cost },
    },
  };
}
