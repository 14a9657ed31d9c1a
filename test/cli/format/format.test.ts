/** What people read, on fixed data. Times are those of UTC, in which the tests run. */
import { expect, test } from "bun:test";
import {
  entryJson,
  formatEntries,
  formatGet,
  formatPut,
  formatStat,
  formatTime,
  statJson,
} from "../../../src/cli/format/format.ts";
import { formatProgress, ProgressBar } from "../../../src/cli/transfer/progress.ts";
import { ManualClock } from "../../manual_clock.ts";
import type { Entry, StatResult } from "../../../src/client/client.ts";
import { MIB } from "../../../src/base/bytes.ts";
import { LINK_MODE } from "../../../src/wire/file.ts";
import { FakeOutput } from "../fake_output.ts";

const FILE: Entry = {
  path: "/videos/a.mp4",
  kind: "file",
  size: 1.5 * 2 ** 30,
  version: 3,
  mtimeMs: Date.UTC(2024, 4, 1, 12, 30),
  mode: 0o644,
  owner: "ann",
  checksum: "0123456789abcdef",
  updating: false,
};
const NEW: Entry = { ...FILE, path: "/videos/b \x1b[2J.mp4", size: 17, owner: "", updating: true };
const DIRECTORY: Entry = { ...FILE, path: "/videos/old", kind: "directory", size: 0, mode: 0o755 };

test("formatEntries prints names, directories with a slash, control characters escaped", () => {
  const format = { long: false, directory: "/videos" };
  expect(formatEntries([FILE, NEW, DIRECTORY], format)).toEqual([
    "a.mp4",
    "b \\u001b[2J.mp4",
    "old/",
  ]);
});

test("formatEntries prints whole paths without a directory", () => {
  const format = { long: false, directory: undefined };
  expect(formatEntries([FILE, DIRECTORY], format)).toEqual(["/videos/a.mp4", "/videos/old/"]);
});

test("formatEntries aligns a long list", () => {
  expect(formatEntries([FILE, NEW, DIRECTORY], { long: true, directory: "/videos" })).toEqual([
    "-rw-r--r--  ann  1.5 GiB  2024-05-01 12:30  a.mp4",
    "-rw-r--r--  -       17 B  2024-05-01 12:30  b \\u001b[2J.mp4  (updating)",
    "drwxr-xr-x  ann        -  2024-05-01 12:30  old/",
  ]);
});

test("a symbolic link is a file of its own kind", () => {
  const link = { ...FILE, path: "/videos/l", size: 5, mode: LINK_MODE };
  expect(formatEntries([link], { long: true, directory: "/videos" })).toEqual([
    "lrwxrwxrwx  ann  5 B  2024-05-01 12:30  l",
  ]);
  expect(entryJson(link)["kind"]).toBe("link");
  expect(statJson({ ...STAT, entry: link }, { locations: false })["kind"]).toBe("link");
});

test("entryJson has the fields that scripts rely on", () => {
  expect(Object.keys(entryJson(FILE))).toEqual([
    "path",
    "kind",
    "size",
    "mtimeMs",
    "mode",
    "owner",
    "updating",
  ]);
});

const STAT: StatResult = {
  entry: FILE,
  checksum: "0123456789abcdef",
  replicas: 3,
  chunks: [{
    id: "ab".repeat(16),
    offset: 0,
    size: 64 * MIB,
    holders: [
      { keeper: "barn-1", state: "good", path: "chunks/ab/ab/x" },
      { keeper: "k2", state: "good", path: "chunks/ab/ab/x" },
    ],
  }],
};

test("formatStat prints facts, and locations where they are asked for", () => {
  const facts = [
    "/videos/a.mp4",
    "  kind      file",
    "  size      1.5 GiB (1610612736 bytes)",
    "  version   3",
    "  checksum  xxh3 0123456789abcdef",
    "  modified  2024-05-01 12:30:00",
    "  owner     ann",
    "  mode      -rw-r--r--",
    "  copies    3 wanted",
  ];
  expect(formatStat(STAT, { locations: false })).toEqual(facts);
  expect(formatStat(STAT, { locations: true })).toEqual([
    ...facts,
    "  chunk 0  abababababababababababababababab  at 0, 64 MiB",
    "    barn-1  good  chunks/ab/ab/x",
    "    k2      good  chunks/ab/ab/x",
  ]);
});

test("formatStat and statJson tell what a link leads to", () => {
  const link = { ...STAT, entry: { ...FILE, mode: LINK_MODE } };
  const extras = { locations: false, target: "../b\x1b" };
  expect(formatStat(link, extras)).toContain("  target    ../b\\u001b");
  expect(statJson(link, extras)).toMatchObject({ kind: "link", mode: "0777", target: "../b\x1b" });
});

test("formatTime knows no time of the root, which nobody has made", () => {
  const root: Entry = { ...DIRECTORY, path: "/", mtimeMs: 0 };
  expect(formatTime(root, "minutes")).toBe("-");
  expect(formatTime(FILE, "seconds")).toBe("2024-05-01 12:30:00");
});

test("statJson has the fields that scripts rely on", () => {
  const keys = [
    "path",
    "kind",
    "size",
    "version",
    "checksum",
    "mtimeMs",
    "mode",
    "owner",
    "replicas",
  ];
  expect(Object.keys(statJson(STAT, { locations: false }))).toEqual(keys);
  expect(Object.keys(statJson(STAT, { locations: true }))).toEqual([...keys, "chunks"]);
});

const PUT = {
  path: "/videos/a.mp4",
  version: 1,
  sizeBytes: 2 ** 30,
  checksum: "0123456789abcdef",
  copies: 3,
  goal: 3,
  resumedBytes: 0,
  elapsedMs: 2100,
};

test("formatPut ends with the receipt, or says why there are fewer copies", () => {
  expect(formatPut(PUT)).toBe(
    'put "/videos/a.mp4" · 1 GiB in 2.1 s (488 MiB/s) · 3/3 copies, synced, ' +
      "xxh3 0123456789abcdef",
  );
  const why = { reason: "keepers-away", words: "k2 is down", missing: [] } as const;
  expect(formatPut({ ...PUT, copies: 2 }, { ...why, missing: [] })).toEndWith(
    " · 2/3 copies: k2 is down · synced, xxh3 0123456789abcdef",
  );
});

test("formatPut tells what was there already, and the rate of the rest", () => {
  expect(formatPut({ ...PUT, resumedBytes: 2 ** 29 })).toStartWith(
    'put "/videos/a.mp4" · 1 GiB in 2.1 s (244 MiB/s) · 512 MiB of it were there already · 3/3',
  );
  expect(formatPut({ ...PUT, resumedBytes: 2 ** 30 })).toContain(" · all of it was there already");
});

test("formatGet tells what was checked and where it is", () => {
  const facts = { inode: 1, mtimeMs: 0, mode: 0o644, local: "films/a.mp4" };
  expect(formatGet({ ...PUT, ...facts, elapsedMs: 500 })).toBe(
    'got "/videos/a.mp4" · 1 GiB in 0.50 s (2 GiB/s) · every block checked · ' +
      'xxh3 0123456789abcdef · "films/a.mp4"',
  );
});

test("formatProgress shows bar, bytes, rate and time left", () => {
  const half = { doneBytes: 512 * MIB, totalBytes: 1024 * MIB };
  expect(formatProgress("a.mp4", half, 2000)).toBe(
    "██████████░░░░░░░░░░  50 %  512 MiB of 1 GiB  256 MiB/s  2 s left  a.mp4",
  );
  const resumed = { ...half, resumedBytes: 256 * MIB };
  expect(formatProgress("a.mp4", resumed, 2000)).toBe(
    "██████████░░░░░░░░░░  50 %  512 MiB of 1 GiB  128 MiB/s  4 s left  a.mp4",
  );
  const stream = { doneBytes: MIB, totalBytes: undefined };
  expect(formatProgress("-", stream, 1000)).toBe("-  1 MiB  1 MiB/s");
});

test("ProgressBar draws at most ten times a second, and clears its line", () => {
  const output = new FakeOutput(true);
  let nowMs = 0;
  const clock = {
    wallMs: () => nowMs,
    monotonicMs: () => nowMs,
    sleep: () => Promise.resolve(),
    after: () => ({ stop: () => {} }),
    every: () => ({ stop: () => {} }),
  };
  const progress = new ProgressBar(output, "a", false, clock);
  for (; nowMs < 1300; nowMs += 10) progress.listener({ doneBytes: nowMs, totalBytes: 2000 });
  progress.end();
  expect(output.drawn.split("\r").length - 1).toBeWithin(8, 13);
  expect(output.drawn.endsWith("\r\x1b[2K")).toBe(true);
});

test("ProgressBar prints a plain line each ten seconds where there is no terminal", async () => {
  const output = new FakeOutput(false);
  const clock = new ManualClock();
  const progress = new ProgressBar(output, "a", false, clock);
  for (let seconds = 1; seconds <= 25; seconds++) {
    await clock.advance(1000);
    progress.listener({ doneBytes: seconds * MIB, totalBytes: 100 * MIB });
  }
  progress.end();
  expect(output.drawn).toBe("");
  expect(output.messages).toEqual([
    "tydfs: 10 %  10 MiB of 100 MiB  1 MiB/s  1 min 30 s left  a",
    "tydfs: 20 %  20 MiB of 100 MiB  1 MiB/s  1 min 20 s left  a",
  ]);
});

test("ProgressBar says nothing when it is hidden", () => {
  const output = new FakeOutput(true);
  const progress = new ProgressBar(output, "a", true);
  progress.listener({ doneBytes: 1, totalBytes: 2 });
  progress.end();
  expect(output.drawn).toBe("");
});
