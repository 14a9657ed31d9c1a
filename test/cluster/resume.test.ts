/**
 * Transfers that are cut off (kill -9, Ctrl-C) and given again: they go on where they were, whatever
 * happened to the master, the source and the partial file meanwhile.
 */
import { afterAll, beforeAll, expect, test } from "bun:test";
import {
  closeSync,
  copyFileSync,
  existsSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  statSync,
  truncateSync,
  utimesSync,
  writeSync,
} from "node:fs";
import { basename, dirname, join } from "node:path";
import { MIB, sameBytes, TestCluster, until } from "./harness.ts";

const CHUNK_BYTES = 4 * MIB;
const FILE_BYTES = 300 * MIB + 17;

let cluster: TestCluster;
let source: string;
beforeAll(async () => {
  cluster = await TestCluster.start({ env: { TYDFS_CHUNK_SIZE: "4MiB" } });
  source = cluster.file("source.bin", FILE_BYTES);
  await cluster.ok("put", source, "/get/a");
}, 60_000);
afterAll(() => cluster.stop());

/** Puts a file, one chunk at a time, and has the client kill itself after so many. */
async function killedPut(local: string, remote: string, chunks: number): Promise<void> {
  const env = { TYDFS_FAILPOINTS: `client.put.stored=${chunks}*kill` };
  const { exit } = await cluster.run(["put", "--parallel", "1", local, remote], { env });
  expect(exit).toBe(137);
  expect((await cluster.run(["stat", remote])).exit).toBe(3);
}

/** Gets a file in order, and has the client kill itself after so many blocks. */
async function killedGet(remote: string, local: string, blocks: number): Promise<void> {
  const env = { TYDFS_FAILPOINTS: `client.get.written=${blocks}*kill` };
  const { exit } = await cluster.run(["get", "--parallel", "1", remote, local], { env });
  expect(exit).toBe(137);
  expect(existsSync(local)).toBe(false);
}

async function put(local: string, remote: string): Promise<{ resumedBytes: number }> {
  return JSON.parse(await cluster.ok("put", "--json", local, remote));
}

async function get(remote: string, local: string): Promise<{ resumedBytes: number }> {
  return JSON.parse(await cluster.ok("get", "--json", remote, local));
}

async function expectContent(remote: string, local: string): Promise<void> {
  const back = join(cluster.dir, "back.bin");
  await cluster.ok("get", remote, back);
  expect(await sameBytes(local, back)).toBe(true);
}

function partialOf(local: string): string {
  return join(dirname(local), `.${basename(local)}.tydfs-part`);
}

/** Changes one byte in the middle of a file, and nothing else about it. */
function flipByte(path: string, position: number): void {
  const fd = openSync(path, "r+");
  const byte = new Uint8Array(1);
  readSync(fd, byte, 0, 1, position);
  byte[0] = (byte[0] ?? 0) ^ 1;
  writeSync(fd, byte, 0, 1, position);
  closeSync(fd);
}

async function isUpdating(remote: string): Promise<boolean> {
  const listed = JSON.parse(await cluster.ok("ls", "--json", dirname(remote)));
  return listed.some((entry: { path: string; updating: boolean }) =>
    entry.path === remote && entry.updating
  );
}

test("a put that was killed sends only the rest when it is given again", async () => {
  await killedPut(source, "/put/killed", 40);
  const { resumedBytes } = await put(source, "/put/killed");
  expect(resumedBytes).toBe(40 * CHUNK_BYTES);
  await expectContent("/put/killed", source);
}, 60_000);

test("a put goes on after the master was killed, and after its lease has run out", async () => {
  await cluster.ok("put", cluster.file("old.bin", 100), "/put/later");
  const env = { TYDFS_FAILPOINTS: "client.put.stored=20*kill" };
  await cluster.run(["put", "--parallel", "1", source, "/put/later"], { env });
  await cluster.killMaster();
  await cluster.startMaster();
  await cluster.untilAlive(3);
  await until("the upload counts as interrupted", async () => !await isUpdating("/put/later"));
  const { resumedBytes } = await put(source, "/put/later");
  expect(resumedBytes).toBe(20 * CHUNK_BYTES);
  await expectContent("/put/later", source);
}, 60_000);

test("a put is cut off again and again, and still comes to its end", async () => {
  for (const chunks of [10, 25, 60]) await killedPut(source, "/put/often", chunks);
  const { resumedBytes } = await put(source, "/put/often");
  expect(resumedBytes).toBe(60 * CHUNK_BYTES);
  await expectContent("/put/often", source);
}, 60_000);

test("a source that changed meanwhile arrives as it is now", async () => {
  const changing = join(cluster.dir, "changing.bin");
  copyFileSync(source, changing);
  const { atime, mtime } = statSync(changing);
  await killedPut(changing, "/put/changed", 30);
  flipByte(changing, 5 * CHUNK_BYTES + 123);
  // Not even its time tells: the sums do.
  utimesSync(changing, atime, mtime);
  const { resumedBytes } = await put(changing, "/put/changed");
  expect(resumedBytes).toBe(29 * CHUNK_BYTES);
  await expectContent("/put/changed", changing);

  await killedPut(changing, "/put/shrunk", 60);
  truncateSync(changing, 150 * MIB + 1);
  expect((await put(changing, "/put/shrunk")).resumedBytes).toBe(37 * CHUNK_BYTES);
  await expectContent("/put/shrunk", changing);

  await killedPut(changing, "/put/other", 20);
  const other = cluster.file("other.bin", 90 * MIB);
  expect((await put(other, "/put/other")).resumedBytes).toBe(0);
  await expectContent("/put/other", other);
}, 60_000);

test("Ctrl-C in a put says what is kept, ends the mark, and the next put goes on", async () => {
  await cluster.ok("put", cluster.file("old.bin", 100), "/put/stopped");
  const env = { TYDFS_FAILPOINTS: "client.put.stored=delay:50" };
  const chunks = () => [1, 2, 3].reduce((sum, k) => sum + cluster.replicas(k).length, 0);
  const before = chunks();
  const child = cluster.spawn(["put", source, "/put/stopped"], { env });
  await until("chunks arrive", () => chunks() > before + 40);
  expect(await isUpdating("/put/stopped")).toBe(true);
  child.kill("SIGINT");
  const stderr = await new Response(child.stderr).text();
  expect(await child.exited).toBe(130);
  expect(stderr).toMatch(
    /^tydfs: Interrupted: [\d.]+ MiB of "\/put\/stopped" are kept in the cluster; give the same /,
  );
  expect(await isUpdating("/put/stopped")).toBe(false);
  const { resumedBytes } = await put(source, "/put/stopped");
  expect(resumedBytes).toBeGreaterThan(0);
  await expectContent("/put/stopped", source);
}, 60_000);

test("a stream is not resumed, and leaves nothing", async () => {
  const env = { TYDFS_FAILPOINTS: "client.put.stored=10*kill" };
  const stdin = Bun.file(source);
  expect((await cluster.run(["put", "-", "/put/stream"], { env, stdin })).exit).toBe(137);
  const again = await cluster.run(["put", "--json", "-", "/put/stream"], { stdin });
  expect(JSON.parse(again.stdout).resumedBytes).toBe(0);
}, 60_000);

test("a get that was killed fetches only the rest when it is given again", async () => {
  const local = join(cluster.dir, "got.bin");
  await killedGet("/get/a", local, 100);
  expect(statSync(partialOf(local)).mode & 0o777).toBe(0o600);
  const { resumedBytes } = await get("/get/a", local);
  expect(resumedBytes).toBe(100 * MIB);
  expect(await sameBytes(source, local)).toBe(true);
  expect(existsSync(partialOf(local))).toBe(false);
}, 60_000);

test("a get goes on after several at once were killed, wherever their holes are", async () => {
  const local = join(cluster.dir, "holes.bin");
  // Each of the threads that receive counts for itself, and there are two at most.
  const env = { TYDFS_FAILPOINTS: "client.get.written=60*kill" };
  await cluster.run(["get", "--parallel", "8", "/get/a", local], { env });
  const { resumedBytes } = await get("/get/a", local);
  expect(resumedBytes).toBeGreaterThanOrEqual(60 * MIB);
  expect(resumedBytes).toBeLessThan(130 * MIB);
  expect(await sameBytes(source, local)).toBe(true);
}, 60_000);

test("a partial with wrong bytes is repaired", async () => {
  const local = join(cluster.dir, "flipped.bin");
  await killedGet("/get/a", local, 50);
  flipByte(partialOf(local), 20 * MIB + 7);
  const { resumedBytes } = await get("/get/a", local);
  expect(resumedBytes).toBe(49 * MIB);
  expect(await sameBytes(source, local)).toBe(true);
}, 60_000);

test("a file that was replaced meanwhile arrives as it is now", async () => {
  const local = join(cluster.dir, "replaced.bin");
  const replacement = join(cluster.dir, "replacement.bin");
  copyFileSync(source, replacement);
  flipByte(replacement, 10 * MIB);
  truncateSync(replacement, 200 * MIB);
  await killedGet("/get/a", local, 250);
  await cluster.ok("put", replacement, "/get/a");
  const { resumedBytes } = await get("/get/a", local);
  expect(resumedBytes).toBe(199 * MIB);
  expect(await sameBytes(replacement, local)).toBe(true);
  await cluster.ok("put", source, "/get/a");
}, 60_000);

test("Ctrl-C in a get says what is kept, and the next get goes on", async () => {
  const local = join(cluster.dir, "stopped.bin");
  const env = { TYDFS_FAILPOINTS: "client.get.written=delay:20" };
  const child = cluster.spawn(["get", "/get/a", local], { env });
  await until(
    "some bytes are there",
    () => existsSync(partialOf(local)) && statSync(partialOf(local)).size > 0,
  );
  child.kill("SIGINT");
  const stderr = await new Response(child.stderr).text();
  expect(await child.exited).toBe(130);
  expect(stderr).toMatch(
    /^tydfs: Interrupted: [\d.]+ MiB of "\/get\/a" are kept in ".*\.stopped\.bin\.tydfs-part"; give /,
  );
  expect((await get("/get/a", local)).resumedBytes).toBeGreaterThan(0);
  expect(await sameBytes(source, local)).toBe(true);
}, 60_000);

test("a second get of the same target at the same time is no harm", async () => {
  const local = join(cluster.dir, "twice.bin");
  const outcomes = await Promise.all([1, 2, 3].map(() => cluster.run(["get", "/get/a", local])));
  for (const { exit, stderr } of outcomes) expect(stderr + exit).toBe("0");
  expect(await sameBytes(source, local)).toBe(true);
}, 60_000);

test("the results say in words what was there already", async () => {
  const local = join(cluster.dir, "words.bin");
  await killedGet("/get/a", local, 100);
  expect(await cluster.ok("get", "/get/a", local)).toContain("100 MiB of it were there already");
  await killedPut(source, "/put/words", 25);
  const said = await cluster.ok("put", source, "/put/words");
  expect(said).toContain("100 MiB of it were there already");
}, 60_000);

test("no partial file is left of what came to its end", () => {
  expect(readdirSync(cluster.dir).filter((name) => name.includes(".tydfs-"))).toEqual([]);
  expect(readFileSync(join(cluster.dir, "old.bin")).length).toBe(100);
});
