/**
 * Downloads that go on where an earlier one was cut off: good blocks are kept whatever happened,
 * and nothing that lies there is trusted.
 */
import { expect, test } from "bun:test";
import {
  linkSync,
  mkdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { MIB } from "../../src/base/bytes.ts";
import { TydfsError } from "../../src/wire/errors.ts";
import { FakeCluster } from "./fake_cluster.ts";
import { scratchDirectory, someBytes } from "./scratch.ts";

const PARTIAL = ".a.tydfs-part";

function fetched(cluster: FakeCluster): number {
  return cluster.served.reduce((total, length) => total + length, 0);
}

/** Gets `/a` until some bytes are there, then aborts as Ctrl-C does. */
async function interruptedGet(cluster: FakeCluster, local: string): Promise<unknown> {
  const stop = new AbortController();
  const get = cluster.client.get("/a", local, {
    signal: stop.signal,
    onProgress: ({ doneBytes }) => {
      if (doneBytes > 4 * MIB) stop.abort(new TydfsError("interrupted", "Interrupted"));
    },
  });
  return await get.catch((error) => error);
}

test("get keeps a partial when it is interrupted, says so, and goes on with it", async () => {
  using scratch = scratchDirectory();
  const cluster = new FakeCluster({ chunkBytes: MIB });
  const bytes = someBytes(20 * MIB + 5);
  cluster.store("/a", bytes);
  const error = await interruptedGet(cluster, scratch.path("a"));
  expect(error).toMatchObject({ code: "interrupted", data: { path: "/a" } });
  expect((error as Error).message).toMatch(
    /^Interrupted: [\d.]+ MiB of "\/a" are kept in ".*\.a\.tydfs-part"; give the same command/,
  );
  expect(scratch.names()).toEqual([PARTIAL]);
  expect(statSync(scratch.path(PARTIAL)).mode & 0o777).toBe(0o600);
  cluster.served.length = 0;
  const shown: number[] = [];
  const result = await cluster.client.get("/a", scratch.path("a"), {
    onProgress: ({ resumedBytes = 0 }) => void shown.push(resumedBytes),
  });
  expect(result.resumedBytes).toBeGreaterThan(4 * MIB);
  expect(fetched(cluster) + result.resumedBytes).toBe(bytes.length);
  expect(shown.at(-1)).toBe(result.resumedBytes);
  expect(new Uint8Array(readFileSync(scratch.path("a")))).toEqual(bytes);
  expect(statSync(scratch.path("a")).mode & 0o777).toBe(0o640);
  expect(scratch.names()).toEqual(["a"]);
});

test("get leaves no partial that never held a byte", async () => {
  using scratch = scratchDirectory();
  const cluster = new FakeCluster({ client: { waitMs: 1_000 } });
  cluster.store("/a", someBytes(100));
  for (const keeper of cluster.keepers) keeper.fault = "busy";
  const get = cluster.client.get("/a", scratch.path("a"));
  await expect(get).rejects.toMatchObject({ code: "busy", data: { path: "/a" } });
  expect(scratch.names()).toEqual([]);
});

test("get fetches again only the blocks of a partial that are wrong", async () => {
  using scratch = scratchDirectory();
  const cluster = new FakeCluster({ chunkBytes: 5 * MIB });
  const bytes = someBytes(17 * MIB + 100);
  cluster.store("/a", bytes);
  const partial = bytes.slice();
  for (const block of [3, 4, 9]) partial[block * MIB + 77] = 1 + (bytes[block * MIB + 77] ?? 0);
  writeFileSync(scratch.path(PARTIAL), partial);
  const result = await cluster.client.get("/a", scratch.path("a"));
  expect(new Uint8Array(readFileSync(scratch.path("a")))).toEqual(bytes);
  expect(result.resumedBytes).toBe(bytes.length - 3 * MIB);
  expect(cluster.served.sort()).toEqual([MIB, 2 * MIB]);
});

test("get takes what fits of a partial of another version, longer or shorter", async () => {
  for (const [before, after] of [[12, 7], [7, 12]] as const) {
    using scratch = scratchDirectory();
    const cluster = new FakeCluster({ chunkBytes: 4 * MIB });
    const old = someBytes(before * MIB + 50);
    const bytes = someBytes(after * MIB + 20);
    bytes.fill(0, 2 * MIB, 3 * MIB);
    cluster.store("/a", bytes);
    writeFileSync(scratch.path(PARTIAL), old);
    const { resumedBytes } = await cluster.client.get("/a", scratch.path("a"));
    expect(new Uint8Array(readFileSync(scratch.path("a")))).toEqual(bytes);
    // But for the block of zeros; of the last, short block only the longer partial has all.
    expect(resumedBytes).toBe(6 * MIB + (before > after ? 20 : 0));
  }
});

test("get of an empty file does away with a partial", async () => {
  using scratch = scratchDirectory();
  const cluster = new FakeCluster();
  cluster.store("/a", new Uint8Array());
  writeFileSync(scratch.path(PARTIAL), someBytes(100));
  await cluster.client.get("/a", scratch.path("a"));
  expect(readFileSync(scratch.path("a")).length).toBe(0);
  expect(scratch.names()).toEqual(["a"]);
});

test("get keeps a partial through a failure, and tells of it in the error's data", async () => {
  using scratch = scratchDirectory();
  const cluster = new FakeCluster({ chunkBytes: 2 * MIB });
  const bytes = someBytes(8 * MIB);
  cluster.store("/a", bytes);
  const chunk = cluster.file("/a").extents[2]?.chunk ?? "";
  for (const keeper of cluster.keepers) keeper.chunks.delete(chunk);
  const error = await cluster.client.get("/a", scratch.path("a")).catch((e) => e);
  expect(error).toMatchObject({ code: "lost", data: { path: "/a", chunk } });
  expect(error.data.keptBytes).toBeGreaterThan(0);
  expect(error.message).toMatch(
    /MiB of it are kept in ".*": give the same command again to go on$/,
  );
  for (const keeper of cluster.keepers) keeper.chunks.set(chunk, bytes.slice(4 * MIB, 6 * MIB));
  const { resumedBytes } = await cluster.client.get("/a", scratch.path("a"));
  expect(resumedBytes).toBe(error.data.keptBytes);
  expect(new Uint8Array(readFileSync(scratch.path("a")))).toEqual(bytes);
});

test("get never writes through a link that was planted as its partial", async () => {
  for (const plant of [symlinkSync, linkSync]) {
    using scratch = scratchDirectory();
    const cluster = new FakeCluster();
    const bytes = someBytes(2 * MIB);
    cluster.store("/a", bytes);
    writeFileSync(scratch.path("victim"), "precious");
    plant(scratch.path("victim"), scratch.path(PARTIAL));
    await cluster.client.get("/a", scratch.path("a"));
    expect(readFileSync(scratch.path("victim"), "utf8")).toBe("precious");
    expect(new Uint8Array(readFileSync(scratch.path("a")))).toEqual(bytes);
    expect(scratch.names()).toEqual(["a", "victim"]);
  }
});

test("get works beside a directory and a pipe in its partial's place", async () => {
  using scratch = scratchDirectory();
  const cluster = new FakeCluster();
  cluster.store("/a", someBytes(100));
  mkdirSync(scratch.path(PARTIAL));
  await cluster.client.get("/a", scratch.path("a"));
  expect(scratch.names()).toEqual([PARTIAL, "a"]);
  rmSync(scratch.path(PARTIAL), { recursive: true });
  Bun.spawnSync(["mkfifo", scratch.path(PARTIAL)]);
  await cluster.client.get("/a", scratch.path("a"));
  expect(scratch.names()).toEqual(["a"]);
});

test("get refuses to replace a device or a pipe", async () => {
  using scratch = scratchDirectory();
  const cluster = new FakeCluster();
  cluster.store("/a", someBytes(100));
  Bun.spawnSync(["mkfifo", scratch.path("pipe")]);
  const get = cluster.client.get("/a", scratch.path("pipe"));
  await expect(get).rejects.toThrow(/it is no regular file/);
  expect(statSync(scratch.path("pipe")).isFIFO()).toBe(true);
});

test("a second get of the same target works apart from the first", async () => {
  using scratch = scratchDirectory();
  const cluster = new FakeCluster({ chunkBytes: MIB });
  const bytes = someBytes(9 * MIB);
  cluster.store("/a", bytes);
  const gets = [1, 2, 3].map(() => cluster.client.get("/a", scratch.path("a")));
  for (const { resumedBytes } of await Promise.all(gets)) expect(resumedBytes).toBe(0);
  expect(new Uint8Array(readFileSync(scratch.path("a")))).toEqual(bytes);
  expect(scratch.names()).toEqual(["a"]);
});
