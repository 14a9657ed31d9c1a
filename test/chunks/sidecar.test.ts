/** Sidecars: round trips, those of older versions, and lists of files that are damaged. */
import { expect, test } from "bun:test";
import fc from "fast-check";
import { MIB } from "../../src/base/bytes.ts";
import type { ChunkFacts } from "../../src/chunks/sidecar.ts";
import { formatSidecar, parseFileList, parseSidecar } from "../../src/chunks/sidecar.ts";
import type { ErrorCode } from "../../src/wire/errors.ts";
import { TydfsError } from "../../src/wire/errors.ts";
import type { ChunkOrigin } from "../../src/wire/ticket.ts";
import { anyFiles, anyPath, makePack } from "./pack_fixture.ts";

const ID = "0123456789abcdef0123456789abcdef";
const PACK_BYTES = 3 * MIB;

const anyId = fc.uint8Array({ minLength: 16, maxLength: 16 }).map((bytes) => bytes.toHex());
const anyOrigin: fc.Arbitrary<ChunkOrigin> = fc.record(
  {
    ...{ path: anyPath, upload: anyId, seq: fc.nat(), offset: fc.nat() },
    ...{ fileBytes: fc.nat(), mode: fc.nat(), mtimeMs: fc.integer(), owner: fc.string() },
    placedMs: fc.nat(),
  },
  { requiredKeys: ["path", "upload", "seq", "offset"] },
);
const anyFacts: fc.Arbitrary<ChunkFacts> = fc.record({
  chunk: fc.constant(ID),
  sizeBytes: fc.constant(PACK_BYTES),
  sums: fc.uint8Array({ minLength: 24, maxLength: 24 }),
  goal: fc.nat({ max: 16 }),
  origin: fc.option(anyOrigin, { nil: undefined }),
});
const isPack = { packed: true } as const;
const anyPack: fc.Arbitrary<ChunkFacts> = fc.tuple(anyFacts, anyOrigin)
  .map(([facts, origin]) => ({ ...facts, origin: { ...origin, ...isPack } }));

function listOf(bytes: Uint8Array): ReturnType<typeof parseFileList> | ErrorCode {
  try {
    return parseFileList(ID, PACK_BYTES, bytes);
  } catch (error) {
    if (error instanceof TydfsError) return error.code;
    throw error;
  }
}

test("parseSidecar reads what formatSidecar writes, with and without a list of files", () => {
  fc.assert(fc.property(anyFacts, fc.nat(), (facts, landedMs) => {
    const bytes = formatSidecar(facts, landedMs);
    expect(parseSidecar(ID, bytes)).toEqual({ ...facts, landedMs });
    expect(listOf(bytes)).toBeUndefined();
  }));
  fc.assert(fc.property(anyPack, anyFiles(PACK_BYTES), fc.nat(), (facts, files, landedMs) => {
    const bytes = formatSidecar(facts, landedMs, files);
    expect(parseSidecar(ID, bytes)).toEqual({ ...facts, landedMs });
    expect(listOf(bytes)).toEqual(files);
    // Anybody else may read it, too.
    expect(JSON.parse(new TextDecoder().decode(bytes))).toMatchObject({ chunk: ID, files });
    expect(listOf(formatSidecar(facts, landedMs))).toBeUndefined();
  }));
});

test("a sidecar of the first versions is read as ever", () => {
  const old = {
    ...{ format: 1, chunk: ID, sizeBytes: 5, sums: "00112233445566aa", goal: 3, landedMs: 7 },
    ...{ path: "/films/one.mkv", upload: ID, seq: 0, offset: 0 },
  };
  const { path, upload, seq, offset } = old;
  const facts = parseSidecar(ID, Buffer.from(JSON.stringify(old, null, 1) + "\n"));
  expect(facts.origin).toEqual({ path, upload, seq, offset });
  expect(facts.landedMs).toBe(7);
});

test("the sidecar of a pack tells versions without packs no path to take its bytes for", () => {
  const origin = { path: "/first", upload: ID, seq: 0, offset: 0, placedMs: 4, ...isPack };
  const facts = { chunk: ID, sizeBytes: 0, sums: new Uint8Array(), goal: 3, origin };
  const read = JSON.parse(Buffer.from(formatSidecar(facts, 1, [])).toString());
  expect([read.format, read.path, read.upload]).toEqual([1, undefined, undefined]);
});

test("a list of files that is damaged anywhere is told, and the chunk is known all the same", () => {
  const { files } = makePack([
    { path: "/a", bytes: new Uint8Array(100) },
    { path: "/b/ü\n", bytes: new Uint8Array(7), placedMs: 9 },
  ]);
  const origin = { path: "/a", upload: ID, seq: 0, offset: 0, ...isPack };
  const facts = { chunk: ID, sizeBytes: PACK_BYTES, sums: new Uint8Array(24), goal: 3, origin };
  const good = formatSidecar(facts, 1, files);
  const start = Buffer.from(good).indexOf('\n "files": [');
  const marker = '\n "files": ['.length;
  for (let at = start + marker; at < good.length; at++) {
    for (const bit of [0, 3, 7]) {
      const bad = good.with(at, (good[at] ?? 0) ^ (1 << bit));
      expect(listOf(bad)).toBe("corrupt");
      expect(parseSidecar(ID, bad)).toEqual({ ...facts, landedMs: 1 });
    }
    expect(listOf(good.subarray(0, at))).toBe("corrupt");
  }
});

test("a list whose sum is right is checked like anything else", () => {
  const origin = { path: "/a", upload: ID, seq: 0, offset: 0, ...isPack };
  const facts = { chunk: ID, sizeBytes: PACK_BYTES, sums: new Uint8Array(24), goal: 3, origin };
  const [file] = makePack([{ path: "/a", bytes: new Uint8Array(1) }]).files;
  if (file === undefined) throw new Error("a pack has its file");
  const outside = { ...file, offset: PACK_BYTES };
  expect(listOf(formatSidecar(facts, 1, [file]))).toEqual([file]);
  expect(listOf(formatSidecar(facts, 1, [file, outside]))).toBe("corrupt");
  expect(listOf(formatSidecar(facts, 1, [{ ...file, path: "/a/../../etc" }]))).toBe("corrupt");
});
