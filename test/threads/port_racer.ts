/**
 * A thread that takes and gives back slots of a shared PortTable as fast as it can, and watches
 * that they are its own.
 */
import { KEEPERS_MAX, PORTS_MAX, PortTable } from "../../src/tables/port_table.ts";

export interface RaceStart {
  buffer: SharedArrayBuffer;
  /** One word a slot number in each row: how many threads believe that they hold it. */
  holders: SharedArrayBuffer;
  rows: number;
  rounds: number;
}

export interface RaceResult {
  taken: number;
  refused: number;
  /** Slots that two threads held at once. */
  doubled: number;
}

const SLOT_BITS = 64;
const LEASE_MS = 60_000;

self.onmessage = (event: MessageEvent) => {
  const { buffer, holders, rows, rounds } = event.data as RaceStart;
  const table = new PortTable(KEEPERS_MAX * PORTS_MAX, buffer);
  const held = new Int32Array(holders);
  const result: RaceResult = { taken: 0, refused: 0, doubled: 0 };
  const grants: number[] = [];
  const giveBack = (grant: number) => {
    Atomics.sub(held, placeOf(grant), 1);
    table.release(grant);
    // Late ones must not harm whoever has the slot by now.
    table.release(grant);
  };
  for (let round = 0; round < rounds; round++) {
    const row = round % rows;
    const grant = table.take(row, 1_000, LEASE_MS);
    if (grant === undefined) result.refused++;
    else {
      result.taken++;
      if (Atomics.add(held, placeOf(grant), 1) !== 0) result.doubled++;
      grants.push(grant);
    }
    if (grant === undefined || round % 3 !== 0) {
      const oldest = grants.shift();
      if (oldest !== undefined) giveBack(oldest);
    }
  }
  for (const grant of grants) giveBack(grant);
  self.postMessage(result);
};

function placeOf(grant: number): number {
  return (grant >>> 19) * SLOT_BITS + ((grant >>> 13) & (SLOT_BITS - 1));
}
