/** Copies of trees, in a cluster in memory. */
import { expect, test } from "bun:test";
import type { CopyTreeOptions } from "../../../src/client/trees/copy.ts";
import { copyTree } from "../../../src/client/trees/copy.ts";
import { TydfsError } from "../../../src/wire/errors.ts";
import { FakeCluster } from "../fake_cluster.ts";
import { someBytes } from "../scratch.ts";

function setUp(...paths: string[]) {
  const cluster = new FakeCluster();
  for (const path of paths) cluster.store(path, someBytes(10));
  const failures: unknown[] = [];
  const options: CopyTreeOptions = {
    signal: new AbortController().signal,
    replace: true,
    dryRun: false,
    onFailure: (error) => void failures.push(error),
  };
  const copy = async (from: string, to: string, others: Partial<CopyTreeOptions> = {}) => {
    const { entry } = await cluster.client.stat(from);
    return await copyTree(cluster.client, entry, to, { ...options, ...others });
  };
  return { cluster, failures, copy };
}

test("copyTree copies files and directories, also empty ones, with their modes", async () => {
  const { cluster, copy } = setUp("/v/a", "/v/w/b", "/z");
  cluster.directories.set("/v/empty", 0o700);
  const counts = await copy("/v", "/new");
  expect(counts).toEqual({ files: 2, directories: 3, sizeBytes: 20 });
  expect([...cluster.files.keys()]).toEqual(["/v/a", "/v/w/b", "/z", "/new/a", "/new/w/b"]);
  expect(cluster.directories.get("/new/empty")).toBe(0o700);
});

test("copyTree only counts in a dry run", async () => {
  const { cluster, copy } = setUp("/v/a", "/v/w/b");
  const counts = await copy("/v", "/new", { dryRun: true });
  expect(counts).toEqual({ files: 2, directories: 2, sizeBytes: 20 });
  expect(cluster.files.size).toBe(2);
  expect(cluster.calls).not.toContain("dir.make");
});

test("copyTree goes on after a file that fails, and tells of it", async () => {
  const { cluster, failures, copy } = setUp("/v/a", "/v/b", "/new/a");
  const counts = await copy("/v", "/new", { replace: false });
  expect(counts.files).toBe(1);
  expect(failures).toEqual([expect.objectContaining({ code: "exists" })]);
  expect(cluster.files.has("/new/b")).toBe(true);
});

test("copyTree tells once of a directory that can't be made, not of what is below", async () => {
  const { cluster, failures, copy } = setUp("/v/a", "/v/w/b", "/v/w/x/c", "/v/y", "/new/w");
  await copy("/v", "/new");
  expect(failures).toEqual([expect.objectContaining({ code: "exists" })]);
  expect(cluster.files.has("/new/y")).toBe(true);
  expect([...cluster.files.keys()].some((path) => path.startsWith("/new/w/"))).toBe(false);
});

test("copyTree refuses to copy a directory into itself", async () => {
  const { copy } = setUp("/v/a");
  for (const to of ["/v", "/v/w", "/v/w/x"]) {
    await expect(copy("/v", to)).rejects.toMatchObject({ code: "invalid" });
  }
  await expect(copy("/", "/v")).rejects.toMatchObject({ code: "invalid" });
  expect((await copy("/v", "/vw")).files).toBe(1);
});

test("copyTree stops when nobody answers, and says how far it has come", async () => {
  const paths = Array.from({ length: 200 }, (_, index) => `/v/${index}`);
  const { cluster, failures, copy } = setUp(...paths);
  let copies = 0;
  cluster.before = (name) => {
    if (name === "file.copy" && ++copies > 20) throw new TydfsError("timeout", "No answer");
  };
  const done = copy("/v", "/new");
  await expect(done).rejects.toMatchObject({ code: "timeout" });
  await expect(done).rejects.toThrow("until then 20 files and 1 directories were copied");
  expect(copies).toBeLessThan(40);
  expect(failures).toEqual([]);
});

test("copyTree stops when its signal aborts", async () => {
  const { cluster, failures, copy } = setUp("/v/a", "/v/b", "/v/c");
  const stop = new AbortController();
  cluster.before = (name) => {
    if (name === "file.copy") stop.abort(new TydfsError("interrupted", "Interrupted"));
  };
  const done = copy("/v", "/new", { signal: stop.signal });
  await expect(done).rejects.toMatchObject({ code: "interrupted" });
  expect(failures).toEqual([]);
});
