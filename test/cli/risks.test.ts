/** The look for files in danger: how far it goes, and what ends it. */
import { expect, test } from "bun:test";
import { formatPut } from "../../src/cli/format/format.ts";
import { findRisks, glanceAtRisks } from "../../src/cli/risks.ts";
import { askState, whyShort } from "../../src/cli/transfer/receipt.ts";
import { TydfsError } from "../../src/wire/errors.ts";
import type { FileAtRisk } from "../../src/wire/audit.ts";
import { FakeCluster } from "../client/fake_cluster.ts";
import { largeStatus } from "./some_status.ts";

const { signal } = new AbortController();

function fileOf(page: number, danger: FileAtRisk["danger"]): FileAtRisk {
  const facts = { size: 10, chunks: 1, chunksTotal: 1, copies: 1, goal: 3, trashed: false };
  return { path: `/${page}`, danger, ...facts };
}

test("findRisks reads all pages, without the keepers that are named", async () => {
  const cluster = new FakeCluster();
  const asked: unknown[] = [];
  cluster.risks = (without, after) => {
    asked.push([...without, after]);
    const files = [fileOf(after, after === 2 ? "lost" : "short")];
    return { files, chunks: 9, ...(after < 4 ? { next: after + 1 } : {}) };
  };
  const book = await findRisks(cluster.client, ["k1", "k2"], signal);
  expect(asked).toEqual([0, 1, 2, 3, 4].map((after) => ["k1", "k2", after]));
  expect(book.list().map(({ path }) => path)).toEqual(["/2", "/0", "/1", "/3", "/4"]);
});

test("findRisks fails for a keeper that is not known", async () => {
  const cluster = new FakeCluster();
  cluster.risks = () => {
    throw new TydfsError("not-found", 'Cannot find keeper "k9"');
  };
  expect(findRisks(cluster.client, ["k9"], signal)).rejects.toThrow('Cannot find keeper "k9"');
});

test("glanceAtRisks ends when it has enough to name, or after some pages", async () => {
  const cluster = new FakeCluster();
  let pages = 0;
  cluster.risks = (_without, after) => {
    pages++;
    return { files: [fileOf(after, "lost")], chunks: 9, next: after + 1 };
  };
  const enough = await glanceAtRisks(cluster.client, signal);
  expect([enough.whole, enough.book.list().length, pages]).toEqual([false, 11, 11]);
  pages = 0;
  cluster.risks = (_without, after) => {
    pages++;
    return { files: [fileOf(after, "short")], chunks: 9, next: after + 1 };
  };
  expect((await glanceAtRisks(cluster.client, signal)).whole).toBe(false);
  expect(pages).toBe(64);
  cluster.risks = () => ({ files: [fileOf(0, "lost")], chunks: 9 });
  expect((await glanceAtRisks(cluster.client, signal)).whole).toBe(true);
});

test("glanceAtRisks never fails the status that it belongs to", async () => {
  const cluster = new FakeCluster();
  cluster.risks = () => {
    throw new TydfsError("denied", "Cannot look at risks");
  };
  const look = await glanceAtRisks(cluster.client, signal);
  expect([look.whole, look.failure]).toEqual([false, "Cannot look at risks"]);
});

test("a put with fewer copies asks why, and does not fail when nobody answers", async () => {
  const cluster = new FakeCluster({ keepers: 2 });
  const { client } = cluster;
  const result = await client.putStream(new Blob(["hello"]).stream(), "/f");
  expect([result.copies, result.goal]).toEqual([2, 3]);
  cluster.status = { ...largeStatus(2), replicas: 3 };
  expect(formatPut(result, whyShort(result, await askState(client, signal)))).toContain(
    " · 2/3 copies: 2 keepers are known, a third would complete it · synced, xxh3 ",
  );
  cluster.status = undefined;
  cluster.before = (name) => {
    if (name === "cluster.status") throw new TydfsError("denied", "Not for you");
  };
  expect(await askState(client, signal)).toBeUndefined();
  expect(formatPut(result, whyShort(result, undefined))).toContain(
    "2/3 copies: the master was not",
  );
});
