/**
 * Downloads against a cluster in memory with faulty keepers: right bytes or an error, and never
 * half a file.
 */
import { expect, test } from "bun:test";
import { existsSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { MIB } from "../../src/base/bytes.ts";
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

test("get of further files leaves aside a keeper that could not be reached", async () => {
  using scratch = scratchDirectory();
  const cluster = new FakeCluster({ speed: 20, client: { parallel: 1 } });
  cluster.keeper(1).fault = "stall";
  const names = Array.from({ length: 20 }, (_, n) => `a${n}`);
  for (const name of names) {
    cluster.store(`/${name}`, someBytes(MIB));
    await cluster.client.get(`/${name}`, scratch.path(name));
  }
  expect(cluster.keeper(1).gets).toBe(1);
});

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

test("get gives up with lost, and leaves the old file", async () => {
  using scratch = scratchDirectory();
  const cluster = new FakeCluster();
  cluster.store("/a", someBytes(MIB));
  for (const keeper of cluster.keepers) keeper.fault = "flip";
  writeFileSync(scratch.path("a"), "old");
  const get = cluster.client.get("/a", scratch.path("a"));
  await expect(get).rejects.toMatchObject({ code: "lost", data: { path: "/a" } });
  expect(readFileSync(scratch.path("a"), "utf8")).toBe("old");
  expect(scratch.names()).toEqual(["a"]);
});

test("get of a chunk whose keepers are dead says so soon, and names them", async () => {
  using scratch = scratchDirectory();
  const cluster = new FakeCluster();
  cluster.store("/a", someBytes(100), [cluster.keeper(0), cluster.keeper(2)]);
  for (const keeper of cluster.keepers) keeper.state = "DEAD";
  const get = cluster.client.get("/a", scratch.path("a"));
  const keepers = ["keeper-0", "keeper-2"];
  await expect(get).rejects.toMatchObject({ code: "lost", data: { path: "/a", keepers } });
  await expect(get).rejects.toThrow("dead; start one of them again: keeper-0, keeper-2");
  // 30 s would be a dozen.
  const tries = cluster.calls.filter((name) => name === "file.locate").length;
  expect(tries).toBeLessThan(9);
});

test("get waits for a keeper that is only restarted", async () => {
  using scratch = scratchDirectory();
  const cluster = new FakeCluster();
  const keeper = cluster.keeper(0);
  cluster.store("/a", someBytes(100), [keeper]);
  keeper.state = "DRAINING";
  cluster.before = () => {
    if (cluster.calls.filter((name) => name === "file.stat").length > 4) keeper.state = "ALIVE";
  };
  await cluster.client.get("/a", scratch.path("a"));
  expect(new Uint8Array(readFileSync(scratch.path("a")))).toEqual(someBytes(100));
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
  expect(existsSync(scratch.path("a"))).toBe(false);
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

test("read yields a part, and fetches no block beside it", async () => {
  const cluster = new FakeCluster({ chunkBytes: 3 * MIB, pageMax: 2 });
  const bytes = someBytes(23 * MIB + 9);
  cluster.store("/a", bytes);
  const cases: [{ offset?: number; length?: number }, number, number][] = [
    [{ offset: 5, length: 10 }, 5, 15],
    [{ offset: 2 * MIB, length: MIB }, 2 * MIB, 3 * MIB],
    [{ offset: 3 * MIB - 1, length: 2 }, 3 * MIB - 1, 3 * MIB + 1],
    [{ offset: 10 * MIB + 7 }, 10 * MIB + 7, bytes.length],
    [{ length: 4 * MIB }, 0, 4 * MIB],
    [{ offset: -9 }, bytes.length - 9, bytes.length],
    [{ offset: -20, length: 11 }, bytes.length - 20, bytes.length - 9],
    [{ offset: -30 * MIB }, 0, bytes.length],
    [{ offset: bytes.length }, bytes.length, bytes.length],
    [{ offset: 99 * MIB, length: 5 }, bytes.length, bytes.length],
    [{ length: 0 }, 0, 0],
  ];
  for (const [options, start, end] of cases) {
    cluster.served.length = 0;
    const parts: Uint8Array[] = [];
    for await (const part of cluster.client.read("/a", options)) parts.push(part);
    expect(new Uint8Array(Buffer.concat(parts))).toEqual(bytes.slice(start, end));
    const blocks = start === end ? 0 : Math.ceil(end / MIB) - Math.floor(start / MIB);
    const fetched = cluster.served.reduce((total, length) => total + length, 0);
    expect(fetched).toBeLessThanOrEqual(blocks * MIB);
  }
});

test("read of a part asks for no page of extents behind it", async () => {
  const cluster = new FakeCluster({ chunkBytes: MIB, pageMax: 2 });
  cluster.store("/a", someBytes(9 * MIB));
  for await (const _ of cluster.client.read("/a", { length: 2 * MIB })) { /* all of it */ }
  expect(cluster.calls).toEqual(["file.locate"]);
});

test("read fetches one range for who wants only the beginning", async () => {
  const cluster = new FakeCluster({ chunkBytes: 32 * MIB });
  cluster.store("/a", someBytes(30 * MIB));
  for await (const part of cluster.client.read("/a")) {
    expect(part.length).toBe(2 * MIB);
    break;
  }
  expect(cluster.served).toEqual([2 * MIB]);
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
