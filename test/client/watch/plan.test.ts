/** What differs, what moved, what is most likely unmounted: the pure decisions of a watch. */
import { expect, test } from "bun:test";
import fc from "fast-check";
import type { LocalEntry } from "../../../src/client/trees/local_tree.ts";
import { decideFailure, mayPassSoon } from "../../../src/client/watch/failure.ts";
import {
  compareEntry,
  directoriesAbove,
  isSameFile,
  knownOf,
  looksUnmounted,
  sameLook,
} from "../../../src/client/watch/plan.ts";
import { TydfsError } from "../../../src/wire/errors.ts";

const file: LocalEntry = {
  ...{ path: "a", local: "/r/a", kind: "file", sizeBytes: 5, mtimeMs: 1000, mode: 0o644 },
  ...{ inode: 7n, device: 1n },
};
const directory: LocalEntry = { ...file, kind: "directory" };
const link: LocalEntry = { ...file, kind: "link", target: "b" };
const sent = { version: 3, checksum: "c" };
const trust = { trustInodes: true };

const VERDICTS: [string, LocalEntry, Partial<LocalEntry>, string][] = [
  ["nothing", file, {}, "none"],
  ["size", file, { sizeBytes: 6 }, "content"],
  ["time", file, { mtimeMs: 1001 }, "maybe"],
  ["inode", file, { inode: 8n }, "maybe"],
  ["device", file, { device: 2n, inode: 8n }, "identity"],
  ["mode", file, { mode: 0o600 }, "facts"],
  ["kind", file, { kind: "directory" }, "kind"],
  ["a directory's size and time", directory, { sizeBytes: 9, mtimeMs: 9 }, "none"],
  ["a directory's inode", directory, { inode: 8n }, "identity"],
  ["a directory's mode", directory, { mode: 0o700 }, "facts"],
  ["a link's time", link, { mtimeMs: 9 }, "content"],
  ["a link's inode", link, { inode: 8n }, "content"],
  ["a link's mode", link, { mode: 0 }, "none"],
];
for (const [what, entry, change, verdict] of VERDICTS) {
  test(`compareEntry calls another ${what} "${verdict}"`, () => {
    expect(compareEntry({ ...entry, ...change }, knownOf(entry, sent), trust)).toBe(
      verdict as ReturnType<typeof compareEntry>,
    );
  });
}

test("compareEntry calls what is not known new, and trusts no inodes where it may not", () => {
  expect(compareEntry(file, undefined, trust)).toBe("new");
  const options = { trustInodes: false };
  expect(compareEntry({ ...file, inode: 8n }, knownOf(file, sent), options)).toBe("identity");
});

const entryOf = fc.record({
  path: fc.constantFrom("a", "b"),
  local: fc.constant("/r"),
  kind: fc.constantFrom("file" as const, "directory" as const, "link" as const),
  sizeBytes: fc.integer({ min: 0, max: 1 }),
  mtimeMs: fc.integer({ min: 0, max: 1 }),
  mode: fc.constantFrom(0o600, 0o644),
  inode: fc.bigInt(1n, 2n),
  device: fc.bigInt(1n, 2n),
});

test("compareEntry finds nothing after what it found was sent, and agrees with sameLook", () => {
  fc.assert(fc.property(entryOf, entryOf, (one, other) => {
    expect(compareEntry(one, knownOf(one, sent), trust)).toBe("none");
    if (sameLook(one, other) && one.mode === other.mode) {
      expect(compareEntry(other, knownOf(one, sent), trust)).toBe("none");
    }
    if (isSameFile(other, knownOf(one, sent))) {
      expect(["none", "facts"]).toContain(compareEntry(other, knownOf(one, sent), trust));
    }
  }));
});

test("sameLook sees that something came or went", () => {
  expect(sameLook(undefined, undefined)).toBe(true);
  expect(sameLook(file, undefined)).toBe(false);
  expect(sameLook(undefined, file)).toBe(false);
  expect(sameLook(file, { ...file, mode: 0 })).toBe(false);
});

test("directoriesAbove names all directories of a path, the topmost first", () => {
  expect(directoriesAbove("a/b/c")).toEqual(["a", "a/b"]);
  expect(directoriesAbove("a")).toEqual([]);
});

test("looksUnmounted asks for another root and half of what is known", () => {
  expect(looksUnmounted({ missing: 5, known: 10, otherRoot: true })).toBe(true);
  expect(looksUnmounted({ missing: 4, known: 10, otherRoot: true })).toBe(false);
  expect(looksUnmounted({ missing: 10, known: 10, otherRoot: false })).toBe(false);
  expect(looksUnmounted({ missing: 0, known: 0, otherRoot: true })).toBe(false);
});

test("decideFailure settles, waits, or holds ever longer", () => {
  const failure = (code: "changed" | "timeout" | "no-space") => new TydfsError(code, "x");
  expect(decideFailure(failure("changed"), 0)).toEqual({ kind: "settle" });
  expect(decideFailure(failure("timeout"), 5)).toEqual({ kind: "wait" });
  expect(decideFailure(failure("no-space"), 0)).toEqual({ kind: "hold", ms: 2_000 });
  expect(decideFailure(failure("no-space"), 1)).toEqual({ kind: "hold", ms: 4_000 });
  expect(decideFailure(new Error("x"), 1000)).toEqual({ kind: "hold", ms: 300_000 });
  expect(mayPassSoon(new TydfsError("is-directory", "x"))).toBe(true);
  expect(mayPassSoon(failure("no-space"))).toBe(false);
});
