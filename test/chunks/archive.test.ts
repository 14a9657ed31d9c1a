/** The archive on a real disk: journals that survive torn ends, files that land whole or not. */
import { afterEach, beforeEach, expect, test } from "bun:test";
import { appendFileSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { seededRandom } from "../../src/base/random.ts";
import { Archive } from "../../src/chunks/archive.ts";
import { type Disk, systemDisk } from "../../src/chunks/disk.ts";
import { archiveName, type JournalPiece } from "../../src/wire/archive.ts";
import { encode } from "../../src/wire/codec.ts";
import { FrameReader } from "../../src/wire/journal_frame.ts";
import { fileChecksum, sumsOf } from "../../src/wire/sums.ts";

const JOURNAL = archiveName("journal", "c".repeat(32), 1);
const SNAPSHOT = archiveName("snapshot", "c".repeat(32), 9);
const text = (words: string) => new TextEncoder().encode(words);

let root: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "archive-"));
});
afterEach(() => rmSync(root, { recursive: true }));

async function open(change: (disk: Disk) => Partial<Disk> = () => ({})): Promise<Archive> {
  const disk = systemDisk(root);
  const archive = new Archive({ ...disk, ...change(disk) }, seededRandom(3));
  await archive.prepare();
  return archive;
}

function frames(): string[] {
  const bytes = readFileSync(join(root, "archive", JOURNAL));
  return [...new FrameReader().read(bytes)].map((payload) => new TextDecoder().decode(payload));
}

test("Archive appends in order, what waits together with one sync, for the owner alone", async () => {
  let syncs = 0;
  const archive = await open((disk) => ({
    writeAt: (...all) => (syncs++, disk.writeAt(...all)),
  }));
  await archive.append(JOURNAL, text("one"));
  await Promise.all(["two", "three", "four"].map((words) => archive.append(JOURNAL, text(words))));
  expect(frames()).toEqual(["one", "two", "three", "four"]);
  expect(syncs).toBe(2);
  expect(statSync(join(root, "archive")).mode & 0o777).toBe(0o700);
  expect(statSync(join(root, "archive", JOURNAL)).mode & 0o777).toBe(0o600);
});

test("Archive tells how far each master's journal goes, also when another file can't be read", async () => {
  const facts = { catalog: "c".repeat(32), cluster: "main", key: "ab".repeat(32) };
  const hashBefore = new Uint8Array(32);
  const piece = (epoch: number, from: number, to: number): JournalPiece => {
    return { ...facts, epoch, from, to, hashBefore, operations: new Uint8Array(1) };
  };
  const archive = await open((disk) => ({
    open: (path) => ({
      ...disk.open(path),
      ...path.includes("snapshot")
        ? { read: () => Promise.reject(Object.assign(new Error("EIO"), { code: "EIO" })) }
        : {},
    }),
  }));
  writeFileSync(join(root, "archive", SNAPSHOT), "x");
  for (const [epoch, from, to] of [[1, 1, 4], [1, 5, 9], [2, 8, 8]] as const) {
    await archive.append(JOURNAL, encode(piece(epoch, from, to)));
  }
  expect(await archive.list()).toMatchObject([{ name: JOURNAL, ends: [[1, 9], [2, 8]] }]);
  await archive.append(JOURNAL, encode(piece(2, 9, 12)));
  expect(await archive.list()).toMatchObject([{ name: JOURNAL, ends: [[1, 9], [2, 12]] }]);
});

test("Archive writes over what a crash has torn", async () => {
  await (await open()).append(JOURNAL, text("one"));
  appendFileSync(join(root, "archive", JOURNAL), "torn frame that is longer than the next");
  await (await open()).append(JOURNAL, text("two"));
  expect(frames()).toEqual(["one", "two"]);
});

test("Archive goes on when a full disk has room again, and never after a failed sync", async () => {
  const fail = (code: string) => Promise.reject(Object.assign(new Error(code), { code }));
  let failure: string | undefined;
  const archive = await open((disk) => ({
    writeAt: (...all) => failure === undefined ? disk.writeAt(...all) : fail(failure),
  }));
  await archive.append(JOURNAL, text("one"));
  failure = "ENOSPC";
  await expect(archive.append(JOURNAL, text("x"))).rejects.toMatchObject({ code: "no-space" });
  failure = undefined;
  await archive.append(JOURNAL, text("two"));
  failure = "EIO";
  await expect(archive.append(JOURNAL, text("x"))).rejects.toMatchObject({ code: "unavailable" });
  failure = undefined;
  await expect(archive.append(JOURNAL, text("y"))).rejects.toMatchObject({ code: "unavailable" });
  expect(frames()).toEqual(["one", "two"]);
});

test("Archive lands a file whole, tells its sum, and gives it back", async () => {
  const bytes = seededRandom(5).bytes(2_500_000);
  const facts = {
    name: SNAPSHOT,
    sizeBytes: bytes.length,
    checksum: fileChecksum([sumsOf(bytes)]),
  };
  const fill = (from: Uint8Array) => async (path: string) =>
    void writeFileSync(join(root, path), from);
  const archive = await open();
  const flipped = bytes.slice();
  flipped[2_400_000] = (flipped[2_400_000] ?? 0) ^ 1;
  for (const wrong of [bytes.slice(1), flipped]) {
    await expect(archive.land(facts, fill(wrong))).rejects.toMatchObject({ code: "corrupt" });
  }
  expect(readdirSync(join(root, "archive"))).toEqual([]);
  await archive.land(facts, fill(bytes));
  await archive.append(JOURNAL, text("one"));
  const [journal, snapshot] = await archive.list();
  expect(snapshot).toEqual(facts);
  expect(journal).toMatchObject({ name: JOURNAL, checksum: "" });
  expect(await (await open()).list()).toEqual(await archive.list());
  expect(await archive.find(SNAPSHOT)?.body.bytes()).toEqual(bytes.slice());
  expect(archive.find(archiveName("snapshot", "d".repeat(32), 9))).toBeUndefined();
});

test("Archive removes what is named, forgets what it knew of it, and clears what was coming in", async () => {
  const archive = await open();
  await archive.append(JOURNAL, text("one"));
  expect(await archive.remove([JOURNAL, SNAPSHOT])).toBe(1);
  await archive.append(JOURNAL, text("anew"));
  expect(frames()).toEqual(["anew"]);
  writeFileSync(join(root, "archive", `${SNAPSHOT}.0011.tmp`), "half");
  writeFileSync(join(root, "archive", "README"), "not of ours");
  const again = await open();
  expect((await again.list()).map(({ name }) => name)).toEqual([JOURNAL]);
  expect(readdirSync(join(root, "archive"))).toEqual(["README", JOURNAL]);
});
