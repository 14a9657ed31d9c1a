/** Which version of a path is rescued, and what is said of those that are not whole. */
import { expect, test } from "bun:test";
import fc from "fast-check";
import type { ChunkFacts } from "../../src/chunks/sidecar.ts";
import { findHidden, planFile } from "../../src/rescue/plan.ts";
import { VersionBook } from "../../src/rescue/versions.ts";

const id = (number: number) => number.toString(16).padStart(32, "0");

interface Piece {
  path?: string;
  upload: number;
  seq: number;
  offset: number;
  sizeBytes: number;
  placedMs?: number;
  landedMs?: number;
  fileBytes?: number;
  mtimeMs?: number;
  chunk?: number;
}

let chunks = 0;

function factsOf(piece: Piece): ChunkFacts {
  const { path = "/f", upload, seq, offset, sizeBytes, landedMs = 1, chunk, ...file } = piece;
  return {
    ...{ chunk: id(chunk ?? ++chunks), sizeBytes, sums: new Uint8Array(), goal: 3, landedMs },
    origin: { path, upload: id(upload), seq, offset, ...file },
  };
}

function planOf(pieces: Piece[], path = "/f") {
  const book = new VersionBook();
  for (const piece of pieces) book.add(factsOf(piece), 0, true);
  return planFile(path, book.versions(path));
}

const one = (upload: number, more: Partial<Piece> = {}): Piece => ({
  ...{ upload, seq: 0, offset: 0, sizeBytes: 10, fileBytes: 10, placedMs: upload },
  ...more,
});

test("planFile takes the newest version by the master's clock, not by when a copy was made", () => {
  const { newest } = planOf([one(2, { landedMs: 5 }), one(1, { landedMs: 99 })]);
  expect(newest).toMatchObject({ kind: "whole", placedMs: 2, sizeBytes: 10, certain: true });
});

test("planFile of old sidecars goes by the first copy that landed", () => {
  const book = new VersionBook();
  const { placedMs: _none, fileBytes: _size, ...old } = one(1);
  for (const landedMs of [50, 10]) {
    book.add(factsOf({ ...old, chunk: 7, landedMs }), 0, true);
  }
  book.add(factsOf({ ...old, upload: 2, landedMs: 20 }), 0, true);
  const { newest, whole } = planFile("/f", book.versions("/f"));
  expect(newest).toMatchObject({ kind: "whole", placedMs: 20, certain: false });
  expect(whole.map(({ placedMs }) => placedMs)).toEqual([20, 10]);
});

test("planFile tells which bytes are missing: at the front, in between, at the end", () => {
  const piece = (seq: number) => ({ upload: 1, seq, offset: seq * 10, sizeBytes: 10 });
  const gaps = (seqs: number[], fileBytes?: number) => {
    const known = fileBytes === undefined ? {} : { fileBytes };
    const { newest } = planOf(seqs.map((seq) => ({ ...piece(seq), ...known })));
    return newest.kind === "whole" ? [] : newest.missing;
  };
  expect(gaps([1, 3], 50)).toEqual([
    { start: 0, end: 10 },
    { start: 20, end: 30 },
    { start: 40, end: 50 },
  ]);
  expect(gaps([0, 1], 20)).toEqual([]);
  expect(gaps([0, 2])).toEqual([{ start: 10, end: 20 }]);
  expect(gaps([0, 1])).toEqual([]);
  expect(gaps([0], 5)).not.toEqual([]);
});

test("planFile joins an upload with the one before it only if both are of the same file", () => {
  const half = (upload: number, seq: number, mtimeMs: number): Piece => ({
    ...{ upload, seq, offset: seq * 10, sizeBytes: 10, fileBytes: 20, mtimeMs, placedMs: upload },
  });
  expect(planOf([half(1, 0, 7), half(2, 1, 7)]).newest)
    .toMatchObject({ kind: "whole", joined: true, sizeBytes: 20, placedMs: 2 });
  expect(planOf([half(1, 0, 7), half(2, 1, 8)]).newest).toMatchObject({ kind: "incomplete" });
});

test("planFile leaves out chunks whose bytes are nowhere", () => {
  const book = new VersionBook();
  book.add(factsOf(one(1)), 0, true);
  book.add(factsOf(one(2, { chunk: 9 })), 0, false);
  expect(planFile("/f", book.versions("/f")).newest.kind).toBe("incomplete");
  book.add(factsOf(one(2, { chunk: 9 })), 1, true);
  expect(planFile("/f", book.versions("/f")).newest)
    .toMatchObject({ kind: "whole", chunks: [{ home: 1 }] });
});

test("planFile calls exactly the versions whole that have all their bytes, the newest first", () => {
  const version = fc.record({
    lengths: fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1, maxLength: 40 }),
    lost: fc.array(fc.nat({ max: 39 }), { maxLength: 3 }),
    copies: fc.integer({ min: 1, max: 3 }),
  });
  fc.assert(fc.property(fc.array(version, { minLength: 1, maxLength: 5 }), (versions) => {
    const book = new VersionBook();
    const left: { placedMs: number; sizeBytes: number; isWhole: boolean }[] = [];
    for (const [upload, { lengths, lost, copies }] of versions.entries()) {
      const fileBytes = lengths.reduce((sum, length) => sum + length, 0);
      let offset = 0;
      let newestMs = 0;
      for (const [seq, sizeBytes] of lengths.entries()) {
        const placedMs = 100 * upload + seq + 1;
        const facts = factsOf({
          ...{ upload, seq, offset, sizeBytes, fileBytes, placedMs, mtimeMs: upload },
        });
        offset += sizeBytes;
        if (lost.includes(seq)) continue;
        newestMs = placedMs;
        for (let copy = 0; copy < copies; copy++) book.add(facts, copy, true);
      }
      const isWhole = !lost.some((seq) => seq < lengths.length);
      if (newestMs > 0) left.push({ placedMs: newestMs, sizeBytes: fileBytes, isWhole });
    }
    if (left.length === 0) return expect(book.size).toBe(0);
    const { newest, whole } = planFile("/f", book.versions("/f"));
    left.sort((a, b) => b.placedMs - a.placedMs);
    expect(newest.kind).toBe(left[0]?.isWhole === true ? "whole" : "incomplete");
    expect(newest.placedMs).toBe(left[0]?.placedMs ?? 0);
    expect(whole.map(({ placedMs, sizeBytes }) => ({ placedMs, sizeBytes, isWhole: true })))
      .toEqual(left.filter(({ isWhole }) => isWhole));
    for (const { chunks, sizeBytes } of whole) {
      let end = 0;
      for (const chunk of chunks) {
        expect(chunk.offset).toBe(end);
        end += chunk.sizeBytes;
      }
      expect(end).toBe(sizeBytes);
    }
  }));
});

test("findHidden has the newer of a file and a directory of one name win", () => {
  const book = new VersionBook();
  const add = (path: string, placedMs: number) =>
    book.add(factsOf({ ...one(1), path, placedMs }), 0, true);
  add("/a", 5);
  add("/a/old", 4);
  add("/a/b/older", 3);
  add("/c", 1);
  add("/c/new", 2);
  add("/c/newer", 3);
  add("/cc", 9);
  const hidden = findHidden(book, book.paths());
  expect([...hidden.keys()].sort()).toEqual(["/a/b/older", "/a/old", "/c"]);
});

test("VersionBook keeps each chunk once, however many copies are found", () => {
  const book = new VersionBook();
  for (let copy = 0; copy < 3; copy++) {
    for (let seq = 0; seq < 50; seq++) {
      const piece = { upload: 1, seq, offset: seq, sizeBytes: 1, chunk: 1000 + seq };
      expect(book.add(factsOf(piece), copy, true)).toBe(true);
    }
  }
  expect(book.chunks).toBe(50);
  expect(book.versions("/f")[0]?.chunks).toHaveLength(50);
  const { origin: _none, ...nameless } = factsOf(one(1));
  expect(book.add(nameless, 0, true)).toBe(false);
});

test("planFile knows the newest version through any history of packs, removals and moves", () => {
  const paths = ["/a", "/b", "/c"];
  const step = fc.oneof(
    fc.record({ kind: fc.constant("pack" as const), paths: fc.subarray(paths, { minLength: 1 }) }),
    fc.record({ kind: fc.constant("alone" as const), path: fc.constantFrom(...paths) }),
    // What lives in some packs is brought into a new one; the old ones may be gone or not.
    fc.record({
      kind: fc.constant("compact" as const),
      packs: fc.array(fc.nat({ max: 9 }), { maxLength: 4 }),
      isGone: fc.boolean(),
    }),
  );
  interface Live {
    path: string;
    placedMs: number;
    sizeBytes: number;
  }
  fc.assert(fc.property(fc.array(step, { maxLength: 25 }), fc.nat({ max: 2 }), (steps, seed) => {
    const packs = new Map<string, Live[]>();
    const alone: Live[] = [];
    const newest = new Map<string, Live>();
    for (const [index, each] of steps.entries()) {
      const placedMs = 10 * index + 1;
      if (each.kind === "compact") {
        const old = each.packs.flatMap((at) => [...packs.keys()][at] ?? []);
        const live = old.flatMap((pack) => packs.get(pack) ?? [])
          .filter((one) => newest.get(one.path)?.placedMs === one.placedMs);
        if (each.isGone) { for (const pack of old) packs.delete(pack); }
        packs.set(id(++chunks), [...new Set(live)]);
        continue;
      }
      const put = (each.kind === "pack" ? each.paths : [each.path])
        .map((path) => ({ path, placedMs, sizeBytes: 100 + index }));
      for (const one of put) newest.set(one.path, one);
      if (each.kind === "pack") packs.set(id(++chunks), put);
      else alone.push(...put);
    }
    const book = new VersionBook();
    for (let copy = 0; copy < 1 + seed; copy++) {
      for (const { path, placedMs, sizeBytes } of alone) {
        const placed = { placedMs, upload: placedMs, chunk: 5_000_000 + placedMs };
        const one = { ...placed, path, sizeBytes, fileBytes: sizeBytes };
        book.add(factsOf({ ...one, seq: 0, offset: 0 }), copy, true);
      }
      for (const [chunk, live] of packs) {
        const origin = { path: "/", upload: id(1), seq: 0, offset: 0, placedMs: 1e9 };
        const facts = { chunk, sizeBytes: 10_000, sums: new Uint8Array(), goal: 3 };
        const files = live.map((one, at) => (
          { ...one, offset: 1000 * at, mode: 0o644, mtimeMs: 5, owner: "ann" }
        ));
        if (!book.wantsPack(chunk, true)) continue;
        book.addPack({ ...facts, origin: { ...origin, packed: true } }, files, copy, true);
      }
    }
    expect(book.paths()).toEqual([...newest.keys()].sort());
    for (const [path, { placedMs, sizeBytes }] of newest) {
      const plan = planFile(path, book.versions(path));
      expect(plan.newest).toMatchObject({ kind: "whole", placedMs, sizeBytes, joined: false });
      const times = plan.whole.map((version) => version.placedMs);
      expect(times).toEqual([...new Set(times)].sort((a, b) => b - a));
    }
  }));
});
