/** The table by which the replicator tells the trackers how it goes. */
import { expect, test } from "bun:test";
import { type RepairCounts, RepairTable } from "../../src/tables/repair_table.ts";

const ZEROS: RepairCounts = {
  ...{ running: 0, queued: 0, under: 0, lost: 0, endangered: 0, waiting: 0, stranded: 0 },
  ...{ blocked: 0, queuedBytes: 0, bytesPerSecond: 0, balancing: false, moving: 0, spread: 0 },
  ...{ safety: [0, 0, 0], scannedMs: 0 },
};

test("RepairTable gives back what was put, with or without an estimate", () => {
  const table = new RepairTable();
  const other = new RepairTable(table.buffer);
  expect(other.read()).toEqual(ZEROS);
  const counts: RepairCounts = {
    ...{ running: 4, queued: 2 ** 33, under: 7, lost: 1, endangered: 5, waiting: 6 },
    ...{ stranded: 2 ** 34, blocked: 3, queuedBytes: 2 ** 45, bytesPerSecond: 2 ** 30 },
    ...{ balancing: true, moving: 2, spread: 0.125, safety: [2, 2 ** 35, 3], scannedMs: 1.7e12 },
  };
  table.put({ ...counts, etaMs: 0, waitUntilMs: 1.8e12 });
  expect(other.read()).toEqual({ ...counts, etaMs: 0, waitUntilMs: 1.8e12 });
  table.put(counts);
  expect(other.read()).toEqual(counts);
});

test("RepairTable knows of each keeper's emptying by itself", () => {
  const table = new RepairTable();
  const other = new RepairTable(table.buffer);
  expect(other.drain(3)).toBeUndefined();
  table.putDrain(3, { chunks: 0, bytes: 0, stuck: 0 });
  table.putDrain(1023, { chunks: 9, bytes: 2 ** 40, stuck: 1 });
  expect(other.drain(3)).toEqual({ chunks: 0, bytes: 0, stuck: 0 });
  expect(other.drain(1023)).toEqual({ chunks: 9, bytes: 2 ** 40, stuck: 1 });
  expect(other.read()).toEqual(ZEROS);
  table.putDrain(3, undefined);
  expect(other.drain(3)).toBeUndefined();
});
