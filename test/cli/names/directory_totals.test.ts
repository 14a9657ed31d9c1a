/** Totals of trees: each directory once, with all that is below, after what it holds. */
import { expect, test } from "bun:test";
import * as fc from "fast-check";
import { DirectoryTotals } from "../../../src/cli/names/directory_totals.ts";
import { formatTotals } from "../../../src/cli/du.ts";
import type { Entry } from "../../../src/client/client.ts";

function entry(path: string, size: number | undefined): Entry {
  const facts = { version: 1, mtimeMs: 0, mode: 0o644, owner: "", checksum: "", updating: false };
  return { path, kind: size === undefined ? "directory" : "file", size: size ?? 0, ...facts };
}

function totalsOf(root: string, entries: Entry[]) {
  const totals = new DirectoryTotals(root);
  return [...entries.flatMap((one) => totals.add(one)), ...totals.end()];
}

test("DirectoryTotals tells each directory after what is below it", () => {
  const list = [
    entry("/v/a", 1),
    entry("/v/d", undefined),
    entry("/v/d/b", 10),
    entry("/v/d/e", undefined),
    entry("/v/d2", undefined),
    entry("/v/d2/c", 100),
  ];
  expect(totalsOf("/v", list)).toEqual([
    { path: "/v/d/e", sizeBytes: 0, files: 0, directories: 0, depth: 2 },
    { path: "/v/d", sizeBytes: 10, files: 1, directories: 1, depth: 1 },
    { path: "/v/d2", sizeBytes: 100, files: 1, directories: 0, depth: 1 },
    { path: "/v", sizeBytes: 111, files: 3, directories: 3, depth: 0 },
  ]);
  expect(totalsOf("/", [])).toEqual([
    { path: "/", sizeBytes: 0, files: 0, directories: 0, depth: 0 },
  ]);
});

test("DirectoryTotals counts every file in every directory above it", () => {
  const paths = fc.uniqueArray(
    fc.array(fc.constantFrom("a", "b", "a.x", "c"), { minLength: 1, maxLength: 4 }),
    { selector: (parts) => parts.join("/") },
  );
  fc.assert(fc.property(paths, (all) => {
    // Files are named f, so that none is also a directory.
    const files = all.map((parts) => `/${parts.join("/")}/f`);
    const above = (path: string) => path.slice(0, path.lastIndexOf("/"));
    const directories = new Set<string>();
    for (const file of files) {
      for (let path = above(file); path !== ""; path = above(path)) directories.add(path);
    }
    const entries = [
      ...files.map((path) => entry(path, 1)),
      ...[...directories].map((path) => entry(path, undefined)),
    ];
    const key = ({ path, kind }: Entry) => Buffer.from(kind === "directory" ? `${path}/` : path);
    entries.sort((left, right) => Buffer.compare(key(left), key(right)));
    const totals = totalsOf("/", entries);
    expect(totals.map(({ path }) => path).sort()).toEqual(["/", ...directories].sort());
    for (const total of totals) {
      const prefix = total.path === "/" ? "/" : `${total.path}/`;
      expect(total.files).toBe(files.filter((path) => path.startsWith(prefix)).length);
    }
  }));
});

test("formatTotals aligns sizes and counts", () => {
  const total = { directories: 0, depth: 0 };
  expect(formatTotals([
    { ...total, path: "/v/a", sizeBytes: 17, files: 1 },
    { ...total, path: "/v", sizeBytes: 2 ** 30, files: 1200 },
  ])).toEqual([" 17 B      1 file  /v/a", "1 GiB  1200 files  /v"]);
});
