/** Uploads that go on where an earlier one was cut off: what is stored is not sent again. */
import { expect, test } from "bun:test";
import { appendFileSync, truncateSync, writeFileSync } from "node:fs";
import { MIB } from "../../src/base/bytes.ts";
import type { Progress } from "../../src/client/client.ts";
import { TydfsError } from "../../src/wire/errors.ts";
import { FakeCluster } from "./fake_cluster.ts";
import { scratchDirectory, someBytes } from "./scratch.ts";

/** Three chunks at once would make it a matter of luck how many are stored. */
const ONE_BY_ONE = { client: { parallel: 1 } };

/** Puts `local` at `/a`, and aborts as Ctrl-C does when so many chunks were taken. */
async function interruptedPut(cluster: FakeCluster, local: string, chunks: number) {
  const stop = new AbortController();
  let taken = 0;
  cluster.onPut = () => {
    if (++taken > chunks) stop.abort(new TydfsError("interrupted", "Interrupted"));
  };
  const error = await cluster.client.put(local, "/a", { signal: stop.signal }).catch((e) => e);
  cluster.onPut = () => {};
  return error as TydfsError;
}

function puts(cluster: FakeCluster): number {
  return cluster.keepers.reduce((total, keeper) => total + keeper.puts, 0);
}

test("put keeps what is stored when it is interrupted, says so, and goes on with it", async () => {
  using scratch = scratchDirectory();
  const cluster = new FakeCluster(ONE_BY_ONE);
  const bytes = someBytes(21 * MIB + 5);
  writeFileSync(scratch.path("a"), bytes);
  const error = await interruptedPut(cluster, scratch.path("a"), 3);
  expect(error).toMatchObject({
    code: "interrupted",
    message: 'Interrupted: 12 MiB of "/a" are kept in the cluster; ' +
      "give the same command again to go on",
    data: { path: "/a", keptBytes: 12 * MIB },
  });
  expect(cluster.kept).toEqual(cluster.aborted);
  const before = puts(cluster);
  const shown: Progress[] = [];
  const onProgress = (progress: Progress) => void shown.push(progress);
  const result = await cluster.client.put(scratch.path("a"), "/a", { onProgress });
  // The fourth was stored as well, though its sender was gone.
  expect(puts(cluster) - before).toBe(2);
  expect(result.resumedBytes).toBe(16 * MIB);
  expect(cluster.content("/a")).toEqual(bytes);
  const totalBytes = bytes.length;
  expect(shown[0]).toEqual({ doneBytes: 16 * MIB, resumedBytes: 16 * MIB, totalBytes });
  expect(shown.at(-1)).toEqual({ doneBytes: totalBytes, resumedBytes: 16 * MIB, totalBytes });
});

test("put says how much is kept also when it is interrupted before it looked", async () => {
  using scratch = scratchDirectory();
  const cluster = new FakeCluster(ONE_BY_ONE);
  writeFileSync(scratch.path("a"), someBytes(21 * MIB));
  await interruptedPut(cluster, scratch.path("a"), 3);
  const stop = new AbortController();
  const onProgress = () => stop.abort(new TydfsError("interrupted", "Interrupted"));
  const options = { signal: stop.signal, onProgress };
  const again = cluster.client.put(scratch.path("a"), "/a", options);
  await expect(again).rejects.toMatchObject({ data: { keptBytes: 16 * MIB } });
});

test("put sends anew what has changed meanwhile, chunk by chunk", async () => {
  using scratch = scratchDirectory();
  const cluster = new FakeCluster(ONE_BY_ONE);
  const bytes = someBytes(21 * MIB);
  writeFileSync(scratch.path("a"), bytes);
  await interruptedPut(cluster, scratch.path("a"), 3);
  bytes[5 * MIB] = 1 + (bytes[5 * MIB] ?? 0);
  writeFileSync(scratch.path("a"), bytes);
  const { resumedBytes } = await cluster.client.put(scratch.path("a"), "/a");
  expect(resumedBytes).toBe(12 * MIB);
  expect(cluster.content("/a")).toEqual(bytes);
});

test("put of a source that became shorter leaves out the chunks behind its end", async () => {
  using scratch = scratchDirectory();
  const cluster = new FakeCluster(ONE_BY_ONE);
  writeFileSync(scratch.path("a"), someBytes(90 * MIB));
  await interruptedPut(cluster, scratch.path("a"), 18);
  truncateSync(scratch.path("a"), 66 * MIB);
  const { resumedBytes } = await cluster.client.put(scratch.path("a"), "/a");
  expect(resumedBytes).toBe(64 * MIB);
  expect(cluster.content("/a")).toEqual(someBytes(66 * MIB));
}, 20_000);

test("put goes on after a source that changed in the middle of the first try", async () => {
  using scratch = scratchDirectory();
  const cluster = new FakeCluster(ONE_BY_ONE);
  writeFileSync(scratch.path("a"), someBytes(12 * MIB));
  let taken = 0;
  cluster.onPut = () => {
    if (++taken === 3) appendFileSync(scratch.path("a"), "more");
  };
  const put = cluster.client.put(scratch.path("a"), "/a");
  await expect(put).rejects.toMatchObject({ code: "changed", data: { keptBytes: 12 * MIB } });
  const { resumedBytes, sizeBytes } = await cluster.client.put(scratch.path("a"), "/a");
  expect([resumedBytes, sizeBytes]).toEqual([12 * MIB, 12 * MIB + 4]);
});

test("put drops what is stored when it can never be put there", async () => {
  using scratch = scratchDirectory();
  const cluster = new FakeCluster();
  writeFileSync(scratch.path("a"), someBytes(9 * MIB));
  cluster.before = (name) => {
    if (name === "upload.commit") throw new TydfsError("exists", "It exists already");
  };
  const error = await cluster.client.put(scratch.path("a"), "/a").catch((e) => e);
  expect(error).toMatchObject({ code: "exists", message: "It exists already" });
  expect(cluster.aborted.length).toBe(1);
  expect(cluster.kept).toEqual([]);
});

test("put keeps the upload, and promises nothing, when the commit is not answered", async () => {
  using scratch = scratchDirectory();
  const cluster = new FakeCluster();
  writeFileSync(scratch.path("a"), someBytes(9 * MIB));
  cluster.before = (name) => {
    if (name === "upload.commit") throw new TydfsError("timeout", "No answer");
  };
  const put = cluster.client.put(scratch.path("a"), "/a");
  await expect(put).rejects.toThrow(/look before you repeat it$/);
  expect(cluster.kept.length).toBe(1);
});

test("put counts a chunk as sent whose answer only was lost", async () => {
  using scratch = scratchDirectory();
  const cluster = new FakeCluster();
  for (const keeper of cluster.keepers) keeper.fault = "mute";
  writeFileSync(scratch.path("a"), someBytes(9 * MIB));
  const { resumedBytes } = await cluster.client.put(scratch.path("a"), "/a");
  expect(resumedBytes).toBe(0);
  expect(cluster.content("/a")).toEqual(someBytes(9 * MIB));
});

test("put of one chunk is dropped when it is interrupted, and keeps nothing", async () => {
  using scratch = scratchDirectory();
  const cluster = new FakeCluster({ client: { parallel: 1, waitMs: 0 } });
  writeFileSync(scratch.path("a"), someBytes(MIB));
  for (const keeper of cluster.keepers) keeper.fault = "refuse";
  const error = await cluster.client.put(scratch.path("a"), "/a").catch((e) => e);
  expect(error.data.keptBytes).toBeUndefined();
  expect(cluster.kept).toEqual([]);
});

test("putStream is not resumed, and drops what is stored", async () => {
  const cluster = new FakeCluster();
  async function* pieces(): AsyncGenerator<Uint8Array> {
    yield someBytes(20 * MIB);
    throw new TydfsError("local", "the pipe broke");
  }
  const put = cluster.client.putStream(pieces(), "/s");
  await expect(put).rejects.toMatchObject({ message: "the pipe broke" });
  expect(cluster.kept).toEqual([]);
  async function* whole(): AsyncGenerator<Uint8Array> {
    yield someBytes(20 * MIB);
  }
  expect((await cluster.client.putStream(whole(), "/s")).resumedBytes).toBe(0);
});
