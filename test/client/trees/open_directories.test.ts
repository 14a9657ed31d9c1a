/** When a directory counts as done: after all that is below, in whichever order that ends. */
import { expect, test } from "bun:test";
import type { Job } from "../../../src/client/trees/job_runner.ts";
import { OpenDirectories } from "../../../src/client/trees/open_directories.ts";
import type { TreeEntry } from "../../../src/client/trees/merge.ts";

function directory(path: string): TreeEntry {
  return { path, kind: "directory", sizeBytes: 0, mtimeMs: 0, mode: 0o755 };
}

function world() {
  const closed: string[] = [];
  const open = new OpenDirectories(({ path }, touched) => {
    closed.push(touched ? path : `${path} (untouched)`);
    return Promise.resolve();
  });
  const hold = async (path: string) => {
    const run = () => Promise.resolve();
    const held = await open.holding(path, { kind: "file", path, from: "", sizeBytes: 0, run });
    return held as Job & { settled: () => Promise<void> };
  };
  return { closed, open, hold };
}

test("a directory closes after its jobs and the directories in it", async () => {
  const { closed, open, hold } = world();
  await open.enter(directory(""));
  await open.enter(directory("a"));
  const early = await hold("a/1");
  await open.enter(directory("a/b"));
  const inner = await hold("a/b/2");
  await open.enter(directory("c"));
  await early.settled();
  expect(closed).toEqual([]);
  await inner.settled();
  expect(closed).toEqual(["a/b", "a"]);
  await open.leaveAll();
  expect(closed).toEqual(["a/b", "a", "c (untouched)", " (untouched)"]);
});

test("a directory that is still walked stays open though its jobs are done", async () => {
  const { closed, open, hold } = world();
  await open.enter(directory("a"));
  await (await hold("a/1")).settled();
  expect(closed).toEqual([]);
  await (await hold("a/2")).settled();
  await open.leaveAll();
  expect(closed).toEqual(["a"]);
});

test("a name that begins like a directory's is not in it", async () => {
  const { closed, open, hold } = world();
  await open.enter(directory("a"));
  await (await hold("ab")).settled?.();
  expect(closed).toEqual(["a (untouched)"]);
});
