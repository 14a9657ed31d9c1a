/** What a remote path or pattern names, in a cluster in memory. */
import { expect, test } from "bun:test";
import { matchRemote } from "../../src/client/match.ts";
import { FakeCluster } from "./fake_cluster.ts";
import { someBytes } from "./scratch.ts";

function clusterOf(...paths: string[]): FakeCluster {
  const cluster = new FakeCluster();
  for (const path of paths) cluster.store(path, someBytes(1));
  return cluster;
}

async function pathsOf(cluster: FakeCluster, word: string): Promise<string[]> {
  const paths: string[] = [];
  for await (const { path } of matchRemote(cluster.client, word)) paths.push(path);
  return paths;
}

test("matchRemote yields the one thing that a path names", async () => {
  const cluster = clusterOf("/v/a", "/v/b");
  expect(await pathsOf(cluster, "/v/a")).toEqual(["/v/a"]);
  expect(await pathsOf(cluster, "/v")).toEqual(["/v"]);
  expect(cluster.calls).toEqual(["file.stat", "file.stat"]);
});

test("matchRemote yields what a pattern matches, directories too, in byte order", async () => {
  const cluster = clusterOf("/v/b.mp4", "/v/a.mp4", "/v/w/c.mp4", "/v/x.mov", "/z");
  expect(await pathsOf(cluster, "/v/*.mp4")).toEqual(["/v/a.mp4", "/v/b.mp4"]);
  expect(await pathsOf(cluster, "/v/**/*.mp4")).toEqual(["/v/a.mp4", "/v/b.mp4", "/v/w/c.mp4"]);
  expect(await pathsOf(cluster, "/v/[wx]*")).toEqual(["/v/w", "/v/x.mov"]);
  expect(await pathsOf(cluster, "/*")).toEqual(["/v", "/z"]);
});

test("matchRemote finds a name with magic characters by its name first", async () => {
  const cluster = clusterOf("/v/a[1].mp4", "/v/a1.mp4", "/v/*");
  expect(await pathsOf(cluster, "/v/a[1].mp4")).toEqual(["/v/a[1].mp4"]);
  expect(await pathsOf(cluster, "/v/*")).toEqual(["/v/*"]);
  expect(await pathsOf(cluster, "/v/a[12].mp4")).toEqual(["/v/a1.mp4"]);
});

test("matchRemote throws not-found when there is nothing", async () => {
  const cluster = clusterOf("/v/a");
  for (const word of ["/v/b", "/v/*.mp4", "/none/*", "/none/**/a"]) {
    await expect(pathsOf(cluster, word)).rejects.toMatchObject({ code: "not-found" });
  }
  await expect(pathsOf(cluster, "/v/*.mp4")).rejects.toThrow(
    'Cannot find "/v/*.mp4": nothing matches it',
  );
});

test("matchRemote never yields the root for a pattern", async () => {
  const cluster = clusterOf("/v/a");
  for (const word of ["/*", "/**", "**", "/{,v}"]) {
    expect(await pathsOf(cluster, word).catch(() => [])).not.toContain("/");
  }
});
