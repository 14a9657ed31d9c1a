/**
 * Downloads against a cluster in memory with faulty keepers: right bytes or an error, and never
 * half a file.
 */
import { expect, test } from "bun:test";
import { readFileSync, statSync, writeFileSync } from "node:fs";
import { MIB } from "../../src/base/bytes.ts";
import { TydfsError } from "../../src/wire/errors.ts";
import { sumsOf } from "../../src/wire/sums.ts";
import type { Fault } from "./fake_cluster.ts";
import { FakeCluster } from "./fake_cluster.ts";
import { scratchDirectory, someBytes } from "./scratch.ts";

for (const sizeBytes of [0, 1, 4 * MIB, 19 * MIB + 3]) {
  test(`get fetches ${sizeBytes} bytes, with mode and time`, async () => {
    using scratch = scratchDirectory();
    const cluster = new FakeCluster({ pageMax: 2 });
    const bytes = someBytes(sizeBytes);
    cluster.store("/v/a", bytes);
    const result = await cluster.client.get("/v/a", scratch.path("deep/er/a"));
    const local = scratch.path("deep/er/a");
    expect(new Uint8Array(readFileSync(local))).toEqual(bytes);
    expect(result).toMatchObject({ sizeBytes, local, version: 1 });
    expect(statSync(local).mode & 0o777).toBe(0o640);
    expect(statSync(local).mtimeMs).toBe(1_700_000_000_000);
  });
}

test("get spreads ranges over all holders", async () => {
  using scratch = scratchDirectory();
  const cluster = new FakeCluster({ chunkBytes: MIB });
  cluster.store("/a", someBytes(24 * MIB));
  await cluster.client.get("/a", scratch.path("a"));
  for (const { gets } of cluster.keepers) expect(gets).toBeGreaterThan(3);
});

const faults: Fault[] = ["refuse", "stall", "short", "flip", "busy", "expired"];
for (const fault of faults) {
  test(`get takes another holder when one has the fault "${fault}"`, async () => {
    using scratch = scratchDirectory();
    const cluster = new FakeCluster({ chunkBytes: 2 * MIB });
    const bytes = someBytes(11 * MIB + 1);
    cluster.store("/a", bytes);
    cluster.keeper(1).fault = fault;
    await cluster.client.get("/a", scratch.path("a"));
    expect(new Uint8Array(readFileSync(scratch.path("a")))).toEqual(bytes);
    const doubted = new Set(cluster.doubts.map(({ keeper }) => keeper));
    expect([...doubted]).toEqual(fault === "flip" ? [cluster.keeper(1).id] : []);
  });
}

test("get survives a corrupt, a refusing and a stalling holder at once", async () => {
  using scratch = scratchDirectory();
  const cluster = new FakeCluster({ keepers: 4, chunkBytes: 3 * MIB });
  const bytes = someBytes(20 * MIB);
  cluster.store("/a", bytes);
  cluster.keeper(0).fault = "flip";
  cluster.keeper(1).fault = "refuse";
  cluster.keeper(2).fault = "stall";
  await cluster.client.get("/a", scratch.path("a"));
  expect(new Uint8Array(readFileSync(scratch.path("a")))).toEqual(bytes);
});

test("get gives up with lost, leaves the old file, and no temporary one", async () => {
  using scratch = scratchDirectory();
  const cluster = new FakeCluster();
  cluster.store("/a", someBytes(5 * MIB));
  for (const keeper of cluster.keepers) keeper.fault = "flip";
  writeFileSync(scratch.path("a"), "old");
  const get = cluster.client.get("/a", scratch.path("a"));
  await expect(get).rejects.toMatchObject({ code: "lost", data: { path: "/a" } });
  expect(readFileSync(scratch.path("a"), "utf8")).toBe("old");
  expect(scratch.names()).toEqual(["a"]);
});

test("get waits for holders that come back", async () => {
  using scratch = scratchDirectory();
  const cluster = new FakeCluster();
  cluster.store("/a", someBytes(100));
  for (const keeper of cluster.keepers) keeper.fault = "refuse";
  cluster.before = (name) => {
    if (name === "file.locate" && cluster.calls.length > 3) cluster.keeper(2).fault = undefined;
  };
  await cluster.client.get("/a", scratch.path("a"));
  expect(new Uint8Array(readFileSync(scratch.path("a")))).toEqual(someBytes(100));
});

test("get says busy when all ports stay busy", async () => {
  using scratch = scratchDirectory();
  const cluster = new FakeCluster({ client: { waitMs: 1_000 } });
  cluster.store("/a", someBytes(100));
  for (const keeper of cluster.keepers) keeper.fault = "busy";
  await expect(cluster.client.get("/a", scratch.path("a"))).rejects.toMatchObject({ code: "busy" });
  expect(scratch.names()).toEqual([]);
});

test("get leaves nothing behind when its signal aborts", async () => {
  using scratch = scratchDirectory();
  const cluster = new FakeCluster({ chunkBytes: MIB });
  cluster.store("/a", someBytes(20 * MIB));
  const stop = new AbortController();
  const get = cluster.client.get("/a", scratch.path("a"), {
    signal: stop.signal,
    onProgress: ({ doneBytes }) => {
      if (doneBytes > 4 * MIB) stop.abort(new TydfsError("interrupted", "Interrupted"));
    },
  });
  await expect(get).rejects.toMatchObject({ code: "interrupted" });
  expect(scratch.names()).toEqual([]);
});

test("get into a directory takes the remote name", async () => {
  using scratch = scratchDirectory();
  const cluster = new FakeCluster();
  cluster.store("/v/a b.mp4", someBytes(10));
  const { local } = await cluster.client.get("/v/a b.mp4", scratch.path("."));
  expect(local).toBe(scratch.path("a b.mp4"));
});

test("get refuses a file whose extents do not add up", async () => {
  using scratch = scratchDirectory();
  const cluster = new FakeCluster();
  cluster.store("/a", someBytes(9 * MIB));
  cluster.file("/a").bytes += 1;
  const get = cluster.client.get("/a", scratch.path("a"));
  await expect(get).rejects.toMatchObject({ code: "corrupt" });
  expect(scratch.names()).toEqual([]);
});

test("get takes a file out of the middle of a shared chunk", async () => {
  using scratch = scratchDirectory();
  const cluster = new FakeCluster({ chunkBytes: 4 * MIB });
  const chunk = someBytes(4 * MIB);
  cluster.store("/a", chunk);
  const file = cluster.file("/a");
  const [extent] = file.extents;
  if (extent === undefined) throw new Error("no extent");
  file.extents = [{ ...extent, chunkOffset: MIB - 7, length: 2 * MIB, sums: sumsOf(chunk) }];
  file.bytes = 2 * MIB;
  await cluster.client.get("/a", scratch.path("a"));
  const wanted = chunk.slice(MIB - 7, 3 * MIB - 7);
  expect(new Uint8Array(readFileSync(scratch.path("a")))).toEqual(wanted);
});

test("read yields the bytes in order, with faults under way", async () => {
  const cluster = new FakeCluster({ chunkBytes: 3 * MIB });
  const bytes = someBytes(23 * MIB + 9);
  cluster.store("/a", bytes);
  cluster.keeper(0).fault = "short";
  const parts: Uint8Array[] = [];
  for await (const part of cluster.client.read("/a")) parts.push(part);
  expect(new Uint8Array(Buffer.concat(parts))).toEqual(bytes);
});

test("read ends its streams when it is left early", async () => {
  const cluster = new FakeCluster({ chunkBytes: MIB });
  cluster.store("/a", someBytes(40 * MIB));
  for await (const part of cluster.client.read("/a")) {
    expect(part.length).toBe(MIB);
    break;
  }
  const gets = cluster.keepers.reduce((total, keeper) => total + keeper.gets, 0);
  expect(gets).toBeLessThan(12);
});
