/** Local files in the making: one get at a time has the partial file, and no crash leaves a lock. */
import { expect, test } from "bun:test";
import {
  chmodSync,
  existsSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { seededRandom } from "../../src/base/random.ts";
import { isPartialName, LocalTarget, partialName } from "../../src/client/local_target.ts";
import { scratchDirectory, someBytes } from "./scratch.ts";

const PARTIAL = ".a.tydfs-part";

test("LocalTarget leaves nothing of a partial that no later try could find", async () => {
  using scratch = scratchDirectory();
  const random = seededRandom(1);
  const first = await LocalTarget.create(scratch.path("a"), random);
  const second = await LocalTarget.create(scratch.path("a"), random);
  expect([first.isKept, second.isKept]).toEqual([true, false]);
  await first.write(someBytes(10), 0);
  await second.write(someBytes(10), 0);
  expect([await first.leave(), await second.leave()]).toEqual([true, false]);
  expect(scratch.names()).toEqual([PARTIAL]);
});

test("LocalTarget never hands a finished file out as a partial", async () => {
  using scratch = scratchDirectory();
  const random = seededRandom(1);
  const facts = { mtimeMs: 0, mode: 0o644, sync: true };
  const first = await LocalTarget.create(scratch.path("a"), random);
  await first.write(someBytes(10), 0);
  await first.finish(facts);
  const second = await LocalTarget.create(scratch.path("a"), random);
  expect(second.foundBytes).toBe(0);
  await second.leave();
  expect(readFileSync(scratch.path("a")).length).toBe(10);
});

test("LocalTarget says what happened when its directory is gone", async () => {
  using scratch = scratchDirectory();
  const target = await LocalTarget.create(scratch.path("dir/a"), seededRandom(1));
  await target.write(someBytes(10), 0);
  rmSync(scratch.path("dir"), { recursive: true });
  const finish = target.finish({ mtimeMs: 0, mode: 0o644, sync: false });
  await expect(finish).rejects.toThrow(/Cannot write ".*dir\/a": its directory.* was removed/);
  await target.leave();
});

test("LocalTarget reads a partial back only where it has all the bytes", async () => {
  using scratch = scratchDirectory();
  writeFileSync(scratch.path(PARTIAL), someBytes(100));
  chmodSync(scratch.path(PARTIAL), 0o644);
  const target = await LocalTarget.create(scratch.path("a"), seededRandom(1));
  expect(statSync(scratch.path(PARTIAL)).mode & 0o777).toBe(0o600);
  expect(await target.readBack(new Uint8Array(60), 40)).toBe(true);
  expect(await target.readBack(new Uint8Array(61), 40)).toBe(false);
  truncateSync(scratch.path(PARTIAL), 10);
  expect(await target.readBack(new Uint8Array(60), 40)).toBe(false);
  await target.leave();
  expect(existsSync(scratch.path(PARTIAL))).toBe(true);
});

test("partialName fits a directory, and differs for different names", () => {
  expect(partialName("a.mp4")).toBe(".a.mp4.tydfs-part");
  const long = ["x".repeat(255), "x".repeat(254) + "y"].map(partialName);
  expect(new Set(long).size).toBe(2);
  for (const name of long) expect(Buffer.byteLength(name)).toBeLessThanOrEqual(255);
  for (const name of [...long, ".a b.tydfs-part", ".a.tydfs-0123456789ab"]) {
    expect(isPartialName(name)).toBe(true);
  }
  for (const name of ["a.tydfs-part", ".tydfs-part", ".a.tydfs-12"]) {
    expect(isPartialName(name)).toBe(false);
  }
});
