/** The writer with a shipper: who waits for it, in which order, how far commits run ahead. */
import { afterEach, beforeEach, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { silentLog } from "../../src/base/log.ts";
import type { Operation } from "../../src/catalog/operation.ts";
import { CatalogWriter, type CommittedBatch } from "../../src/catalog/writer.ts";

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "shipping-"));
});
afterEach(() => rmSync(directory, { recursive: true }));

interface Shipment {
  batch: CommittedBatch;
  arrive: () => void;
}

function open(): { writer: CatalogWriter; shipments: Shipment[] } {
  const shipments: Shipment[] = [];
  const writer = new CatalogWriter({
    path: join(directory, "catalog.db"),
    log: silentLog,
    onFatal: (error) => {
      throw error;
    },
    ship(batch) {
      const { promise, resolve } = Promise.withResolvers<void>();
      shipments.push({ batch, arrive: resolve });
      return promise;
    },
  });
  return { writer, shipments };
}

async function until(what: () => boolean): Promise<void> {
  for (let turn = 0; turn < 1000 && !what(); turn++) await Bun.sleep(1);
  expect(what()).toBe(true);
}

function make(path: string): Extract<Operation, { kind: "dir.make" }> {
  const facts = { parents: false, owner: "ann", mode: 0o755, mtimeMs: 1, atMs: 1 };
  return { kind: "dir.make", path, ...facts };
}

test("CatalogWriter answers in order, when what was before has arrived too", async () => {
  const { writer, shipments } = open();
  const answers: string[] = [];
  const submit = async (path: string) => {
    await writer.submit(make(path));
    answers.push(path);
  };
  const first = submit("/a");
  await until(() => shipments.length === 1);
  const second = submit("/b");
  await until(() => shipments.length === 2);
  // The second one is committed and under way, though the first has not arrived.
  expect(shipments.map(({ batch }) => [batch.from, batch.to])).toEqual([[1, 1], [2, 2]]);
  shipments[1]?.arrive();
  await Bun.sleep(5);
  expect(answers).toEqual([]);
  shipments[0]?.arrive();
  await Promise.all([first, second]);
  expect(answers).toEqual(["/a", "/b"]);
  await writer.close();
});

test("CatalogWriter makes steps and refusals wait for nothing", async () => {
  const { writer, shipments } = open();
  expect(await writer.submit({ kind: "master.start", atMs: 1 })).toEqual({ epoch: 1 });
  const refused = writer.submit({ kind: "file.remove", path: "/x", recursive: false, atMs: 1 });
  await expect(refused).rejects.toMatchObject({ code: "not-found" });
  // What was refused is no part of the history: nothing of it is shipped.
  expect(shipments.length).toBe(1);
  await writer.close();
});

test("CatalogWriter commits only so far ahead of what has arrived, and closes when all has", async () => {
  const { writer, shipments } = open();
  const done: Promise<unknown>[] = [];
  for (let n = 0; n < 80; n++) {
    done.push(writer.submit(make(`/${n}`)));
    await Bun.sleep(2);
  }
  await Bun.sleep(20);
  const ahead = shipments.length;
  expect(ahead).toBeGreaterThan(8);
  expect(ahead).toBeLessThanOrEqual(64);
  let isClosed = false;
  const closed = writer.close().then(() => isClosed = true);
  await Bun.sleep(5);
  expect(isClosed).toBe(false);
  while (!isClosed) {
    for (const { arrive } of shipments) arrive();
    await Bun.sleep(1);
  }
  await Promise.all([...done, closed]);
  expect(shipments.at(-1)?.batch.to).toBe(80);
});
