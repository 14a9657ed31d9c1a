/** The client's small operations, and which of them may be repeated after a failure. */
import { expect, test } from "bun:test";
import { TydfsError } from "../../src/wire/errors.ts";
import { FakeCluster } from "./fake_cluster.ts";
import { someBytes } from "./scratch.ts";

test("list yields the entries of all pages in order", async () => {
  const cluster = new FakeCluster();
  for (const path of ["/c", "/a", "/b"]) cluster.store(path, someBytes(1));
  const paths: string[] = [];
  for await (const { path } of cluster.client.list("/")) paths.push(path);
  expect(paths).toEqual(["/a", "/b", "/c"]);
});

test("rename moves into a directory, else onto the name", async () => {
  const cluster = new FakeCluster();
  cluster.store("/a", someBytes(1));
  expect(await cluster.client.rename("/a", "/dir")).toBe("/dir/a");
  expect(await cluster.client.rename("/dir/a", "/b")).toBe("/b");
  expect(await cluster.client.rename("/b", "/new/")).toBe("/new/b");
});

test("ask repeats a call after a time-out only where that is harmless", async () => {
  const cluster = new FakeCluster();
  cluster.store("/a", someBytes(1));
  let silent = 1;
  cluster.before = () => {
    if (silent-- > 0) throw new TydfsError("timeout", "No answer");
  };
  expect((await cluster.client.stat("/a")).entry.path).toBe("/a");
  silent = 1;
  const remove = cluster.client.remove("/a");
  await expect(remove).rejects.toThrow(/Cannot tell whether "file.remove" was done/);
  expect(cluster.files.has("/a")).toBe(true);
});

test("ask repeats any call that nobody has heard", async () => {
  const cluster = new FakeCluster();
  cluster.store("/a", someBytes(1));
  let deaf = 2;
  cluster.before = () => {
    if (deaf-- > 0) throw new TydfsError("unavailable", "Nobody answers");
  };
  expect(await cluster.client.remove("/a")).toEqual({ files: 1, directories: 0 });
});

test("ask gives up with no-master when nobody ever answers", async () => {
  const cluster = new FakeCluster();
  cluster.before = () => {
    throw new TydfsError("unavailable", "Nobody answers");
  };
  await expect(cluster.client.status()).rejects.toMatchObject({ code: "no-master" });
});

test("ask shares its patience with a master that is away among all calls", async () => {
  const cluster = new FakeCluster();
  cluster.store("/a", someBytes(1));
  await cluster.client.stat("/a");
  let tries = 0;
  cluster.before = () => {
    tries++;
    throw new TydfsError("unavailable", "Nobody answers");
  };
  const gone = { code: "no-master" };
  await expect(cluster.client.stat("/a")).rejects.toMatchObject(gone);
  expect(tries).toBeGreaterThan(5);
  // The others find that the time is over.
  tries = 0;
  for (let call = 0; call < 100; call++) {
    await expect(cluster.client.stat("/a")).rejects.toMatchObject(gone);
  }
  expect(tries).toBeLessThan(110);
  // Who answered once may be starting again the next time.
  cluster.before = () => {};
  await cluster.client.stat("/a");
  let deaf = 3;
  cluster.before = () => {
    if (deaf-- > 0) throw new TydfsError("unavailable", "Nobody answers");
  };
  expect((await cluster.client.stat("/a")).entry.path).toBe("/a");
});

test("paths that are no names are refused before anything is asked", () => {
  const cluster = new FakeCluster();
  expect(() => cluster.client.remove("/a/../b")).toThrow(/".." is not a name/);
  expect(cluster.calls).toEqual([]);
});

test("close leaves the bus", async () => {
  const cluster = new FakeCluster();
  await cluster.client.close();
  expect(cluster.bus.closed).toBe(true);
});
