/** Rescues from real directories, as keepers leave them, whole and damaged. */
import { afterEach, expect, test } from "bun:test";
import fc from "fast-check";
import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { MIB } from "../../src/base/bytes.ts";
import { systemDisk } from "../../src/chunks/disk.ts";
import { chunkPath, sidecarPath } from "../../src/chunks/places.ts";
import { formatSidecar } from "../../src/chunks/sidecar.ts";
import { openSource } from "../../src/rescue/survey.ts";
import { LINK_MODE } from "../../src/wire/file.ts";
import { makeId } from "../../src/wire/ids.ts";
import { sumsOf } from "../../src/wire/sums.ts";
import {
  begin,
  BYTES,
  end,
  file,
  flip,
  keeper,
  land,
  out,
  random,
  read,
  run,
} from "./directories.ts";

afterEach(end);

async function codeOf(task: Promise<unknown>): Promise<string> {
  return await task.then(() => "ok", (error) => String(error.code));
}

test("rescue writes files with their names, modes, times and links", async () => {
  begin(2);
  const bytes = BYTES.subarray(0, 2 * MIB + 5);
  const facts = { mode: 0o640, mtimeMs: 1_500_000_000_123 };
  file("/a b/ü/\u0001file", bytes, [0], facts);
  file("/empty", new Uint8Array(), [1], { mtimeMs: -5_000 });
  file("/link", new TextEncoder().encode("../outside"), [1], { mode: LINK_MODE, mtimeMs: 7_000 });
  const { summary, kinds } = await run([0, 1], { sync: true });
  expect(kinds).toEqual(["whole /a b/ü/\u0001file", "whole /empty", "whole /link"]);
  expect(read("/a b/ü/\u0001file")).toEqual(bytes);
  const { mode, mtimeMs } = statSync(join(out(), "/a b/ü/\u0001file"));
  expect([mode & 0o777, mtimeMs]).toEqual([0o640, 1_500_000_000_123]);
  expect(read("/empty")).toHaveLength(0);
  expect(readlinkSync(join(out(), "/link"))).toBe("../outside");
  expect(summary).toMatchObject({ chunks: 3, sidecars: 3, unreadable: 0 });
  expect(readdirSync(out()).sort()).toEqual(["a b", "empty", "link"]);
});

test("rescue takes each block from a copy that has it right, also from one put aside", async () => {
  begin(3);
  const bytes = BYTES;
  const chunk = file("/f", bytes, [0, 1, 2]);
  flip(0, chunk, 5);
  flip(1, chunk, MIB + 5);
  truncateSync(join(keeper(1), chunkPath(chunk)), 2 * MIB);
  flip(2, chunk, 7);
  flip(2, chunk, MIB + 7);
  mkdirSync(join(keeper(2), "quarantine"));
  for (const ending of ["", ".json"]) {
    const aside = join(keeper(2), `quarantine/${chunk}.0badc0de${ending}`);
    renameSync(join(keeper(2), chunkPath(chunk) + ending), aside);
  }
  rmSync(join(keeper(0), sidecarPath(chunk)));
  const { summary } = await run([0, 1, 2]);
  expect(read("/f")).toEqual(bytes);
  expect(summary.mendedBlocks).toBeGreaterThan(0);
});

test("rescue writes exactly the files that have each block right in some copy", async () => {
  const flips = fc.array(fc.record({ keeper: fc.nat({ max: 2 }), block: fc.nat({ max: 2 }) }), {
    maxLength: 9,
  });
  await fc.assert(
    fc.asyncProperty(flips, async (damages) => {
      begin(3);
      try {
        const bytes = BYTES.subarray(0, 2 * MIB + 100);
        const chunk = file("/f", bytes, [0, 1, 2]);
        for (const { keeper: n, block } of damages) {
          const path = join(keeper(n), chunkPath(chunk));
          const damaged = readFileSync(path);
          damaged[block * MIB + 50] = 1 ^ (bytes[block * MIB + 50] ?? 0);
          writeFileSync(path, damaged);
        }
        const isWhole = [0, 1, 2].every((block) =>
          [0, 1, 2].some((n) => !damages.some((d) => d.keeper === n && d.block === block))
        );
        const { kinds } = await run([0, 1, 2]);
        expect(kinds).toEqual([isWhole ? "whole /f" : "damaged /f"]);
        if (isWhole) expect(read("/f")).toEqual(bytes);
        else expect(readdirSync(out())).toEqual([]);
      } finally {
        end();
      }
    }),
    { numRuns: 20 },
  );
});

test("rescue lists what is not whole, and takes an older version only when it may", async () => {
  begin(1);
  const [upload, offset] = [makeId(random), 10];
  file("/f", new Uint8Array(5).fill(1), [0], { placedMs: 1 });
  land(new Uint8Array(10), [0], { path: "/f", upload, seq: 1, offset, fileBytes: 20, placedMs: 2 });
  const strict = await run([0]);
  expect(strict.outcomes).toEqual([{
    ...{ path: "/f", sizeBytes: 20, kind: "incomplete", hasOlder: true },
    missing: [{ start: 0, end: 10 }],
  }]);
  expect(existsSync(join(out(), "f"))).toBe(false);
  const older = await run([0], { older: true });
  expect(older.outcomes).toMatchObject([{ kind: "whole", older: true, sizeBytes: 5 }]);
  expect(read("/f")).toEqual(new Uint8Array(5).fill(1));
});

test("rescue leaves what is there, knows its own files again, and replaces when told", async () => {
  begin(1);
  file("/f", new Uint8Array(5).fill(1), [0], { mtimeMs: 9_000 });
  file("/g", new Uint8Array(5).fill(2), [0], { mtimeMs: 9_000 });
  await run([0]);
  writeFileSync(join(out(), "g"), "mine");
  expect((await run([0])).kinds).toEqual(["in-the-way /g", "present /f"]);
  expect(readFileSync(join(out(), "g"), "utf8")).toBe("mine");
  expect((await run([0], { overwrite: true })).kinds).toEqual(["whole /f", "whole /g"]);
  expect(read("/g")).toEqual(new Uint8Array(5).fill(2));
});

test("rescue never writes through a link, nor over a directory", async () => {
  const root = begin(1);
  mkdirSync(join(root, "outside"));
  mkdirSync(join(out(), "dir"), { recursive: true });
  symlinkSync(join(root, "outside"), join(out(), "link"));
  symlinkSync(join(root, "outside/file"), join(out(), "target"));
  file("/link/f", new Uint8Array(5), [0]);
  file("/dir", new Uint8Array(5), [0]);
  file("/target", new Uint8Array(5), [0]);
  const { kinds, outcomes } = await run([0], { overwrite: true });
  expect(kinds).toEqual(["failed /link/f", "in-the-way /dir", "whole /target"]);
  expect(outcomes.find(({ kind }) => kind === "failed")).toMatchObject({
    reason: expect.stringContaining("symbolic link"),
  });
  expect(readdirSync(join(root, "outside"))).toEqual([]);
  expect(lstatSync(join(out(), "target")).isFile()).toBe(true);
});

test("rescue goes on past what can't be read, and counts it", async () => {
  begin(2);
  const good = file("/good", new Uint8Array(5), [0, 1]);
  const bad = file("/bad", new Uint8Array(6), [0]);
  writeFileSync(join(keeper(0), sidecarPath(good)), "{");
  const orphan = land(new Uint8Array(7), [0], {});
  const nameless = { chunk: orphan, sizeBytes: 7, sums: sumsOf(new Uint8Array(7)), goal: 3 };
  writeFileSync(join(keeper(0), sidecarPath(orphan)), formatSidecar(nameless, 1));
  rmSync(join(keeper(0), chunkPath(bad)));
  const { kinds, summary } = await run([0, 1]);
  expect(kinds).toEqual(["incomplete /bad", "whole /good"]);
  expect(summary).toMatchObject({ unreadable: 1, nameless: 1, sidecars: 4 });
});

test("rescue lists without writing, and takes only what is below a path", async () => {
  begin(1);
  for (const path of ["/a/x", "/a/y/z", "/ab"]) file(path, new Uint8Array(5), [0]);
  const { kinds, summary } = await run([0], { to: undefined, under: "/a" });
  expect(kinds).toEqual(["whole /a/x", "whole /a/y/z"]);
  expect(summary.bytes).toBe(10);
  expect(existsSync(out())).toBe(false);
});

test("rescue does not begin where nothing can be written", async () => {
  begin(1);
  file("/f", new Uint8Array(5), [0]);
  writeFileSync(out(), "a file");
  expect(await codeOf(run([0]))).toBe("local");
  expect(readFileSync(out(), "utf8")).toBe("a file");
});

test("rescue reads directories in which nothing may be written", async () => {
  begin(1);
  file("/f", new Uint8Array(5), [0]);
  chmodSync(keeper(0), 0o555);
  const before = readdirSync(keeper(0));
  expect((await run([0])).kinds).toEqual(["whole /f"]);
  expect(readdirSync(keeper(0))).toEqual(before);
  chmodSync(keeper(0), 0o755);
});

test("openSource refuses a directory that is no keeper's", () => {
  const root = begin(1);
  expect(() => openSource(root, systemDisk(root))).toThrow(/name a keeper's data directory$/);
});
