/** Single reads of files that lie in packs: exactly their bytes, and on over compaction. */
import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { MIB } from "../../src/base/bytes.ts";
import { FakeCluster } from "./fake_cluster.ts";
import { scratchDirectory, someBytes } from "./scratch.ts";

function someFiles(): [string, Uint8Array<ArrayBuffer>][] {
  return [0, 5, 4096, MIB - 1, 600_000, 4096].map((length, n) => {
    const bytes = someBytes(length);
    if (length > 0) bytes[0] = n;
    return [`/f${n}`, bytes];
  });
}

test("get of a packed file fetches exactly its bytes", async () => {
  using scratch = scratchDirectory();
  const cluster = new FakeCluster();
  cluster.storePack(someFiles());
  for (const [path, bytes] of someFiles()) {
    await cluster.client.get(path, scratch.path("a"));
    expect(new Uint8Array(readFileSync(scratch.path("a")))).toEqual(bytes);
  }
  expect(cluster.served).toEqual([5, 4096, MIB - 1, 600_000, 4096]);
});

test("read of a part of a packed file has what it should", async () => {
  const cluster = new FakeCluster();
  cluster.storePack(someFiles());
  const parts: Uint8Array[] = [];
  for await (const part of cluster.client.read("/f4", { offset: 1_000, length: 7 })) {
    parts.push(part);
  }
  expect(new Uint8Array(Buffer.concat(parts))).toEqual(someBytes(600_000).slice(1_000, 1_007));
});

test("get of a packed file takes another holder than one with a wrong byte", async () => {
  using scratch = scratchDirectory();
  const cluster = new FakeCluster();
  cluster.storePack(someFiles());
  for (const keeper of cluster.keepers.slice(1)) keeper.fault = "flip";
  await cluster.client.get("/f2", scratch.path("a"));
  expect(new Uint8Array(readFileSync(scratch.path("a")))).toEqual(
    someFiles()[2]?.[1] ?? someBytes(0),
  );
  for (const { keeper } of cluster.doubts) expect(keeper).not.toBe(cluster.keeper(0).id);
});

test("get of a packed file that no holder has right is lost, never wrong", async () => {
  using scratch = scratchDirectory();
  const cluster = new FakeCluster();
  cluster.storePack(someFiles());
  for (const keeper of cluster.keepers) keeper.fault = "flip";
  const get = cluster.client.get("/f2", scratch.path("a"));
  await expect(get).rejects.toMatchObject({ code: "lost", data: { path: "/f2" } });
  expect(scratch.names()).toEqual([]);
});

test("get waits for holders of a packed file, and asks them again when its ticket is old", async () => {
  using scratch = scratchDirectory();
  const cluster = new FakeCluster();
  cluster.storePack(someFiles());
  for (const keeper of cluster.keepers) keeper.fault = "expired";
  await cluster.client.get("/f2", scratch.path("a"));
  // Blocks are asked for only where the file as a whole was wrong.
  expect(new Set(cluster.served)).toEqual(new Set([4096]));
});

test("a file that was opened is read on when compaction has moved it", async () => {
  const cluster = new FakeCluster();
  const files = someFiles();
  const old = cluster.storePack(files);
  const open = await cluster.client.open("/f4");
  for (const { chunks } of cluster.keepers) chunks.delete(old);
  cluster.storePack(files.slice(3).toReversed());
  const parts: Uint8Array[] = [];
  for await (const part of open.read()) parts.push(part);
  expect(new Uint8Array(Buffer.concat(parts))).toEqual(files[4]?.[1] ?? someBytes(0));
});

test("get goes on in the middle of a file whose extent has moved to another place", async () => {
  using scratch = scratchDirectory();
  const cluster = new FakeCluster({ chunkBytes: 16 * MIB, client: { parallel: 1 } });
  const bytes = someBytes(3 * MIB + 77);
  const pad = someBytes(MIB + 300_001);
  cluster.storePack([["/pad", pad], ["/a", bytes]]);
  const [{ chunk: old } = { chunk: "" }] = cluster.file("/a").extents;
  // The first holder breaks off half-way, then the chunk is gone, with its bytes elsewhere.
  let served = 0;
  for (const keeper of cluster.keepers) keeper.fault = "short";
  cluster.before = (name) => {
    if (name !== "file.locate" || served++ !== 1) return;
    for (const keeper of cluster.keepers) {
      keeper.fault = undefined;
      keeper.chunks.delete(old);
    }
    cluster.storePack([["/x", someBytes(5)], ["/a", bytes]]);
  };
  await cluster.client.get("/a", scratch.path("a"));
  expect(Buffer.compare(readFileSync(scratch.path("a")), bytes)).toBe(0);
  // What was verified before is not fetched again.
  expect(cluster.served.at(-1)).toBeLessThan(3 * MIB);
});
