/** Real threads race on one PortTable: no slot is ever two threads' at once, and none is lost. */
import { expect, test } from "bun:test";
import { KEEPERS_MAX, PORTS_MAX, PortTable } from "../../src/tables/port_table.ts";
import type { RaceResult, RaceStart } from "./port_racer.ts";

const THREADS = 4;
const ROWS = 3;
const SLOTS = 5;

function race(start: RaceStart): Promise<RaceResult> {
  const worker = new Worker(new URL("./port_racer.ts", import.meta.url).href);
  return new Promise<RaceResult>((resolve, reject) => {
    worker.onmessage = (event: MessageEvent) => resolve(event.data as RaceResult);
    worker.onerror = (event: ErrorEvent) => reject(new Error(event.message));
    worker.postMessage(start);
  }).finally(() => worker.terminate());
}

test("threads that race never share a slot, and give all of them back", async () => {
  const table = new PortTable(KEEPERS_MAX * PORTS_MAX);
  for (let row = 0; row < ROWS; row++) table.open(row, 7000 + row, SLOTS);
  const holders = new SharedArrayBuffer(4 * 64 * ROWS);
  const start = { buffer: table.buffer, holders, rows: ROWS, rounds: 60_000 };
  const results = await Promise.all(Array.from({ length: THREADS }, () => race(start)));
  for (const { taken, doubled } of results) {
    expect(taken).toBeGreaterThan(0);
    expect(doubled).toBe(0);
  }
  // They got into each other's way: else this shows nothing.
  expect(results.reduce((sum, { refused }) => sum + refused, 0)).toBeGreaterThan(0);
  for (let row = 0; row < ROWS; row++) expect(table.inUse(row, 1_000)).toBe(0);
});
