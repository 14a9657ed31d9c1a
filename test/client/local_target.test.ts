/** Local files in the making: one get at a time has the partial file, and no crash leaves a lock. */
import { expect, test } from "bun:test";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { seededRandom } from "../../src/base/random.ts";
import { resolveTarget } from "../../src/client/local_files.ts";
import { isPartialName, LocalTarget, partialName } from "../../src/client/local_target.ts";
import { LocalWriter } from "../../src/client/trees/local_writer.ts";
import { RemoteJobs } from "../../src/client/trees/jobs.ts";
import { FakeCluster } from "./fake_cluster.ts";
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

test("LocalTarget never puts in place what has taken its partial's name", async () => {
  using scratch = scratchDirectory();
  const facts = { mtimeMs: 0, mode: 0o644, sync: false };
  const target = await LocalTarget.create(scratch.path("a"), seededRandom(1));
  await target.write(someBytes(10), 0);
  writeFileSync(scratch.path("other"), "another file");
  renameSync(scratch.path("other"), scratch.path(PARTIAL));
  await expect(target.finish(facts)).rejects.toThrow(/a": its partial file .* was replaced/);
  await target.leave();
  expect(scratch.names()).toEqual([PARTIAL]);
});

test("LocalTarget refuses a name that a partial could have", async () => {
  using scratch = scratchDirectory();
  const target = LocalTarget.create(scratch.path(PARTIAL), seededRandom(1));
  await expect(target).rejects.toThrow(/unfinished downloads; choose another name/);
  expect(scratch.names()).toEqual([]);
});

test("LocalTarget and those above it take link/.. for what the system takes it for", async () => {
  using scratch = scratchDirectory();
  mkdirSync(scratch.path("far/in"), { recursive: true });
  symlinkSync("far/in", scratch.path("link"));
  const directory = `${scratch.path("link")}/..`;
  const random = seededRandom(1);
  const target = await LocalTarget.create(`${directory}/a`, random);
  await target.finish({ mtimeMs: 0, mode: 0o644, sync: false });
  expect([target.partial, scratch.names(), readdirSync(scratch.path("far")).sort()])
    .toEqual([`${directory}/${PARTIAL}`, ["far", "link"], ["a", "in"]]);
  expect(await resolveTarget(directory, "b")).toBe(`${directory}/b`);
  expect(new LocalWriter(directory, random).place("b")).toBe(`${directory}/b`);
  const jobs = new RemoteJobs(new FakeCluster().client, { local: directory, remote: "/" });
  const entry = { path: "a", kind: "file", sizeBytes: 0, mtimeMs: 0, mode: 0o644 } as const;
  expect(jobs.copy(entry).from).toBe(`${directory}/a`);
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
