/** What an operator asks for page by page: where each page goes on, and what ends it. */
import { expect, test } from "bun:test";
import { serve } from "../../src/wire/bus.ts";
import { TydfsError } from "../../src/wire/errors.ts";
import type { Rpc } from "../../src/wire/rpc.ts";
import { subjectsOf } from "../../src/wire/subjects.ts";
import type { TrashEntry } from "../../src/wire/trash.ts";
import { trashEmpty, trashList, trashRestore } from "../../src/wire/trash.ts";
import { FakeCluster } from "./fake_cluster.ts";

function answer<Request, Reply>(
  cluster: FakeCluster,
  procedure: Rpc<Request, Reply>,
  handler: (request: Request) => Reply,
): void {
  const subject = subjectsOf("test").rpc(procedure.name);
  serve(cluster.bus, subject, procedure, { onFailure: () => {} }, handler);
}

function entryOf(path: string, version: number, removedMs: number): TrashEntry {
  const facts = { size: 1, mtimeMs: 0, owner: "ann", purgeMs: removedMs + 1, replaced: false };
  return { path, version, removedMs, ...facts };
}

test("trash goes on behind the last entry of each page", async () => {
  const cluster = new FakeCluster();
  const asked: unknown[] = [];
  answer(cluster, trashList, ({ after }) => {
    asked.push(after);
    const n = (after?.version ?? 0) + 1;
    return { entries: [entryOf("/a", n, 100 - n)], more: n < 3 };
  });
  const versions: number[] = [];
  for await (const { version } of cluster.client.operator.trash("/")) versions.push(version);
  expect(versions).toEqual([1, 2, 3]);
  expect(asked).toEqual([
    undefined,
    { path: "/a", removedMs: 99, version: 1 },
    { path: "/a", removedMs: 98, version: 2 },
  ]);
});

test("undelete goes on with the same removal, and adds up what came back", async () => {
  const cluster = new FakeCluster();
  answer(cluster, trashRestore, ({ path, after }) => {
    const facts = { files: 2, bytes: 20, path };
    return after === undefined ? { ...facts, next: { path: "/d/b", removedMs: 7 } } : facts;
  });
  expect(await cluster.client.operator.undelete("d", { replace: false })).toEqual({
    ...{ files: 4, bytes: 40, path: "/d" },
  });
});

test("undelete that fails says what is back already", () => {
  const cluster = new FakeCluster();
  answer(cluster, trashRestore, ({ path, after }) => {
    if (after !== undefined) {
      throw new TydfsError("exists", 'Cannot restore "/d/c": a file is there');
    }
    return { files: 2, bytes: 20, path, next: { path: "/d/b", removedMs: 7 } };
  });
  expect(cluster.client.operator.undelete("/d", { replace: false })).rejects.toMatchObject({
    code: "exists",
    message: 'Cannot restore "/d/c": a file is there (2 files are back already)',
  });
});

test("emptyTrash purges until the moment at which it began", async () => {
  const cluster = new FakeCluster();
  const asked: unknown[] = [];
  answer(cluster, trashEmpty, ({ untilMs }) => {
    asked.push(untilMs);
    return { files: 1, bytes: 10, untilMs: 42, more: asked.length < 3 };
  });
  let files = 0;
  for await (const page of cluster.client.operator.emptyTrash("/")) files += page.files;
  expect([files, asked]).toEqual([3, [undefined, 42, 42]]);
});
