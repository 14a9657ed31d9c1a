/** Rescues of small files from packs: replaced, compacted, damaged and listed wrongly. */
import { afterEach, expect, test } from "bun:test";
import fc from "fast-check";
import { readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { MIB } from "../../src/base/bytes.ts";
import { chunkPath, sidecarPath } from "../../src/chunks/places.ts";
import type { SmallFile } from "../chunks/pack_fixture.ts";
import { begin, BYTES, end, file, flip, keeper, out, pack, read, run } from "./directories.ts";

afterEach(end);

const bytesOf = (text: string) => new TextEncoder().encode(text);
const small = (path: string, text: string, more: Partial<SmallFile> = {}): SmallFile => ({
  ...{ path, bytes: bytesOf(text), ...more },
});
const textOf = (path: string) => new TextDecoder().decode(read(path));

/** Rewrites the sidecar of a copy. */
function spoil(n: number, chunk: string, change: (sidecar: Buffer) => Uint8Array): void {
  const path = join(keeper(n), sidecarPath(chunk));
  writeFileSync(path, change(readFileSync(path)));
}

test("rescue takes files out of packs, with their names, modes and times", async () => {
  begin(2);
  const long = BYTES.subarray(5, 5 + MIB - 1);
  pack(
    [
      small("/tree/a", "one", { mode: 0o600, mtimeMs: 1_500_000_000_123 }),
      small("/tree/empty", ""),
      { path: "/tree/ü/over a border", bytes: long },
      small("/tree/link", "../a", { mode: 0o120777 }),
    ],
    [0, 1],
    5,
  );
  file("/tree/large", BYTES, [1]);
  const { kinds, summary } = await run([0, 1]);
  expect(kinds).toEqual([
    ...["whole /tree/a", "whole /tree/empty", "whole /tree/large", "whole /tree/link"],
    "whole /tree/ü/over a border",
  ]);
  expect(textOf("/tree/a")).toBe("one");
  const { mode, mtimeMs } = statSync(join(out(), "tree/a"));
  expect([mode & 0o777, mtimeMs]).toEqual([0o600, 1_500_000_000_123]);
  expect(read("/tree/empty")).toHaveLength(0);
  expect(read("/tree/ü/over a border")).toEqual(long);
  expect(summary).toMatchObject({ chunks: 2, sidecars: 3, uncertain: 0, mendedBlocks: 0 });
  expect(summary).toMatchObject({ unreadable: 0, nameless: 0, bytes: 3 + 4 + 3 * MIB + MIB - 1 });
});

test("the newest version wins, whether it lies in a pack or not, and whatever was moved", async () => {
  begin(1);
  pack([small("/replaced by a pack", "old"), small("/replaced alone", "old")], [0], 10);
  pack([small("/replaced by a pack", "new"), small("/alone before", "new")], [0], 20);
  file("/replaced alone", bytesOf("new"), [0], { placedMs: 15 });
  file("/alone before", bytesOf("old"), [0], { placedMs: 15 });
  pack([small("/moved", "old", { placedMs: 10 }), small("/stays", "it", { placedMs: 9 })], [0], 90);
  file("/moved", bytesOf("new"), [0], { placedMs: 30 });
  const { kinds } = await run([0]);
  expect(kinds.every((kind) => kind.startsWith("whole"))).toBe(true);
  for (const path of ["/replaced by a pack", "/replaced alone", "/alone before", "/moved"]) {
    expect([path, textOf(path)]).toEqual([path, "new"]);
  }
});

test("a version that lies in an old pack and in the one after it is one, from either", async () => {
  for (const damaged of [[], [0], [1], [0, 1]]) {
    begin(1);
    const facts = { mtimeMs: 77, mode: 0o600 };
    const old = [small("/dead", "gone"), small("/f", "kept", facts)];
    const packs = [
      pack(old, [0], 10),
      pack([small("/f", "kept", { ...facts, placedMs: 10 })], [0], 90),
    ];
    for (const index of damaged) flip(0, packs[index] ?? "", index === 0 ? 4 : 0);
    const { outcomes } = await run([0], { under: "/f", older: true });
    const kind = damaged.length === 2 ? "damaged" : "whole";
    expect(outcomes).toMatchObject([{ path: "/f", kind }]);
    if (kind === "whole") expect(outcomes).toMatchObject([{ older: false, joined: false }]);
    if (kind === "whole") expect(textOf("/f")).toBe("kept");
    end();
  }
});

test("a pack whose bytes are gone is told by its names, or its files come from another", async () => {
  begin(2);
  const lost = pack([small("/lost", "a"), small("/elsewhere", "b")], [0], 10);
  rmSync(join(keeper(0), chunkPath(lost)));
  pack([small("/elsewhere", "b", { placedMs: 10 })], [1], 50);
  const { outcomes, kinds } = await run([0, 1]);
  expect(kinds).toEqual(["incomplete /lost", "whole /elsewhere"]);
  expect(outcomes.find(({ path }) => path === "/lost"))
    .toMatchObject({ sizeBytes: 1, missing: [{ start: 0, end: 1 }] });
});

test("rescue writes exactly the packed files whose blocks are right in some copy", async () => {
  const flips = fc.array(fc.record({ keeper: fc.nat({ max: 1 }), block: fc.nat({ max: 3 }) }), {
    maxLength: 6,
  });
  await fc.assert(
    fc.asyncProperty(flips, async (damages) => {
      begin(2);
      try {
        // A third of a block each, so that some lie in two blocks.
        const length = 350_000;
        const files = Array.from({ length: 9 }, (_, index) => ({
          ...{ path: `/${index}`, bytes: BYTES.subarray(index, index + length) },
        }));
        const chunk = pack(files, [0, 1], 1);
        const blocks = Math.ceil(statSync(join(keeper(0), chunkPath(chunk))).size / MIB);
        const seen = new Set<string>();
        for (const { keeper: n, block } of damages) {
          if (block < blocks && !seen.has(`${n} ${block}`)) flip(n, chunk, block * MIB + 9);
          seen.add(`${n} ${block}`);
        }
        const isLost = (block: number) => [0, 1].every((n) => seen.has(`${n} ${block}`));
        const { outcomes } = await run([0, 1]);
        expect(outcomes).toHaveLength(9);
        for (const { path, kind } of outcomes) {
          const start = Number(path.slice(1)) * length;
          const own = [Math.floor(start / MIB), Math.floor((start + length - 1) / MIB)];
          expect([path, kind]).toEqual([path, own.some(isLost) ? "damaged" : "whole"]);
          if (kind === "whole") expect(read(path)).toEqual(files[Number(path[1])]?.bytes ?? BYTES);
        }
      } finally {
        end();
      }
    }),
    { numRuns: 20 },
  );
});

test("a damaged list of files is not believed: the pack itself tells them", async () => {
  begin(2);
  const chunk = pack([small("/a", "one"), small("/b", "two")], [0, 1], 1);
  // The list would have "/a" begin elsewhere.
  for (const n of [0, 1]) {
    spoil(
      n,
      chunk,
      (sidecar) => Buffer.from(sidecar.toString().replace('"offset":0', '"offset":3')),
    );
  }
  flip(1, chunk, 10);
  const { kinds, summary } = await run([0, 1]);
  expect(kinds).toEqual(["whole /a", "whole /b"]);
  expect([textOf("/a"), textOf("/b"), summary.unreadable]).toEqual(["one", "two", 0]);
});

test("a list that is damaged with its pack is counted, and other copies have it", async () => {
  begin(2);
  const chunk = pack([small("/a", "one")], [0, 1], 1);
  spoil(0, chunk, (sidecar) => sidecar.subarray(0, -9));
  flip(0, chunk, 10);
  const { kinds, summary } = await run([0, 1]);
  expect([kinds, summary.unreadable]).toEqual([["whole /a"], 1]);
  expect(textOf("/a")).toBe("one");
  expect((await run([0], { to: undefined })).kinds).toEqual([]);
});

test("a copy of a pack that does not say that it is one tells its files last of all", async () => {
  begin(3);
  const chunk = pack([small("/a", "pack"), small("/b", "pack")], [0, 1], 9);
  const bare = (n: number, id: string) => {
    spoil(n, id, (sidecar) => {
      const { pack: _pack, files: _files, filesSum: _sum, ...rest } = JSON.parse(`${sidecar}`);
      return Buffer.from(JSON.stringify(rest));
    });
  };
  bare(0, chunk);
  const nothing = file("/gone", bytesOf("no pack"), [2]);
  spoil(2, nothing, (sidecar) => {
    const { path: _path, ...rest } = JSON.parse(`${sidecar}`);
    return Buffer.from(JSON.stringify(rest));
  });
  file("/b", bytesOf("alone"), [2], { placedMs: 5 });
  // Another copy knows when it was placed.
  const first = await run([0, 1, 2]);
  expect(first.kinds).toEqual(["whole /a", "whole /b"]);
  expect([textOf("/b"), first.summary.nameless]).toEqual(["pack", 1]);
  bare(1, chunk);
  const second = await run([0, 1, 2], { overwrite: true });
  expect([textOf("/a"), textOf("/b"), second.summary.nameless]).toEqual(["pack", "alone", 1]);
});

test("rescue takes only the files of a pack that are below a path", async () => {
  begin(1);
  pack(["/a/x", "/a/y/z", "/ab", "/b"].map((path) => small(path, path)), [0], 1);
  const { kinds, summary } = await run([0], { under: "/a" });
  expect(kinds).toEqual(["whole /a/x", "whole /a/y/z"]);
  expect(summary.bytes).toBe(10);
  expect((await run([0], { under: "/none" })).summary.chunks).toBe(0);
});

test("a pack is read once for all its files, not once for each", async () => {
  begin(2);
  const files = Array.from({ length: 500 }, (_, index) => small(`/${index}`, `${index}`));
  flip(0, pack(files, [0, 1], 1), 0);
  const { summary } = await run([0, 1]);
  expect(summary.outcomes.whole).toBe(500);
  // Were it read for each of its files, the wrong block would be counted as often.
  expect(summary.mendedBlocks).toBe(1);
  expect(textOf("/123")).toBe("123");
});
