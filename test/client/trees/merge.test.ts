/** The merge of two trees against a naive model with maps, and comparisons of single entries. */
import { expect, test } from "bun:test";
import fc from "fast-check";
import type { TreeEntry, TreePair } from "../../../src/client/trees/merge.ts";
import {
  compareBytes,
  compareEntries,
  keyOf,
  kindOf,
  mergeTrees,
} from "../../../src/client/trees/merge.ts";
import { LINK_MODE } from "../../../src/wire/file.ts";
import { fileChecksum, sumsOf } from "../../../src/wire/sums.ts";

function entry(path: string, kind: TreeEntry["kind"] = "file"): TreeEntry {
  return { path, kind, sizeBytes: 1, mtimeMs: 1000, mode: 0o644 };
}

/** Names that sort around the slash, before it, behind it, and where UTF-16 sorts otherwise. */
const part = fc.constantFrom("a", "a!", "a-", "a.b", "a0", "b", "é", "\uFFFD", "\u{1F600}");

/** A tree: for each path a kind; parents become directories, and files have nothing below. */
const tree = fc.array(
  fc.tuple(
    fc.array(part, { minLength: 1, maxLength: 3 }),
    fc.constantFrom<TreeEntry["kind"]>("file", "link", "directory"),
  ),
  { maxLength: 25 },
).map((made) => {
  const kinds = new Map<string, TreeEntry["kind"]>();
  for (const [parts, kind] of made) {
    const above = parts.map((_, index) => parts.slice(0, index).join("/")).slice(1);
    if (above.some((path) => (kinds.get(path) ?? "directory") !== "directory")) continue;
    for (const path of above) kinds.set(path, "directory");
    if (!kinds.has(parts.join("/"))) kinds.set(parts.join("/"), kind);
  }
  return [...kinds].map(([path, kind]) => entry(path, kind)).sort((left, right) =>
    Buffer.compare(Buffer.from(keyOf(left)), Buffer.from(keyOf(right)))
  );
});

async function* stream(entries: TreeEntry[]): AsyncGenerator<TreeEntry> {
  yield* entries;
}

async function merged(source: TreeEntry[], target: TreeEntry[]): Promise<TreePair[]> {
  const pairs: TreePair[] = [];
  for await (const pair of mergeTrees(stream(source), stream(target))) pairs.push(pair);
  return pairs;
}

/** `both a`, `blocked a`, … */
function told(pairs: TreePair[]): string[] {
  return pairs.map((pair) => {
    const { path } = pair.kind === "target" ? pair.target : pair.source;
    return `${pair.kind} ${path}`;
  }).sort();
}

function naive(source: TreeEntry[], target: TreeEntry[]): string[] {
  const kinds = new Map(target.map(({ path, kind }) => [path, kind]));
  const lines = source.map(({ path, kind }) => {
    const there = kinds.get(path);
    kinds.delete(path);
    if (there === undefined) return `source ${path}`;
    if ((there === "directory") === (kind === "directory")) return `both ${path}`;
    return `${kind === "directory" ? "in-the-way" : "blocked"} ${path}`;
  });
  return [...lines, ...[...kinds.keys()].map((path) => `target ${path}`)].sort();
}

test("mergeTrees says of each path what a model with maps says", async () => {
  await fc.assert(
    fc.asyncProperty(tree, tree, async (source, target) => {
      expect(told(await merged(source, target))).toEqual(naive(source, target));
    }),
    { numRuns: 500 },
  );
});

test("mergeTrees tells of a directory before it tells of what is in it", async () => {
  await fc.assert(
    fc.asyncProperty(tree, tree, async (source, target) => {
      const seen = new Set<string>();
      for (const pair of await merged(source, target)) {
        if (pair.kind === "target") continue;
        const { path } = pair.source;
        const above = path.split("/").slice(0, -1).join("/");
        if (above !== "") expect(seen.has(above)).toBe(true);
        seen.add(path);
      }
    }),
    { numRuns: 200 },
  );
});

test("mergeTrees ends both streams when it is left early", async () => {
  let open = 2;
  async function* watched(): AsyncGenerator<TreeEntry> {
    try {
      for (let number = 0;; number++) yield entry(String(number).padStart(9, "0"), "directory");
    } finally {
      open--;
    }
  }
  for await (const _ of mergeTrees(watched(), watched())) break;
  expect(open).toBe(0);
});

test("compareBytes sorts as the bytes of UTF-8 do", () => {
  const text = fc.string({ unit: "grapheme", maxLength: 6 });
  fc.assert(fc.property(text, text, (left, right) => {
    const bytes = Buffer.compare(Buffer.from(left), Buffer.from(right));
    expect(Math.sign(compareBytes(left, right))).toBe(bytes);
  }));
  expect(compareBytes("\uFFFD", "\u{1F600}")).toBeLessThan(0);
});

const file = { ...entry("a"), checksum: "0123456789abcdef" };
const COMPARED: [string, Partial<TreeEntry>, string, string][] = [
  ["nothing", {}, "same", "checksum"],
  ["a time that some file systems round", { mtimeMs: 1001 }, "same", "checksum"],
  ["another time", { mtimeMs: 1002 }, "checksum", "checksum"],
  ["another size", { sizeBytes: 2 }, "copy", "copy"],
  ["another mode", { mode: 0o600 }, "facts", "checksum"],
  ["a mode with type bits", { mode: 0o100644 }, "same", "checksum"],
  ["another kind", { kind: "link", target: "x" }, "copy", "copy"],
];

for (const [what, change, byTime, byChecksum] of COMPARED) {
  test(`compareEntries of files with ${what} says ${byTime}, with checksums ${byChecksum}`, () => {
    const other: TreeEntry = { ...file, ...change };
    expect(compareEntries(file, other, { byChecksum: false })).toBe(byTime as "same");
    expect(compareEntries(file, other, { byChecksum: true })).toBe(byChecksum as "same");
  });
}

test("compareEntries knows links by their targets, on whichever side", () => {
  const local: TreeEntry = { ...entry("l", "link"), target: "to/there" };
  const checksum = fileChecksum([sumsOf(Buffer.from("to/there"))]);
  const remote: TreeEntry = { ...entry("l", "link"), mode: LINK_MODE, checksum };
  const options = { byChecksum: false };
  expect(compareEntries(local, remote, options)).toBe("same");
  expect(compareEntries(remote, local, options)).toBe("same");
  expect(compareEntries({ ...local, target: "else" }, remote, options)).toBe("copy");
  expect(compareEntries({ ...local, mtimeMs: 5 }, remote, options)).toBe("facts");
});

test("compareEntries compares mode and time of directories", () => {
  const directory = entry("d", "directory");
  expect(compareEntries(directory, directory, { byChecksum: true })).toBe("same");
  expect(compareEntries({ ...directory, sizeBytes: 4096 }, directory, { byChecksum: false }))
    .toBe("same");
  expect(compareEntries({ ...directory, mode: 0o700 }, directory, { byChecksum: false }))
    .toBe("facts");
});

test("kindOf knows a link by its mode", () => {
  expect(kindOf({ kind: "file", mode: LINK_MODE })).toBe("link");
  expect(kindOf({ kind: "file", mode: 0o777 })).toBe("file");
  expect(kindOf({ kind: "directory", mode: 0o755 })).toBe("directory");
});
