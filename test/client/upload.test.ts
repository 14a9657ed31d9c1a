/**
 * Uploads against a cluster in memory: what is committed, what is retried, and what must never be
 * committed.
 */
import { expect, test } from "bun:test";
import { appendFileSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { KIB, MIB } from "../../src/base/bytes.ts";
import { TydfsError } from "../../src/wire/errors.ts";
import { uploadCommit } from "../../src/wire/upload.ts";
import { FakeCluster } from "./fake_cluster.ts";
import { scratchDirectory, someBytes } from "./scratch.ts";

for (const sizeBytes of [0, 1, MIB, 4 * MIB]) {
  test(`put sends a file of ${sizeBytes} bytes as one chunk, without a commit of its own`, async () => {
    using scratch = scratchDirectory();
    const cluster = new FakeCluster();
    const bytes = someBytes(sizeBytes);
    writeFileSync(scratch.path("a"), bytes);
    const result = await cluster.client.put(scratch.path("a"), "/a");
    expect(cluster.content("/a")).toEqual(bytes);
    expect(result).toMatchObject({ path: "/a", sizeBytes, copies: 2, goal: 3, version: 1 });
    expect(result.checksum).toBe(cluster.file("/a").checksum);
    // On a busy machine the fast clock may have the client look at the keeper meanwhile.
    const calls = cluster.calls.filter((name) => name !== "cluster.status");
    expect(calls).toEqual(["upload.begin"]);
  });
}

test("put cuts a larger file into chunks and commits them", async () => {
  using scratch = scratchDirectory();
  // Slow enough that the upload's lease is not renewed meanwhile.
  const cluster = new FakeCluster({ speed: 20 });
  const bytes = someBytes(9 * MIB + 17);
  writeFileSync(scratch.path("a"), bytes);
  const progress: number[] = [];
  const onProgress = ({ doneBytes }: { doneBytes: number }) => void progress.push(doneBytes);
  const result = await cluster.client.put(scratch.path("a"), "a", { onProgress });
  expect(cluster.content("/a")).toEqual(bytes);
  expect(result.sizeBytes).toBe(bytes.length);
  expect(cluster.calls.filter((name) => name === "upload.extend").length).toBe(3);
  expect(cluster.calls.at(-1)).toBe("upload.commit");
  expect(progress.at(-1)).toBe(bytes.length);
  expect(cluster.file("/a").owner).toBe("ann");
});

test("put takes the next hop when the head refuses", async () => {
  using scratch = scratchDirectory();
  const cluster = new FakeCluster();
  cluster.keeper(0).fault = "refuse";
  writeFileSync(scratch.path("a"), someBytes(100));
  await cluster.client.put(scratch.path("a"), "/a");
  expect(cluster.offers.length).toBe(1);
  expect(cluster.keeper(1).puts).toBe(1);
});

test("put asks for another placement when all hops fail, and names those to avoid", async () => {
  using scratch = scratchDirectory();
  const cluster = new FakeCluster({ keepers: 4, copies: 1 });
  for (const index of [0, 1, 2]) cluster.keeper(index).fault = "refuse";
  writeFileSync(scratch.path("a"), someBytes(100));
  await cluster.client.put(scratch.path("a"), "/a");
  const failed = cluster.keepers.slice(0, 3).map(({ id }) => id);
  expect(cluster.offers.map(({ avoid }) => avoid)).toEqual([[], failed]);
  expect(cluster.keeper(3).puts).toBe(1);
});

test("put turns to avoided keepers again when there are no others", async () => {
  using scratch = scratchDirectory();
  const cluster = new FakeCluster();
  for (const keeper of cluster.keepers) keeper.fault = "refuse";
  writeFileSync(scratch.path("a"), someBytes(5 * MIB));
  cluster.before = () => {
    if (cluster.offers.length < 6) return;
    for (const keeper of cluster.keepers) keeper.fault = undefined;
  };
  await cluster.client.put(scratch.path("a"), "/a");
  expect(cluster.content("/a")).toEqual(someBytes(5 * MIB));
});

test("put leaves a keeper that never answers", async () => {
  using scratch = scratchDirectory();
  const cluster = new FakeCluster();
  cluster.keeper(0).fault = "hang";
  writeFileSync(scratch.path("a"), someBytes(100));
  await cluster.client.put(scratch.path("a"), "/a");
  expect(cluster.content("/a")).toEqual(someBytes(100));
});

for (const fault of ["hang", "refuse"] as const) {
  test(`put of many chunks and files tries a keeper with the fault "${fault}" once`, async () => {
    using scratch = scratchDirectory();
    const cluster = new FakeCluster({ keepers: 4, speed: 20, client: { parallel: 1 } });
    cluster.keeper(0).fault = fault;
    writeFileSync(scratch.path("a"), someBytes(30 * MIB));
    await cluster.client.put(scratch.path("a"), "/a");
    await cluster.client.put(scratch.path("a"), "/b");
    const { id } = cluster.keeper(0);
    expect(cluster.offers.filter(({ avoid }) => !avoid.includes(id))).toHaveLength(1);
    expect(cluster.content("/b")).toEqual(someBytes(30 * MIB));
  });
}

test("put spares other chunks a keeper that the chain went past", async () => {
  using scratch = scratchDirectory();
  const cluster = new FakeCluster({ keepers: 4, speed: 20, client: { parallel: 1 } });
  cluster.keeper(1).fault = "hang";
  writeFileSync(scratch.path("a"), someBytes(14 * MIB));
  await cluster.client.put(scratch.path("a"), "/a");
  const { id } = cluster.keeper(1);
  expect(cluster.offers.map(({ avoid }) => avoid)).toEqual([[], [id], [id], [id]]);
});

test("put whose commit was not answered by a master that is gone says that it may be there", async () => {
  using scratch = scratchDirectory();
  const cluster = new FakeCluster();
  let isGone = false;
  cluster.before = () => {
    if (isGone) throw new TydfsError("unavailable", "Nobody answers");
  };
  cluster.after = (name) => {
    if (name !== uploadCommit.name) return;
    isGone = true;
    throw new TydfsError("timeout", "No answer");
  };
  writeFileSync(scratch.path("a"), someBytes(9 * MIB));
  const put = cluster.client.put(scratch.path("a"), "/a");
  await expect(put).rejects.toThrow(/^Cannot tell whether "\/a" was put/);
  expect(cluster.content("/a")).toEqual(someBytes(9 * MIB));
});

test("put that was committed succeeds though every answer was lost, also an exclusive one", async () => {
  using scratch = scratchDirectory();
  const cluster = new FakeCluster();
  for (const keeper of cluster.keepers) keeper.fault = "mute";
  writeFileSync(scratch.path("a"), someBytes(100));
  const result = await cluster.client.put(scratch.path("a"), "/a", { exclusive: true });
  expect(result.path).toBe("/a");
  expect(cluster.calls.filter((name) => name === "upload.begin").length).toBe(1);
  expect(cluster.content("/a")).toEqual(someBytes(100));
});

test("put gives up when no keeper ever answers, and drops the upload", async () => {
  using scratch = scratchDirectory();
  const cluster = new FakeCluster();
  for (const keeper of cluster.keepers) keeper.fault = "refuse";
  writeFileSync(scratch.path("a"), someBytes(100));
  const put = cluster.client.put(scratch.path("a"), "/a");
  await expect(put).rejects.toMatchObject({ code: "no-keepers" });
  expect(new Set(cluster.aborted).size).toBeGreaterThan(1);
  expect(cluster.files.size).toBe(0);
});

test("put commits nothing when the file changes while it is read", async () => {
  using scratch = scratchDirectory();
  const cluster = new FakeCluster();
  writeFileSync(scratch.path("a"), someBytes(9 * MIB));
  cluster.onPut = () => appendFileSync(scratch.path("a"), "more");
  const put = cluster.client.put(scratch.path("a"), "/a");
  await expect(put).rejects.toMatchObject({ code: "changed" });
  expect(cluster.aborted.length).toBe(1);
  expect(cluster.calls).not.toContain("upload.commit");
});

test("put tells of a file that has shrunk, and not what the keeper says of its length", async () => {
  using scratch = scratchDirectory();
  const cluster = new FakeCluster();
  writeFileSync(scratch.path("a"), someBytes(300_000));
  cluster.after = (name) => {
    if (name === "upload.begin") truncateSync(scratch.path("a"), 0);
  };
  const put = cluster.client.put(scratch.path("a"), "/a");
  await expect(put).rejects.toMatchObject({ code: "changed" });
  expect(cluster.files.size).toBe(0);
});

test("put blames no keeper when the file vanishes", async () => {
  using scratch = scratchDirectory();
  const cluster = new FakeCluster();
  for (const keeper of cluster.keepers) keeper.fault = "refuse";
  writeFileSync(scratch.path("a"), someBytes(9 * MIB));
  cluster.before = (name) => {
    if (name === "upload.extend") rmSync(scratch.path("a"), { force: true });
  };
  const put = cluster.client.put(scratch.path("a"), "/a");
  await expect(put).rejects.toMatchObject({ code: "changed" });
  expect(cluster.offers.length).toBeLessThan(5);
});

test("put waits while all ports are busy, and says so once", async () => {
  using scratch = scratchDirectory();
  const notices: string[] = [];
  const cluster = new FakeCluster({
    client: { onWait: ({ code }) => void notices.push(code) },
  });
  writeFileSync(scratch.path("a"), someBytes(100));
  let refusals = 3;
  cluster.before = () => {
    if (refusals-- > 0) throw new TydfsError("busy", "All ports are busy");
  };
  await cluster.client.put(scratch.path("a"), "/a");
  expect(notices).toEqual(["busy"]);
});

test("put fails with busy at once when it may not wait", async () => {
  using scratch = scratchDirectory();
  const cluster = new FakeCluster({ client: { waitMs: 0 } });
  writeFileSync(scratch.path("a"), someBytes(100));
  cluster.before = () => {
    throw new TydfsError("busy", "All ports are busy");
  };
  const put = cluster.client.put(scratch.path("a"), "/a");
  await expect(put).rejects.toMatchObject({ code: "busy" });
  expect(cluster.calls).toEqual(["upload.begin"]);
});

test("puts of many files have no more chunks under way than a small cluster has slots for", async () => {
  using scratch = scratchDirectory();
  const cluster = new FakeCluster();
  let most = 0;
  let [begun, stored] = [0, 0];
  cluster.before = (name) => {
    if (name === "upload.begin") most = Math.max(most, ++begun - stored);
  };
  cluster.onPut = async () => {
    while (begun < 16) await Bun.sleep(1);
    stored++;
  };
  const names = Array.from({ length: 40 }, (_, at) => `a${at}`);
  for (const name of names) writeFileSync(scratch.path(name), someBytes(300 * KIB));
  await Promise.all(names.map((name) => cluster.client.put(scratch.path(name), `/${name}`)));
  expect(cluster.files.size).toBe(names.length);
  expect(most).toBe(16);
});

test("put stops when its signal aborts, and drops the upload", async () => {
  using scratch = scratchDirectory();
  const cluster = new FakeCluster();
  writeFileSync(scratch.path("a"), someBytes(9 * MIB));
  const stop = new AbortController();
  cluster.onPut = () => stop.abort(new TydfsError("interrupted", "Interrupted"));
  const put = cluster.client.put(scratch.path("a"), "/a", { signal: stop.signal });
  await expect(put).rejects.toMatchObject({ code: "interrupted" });
  expect(cluster.aborted.length).toBe(1);
  expect(cluster.files.size).toBe(0);
});

test("put refuses directories and missing files by name", async () => {
  using scratch = scratchDirectory();
  const cluster = new FakeCluster();
  const directory = cluster.client.put(scratch.path("."), "/a");
  await expect(directory).rejects.toMatchObject({ code: "is-directory" });
  const missing = cluster.client.put(scratch.path("none"), "/a");
  await expect(missing).rejects.toThrow(/Cannot read ".*none": there is no such file/);
  expect(cluster.calls).toEqual([]);
});

for (const sizeBytes of [0, 5, 3 * MIB, 21 * MIB + 5]) {
  test(`putStream sends ${sizeBytes} bytes of unknown length`, async () => {
    const cluster = new FakeCluster();
    const bytes = someBytes(sizeBytes);
    async function* pieces(): AsyncGenerator<Uint8Array> {
      for (let at = 0; at < sizeBytes; at += 700_001) yield bytes.slice(at, at + 700_001);
    }
    const result = await cluster.client.putStream(pieces(), "/s");
    expect(cluster.content("/s")).toEqual(bytes);
    expect(result.sizeBytes).toBe(sizeBytes);
  });
}

test("putStream drops the upload when the stream fails", async () => {
  const cluster = new FakeCluster();
  async function* pieces(): AsyncGenerator<Uint8Array> {
    yield someBytes(20 * MIB);
    throw new Error("the pipe broke");
  }
  await expect(cluster.client.putStream(pieces(), "/s")).rejects.toThrow("the pipe broke");
  expect(cluster.files.size).toBe(0);
});
