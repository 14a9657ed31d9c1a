/** One small file, got in one step. */
import { expect, test } from "bun:test";
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { MIB } from "../../../src/base/bytes.ts";
import { partialName } from "../../../src/client/local_target.ts";
import { FakeCluster } from "../fake_cluster.ts";
import { scratchDirectory, someBytes } from "../scratch.ts";

for (const sync of [false, true]) {
  for (const sizeBytes of [0, 1, 4096, 128 * 1024, MIB]) {
    test(`get puts ${sizeBytes} bytes in place${sync ? ", synced" : ""}`, async () => {
      using scratch = scratchDirectory();
      const cluster = new FakeCluster();
      const bytes = someBytes(sizeBytes);
      cluster.store("/a", bytes);
      const local = scratch.path("new/dir/a");
      const told: number[] = [];
      const result = await cluster.client.get("/a", local, {
        sync,
        exact: true,
        onProgress: ({ doneBytes }) => told.push(doneBytes),
      });
      expect(result).toMatchObject({ local, sizeBytes, resumedBytes: 0 });
      expect(told.at(-1)).toBe(sizeBytes);
      expect(new Uint8Array(readFileSync(local))).toEqual(bytes);
      expect(statSync(local).mtimeMs).toBe(result.mtimeMs);
      expect(statSync(local).mode & 0o777).toBe(result.mode & 0o777);
      expect(readdirSync(scratch.path("new/dir"))).toEqual(["a"]);
    });
  }
}

test("get of a small file takes up and clears away what an earlier try has left", async () => {
  using scratch = scratchDirectory();
  const cluster = new FakeCluster();
  const bytes = someBytes(5_000);
  cluster.store("/a", bytes);
  writeFileSync(scratch.path(partialName("a")), someBytes(9_000));
  await cluster.client.get("/a", scratch.path("a"));
  expect(new Uint8Array(readFileSync(scratch.path("a")))).toEqual(bytes);
  expect(existsSync(scratch.path(partialName("a")))).toBeFalse();
});

test("get of a small file leaves nothing where it can't be put", async () => {
  using scratch = scratchDirectory();
  const cluster = new FakeCluster();
  cluster.store("/a", someBytes(10));
  mkdirSync(scratch.path("a"));
  await expect(cluster.client.get("/a", scratch.path("a"), { exact: true })).rejects.toThrow(
    "directory",
  );
  const planted = cluster.client.get("/a", scratch.path(partialName("b")), { exact: true });
  await expect(planted).rejects.toThrow("unfinished");
  writeFileSync(scratch.path("file"), "");
  await expect(cluster.client.get("/a", scratch.path("file/b"), { exact: true })).rejects.toThrow(
    "not a directory",
  );
  const names = readdirSync(scratch.path(".")).filter((name) => name !== partialName("a"));
  expect(names.sort()).toEqual(["a", "file"]);
});
