/**
 * PortTable: slots taken and given back in every way there is, and a model that must agree with it.
 */
import { expect, test } from "bun:test";
import fc from "fast-check";
import { portRow, PORTS_MAX, PortTable, rowOfGrant } from "../../src/tables/port_table.ts";

const LEASE_MS = 2_000;
/** Leases end on a grid of 125 ms: by this much later at most. */
const GRID_MS = 125;

function openTable(slots: number): PortTable {
  const table = new PortTable(4);
  table.open(1, 7000, slots);
  return table;
}

function mustTake(table: PortTable, row: number, nowMs: number): number {
  const grant = table.take(row, nowMs, LEASE_MS);
  if (grant === undefined) throw new Error("No slot is free");
  return grant;
}

test("take gives as many slots as there are, then none", () => {
  const table = openTable(3);
  const grants = [1, 2, 3].map(() => mustTake(table, 1, 0));
  expect(new Set(grants).size).toBe(3);
  expect(grants.map(rowOfGrant)).toEqual([1, 1, 1]);
  expect(table.take(1, 0, LEASE_MS)).toBeUndefined();
  expect(table.state(1, 0)).toBe("BUSY");
  expect(table.inUse(1, 0)).toBe(3);
});

test("take gives nothing on a port that is closed or was never opened", () => {
  const table = openTable(3);
  expect(table.take(2, 0, LEASE_MS)).toBeUndefined();
  expect(table.state(2, 0)).toBe("OFFLINE");
  mustTake(table, 1, 0);
  table.close(1);
  expect(table.take(1, 0, LEASE_MS)).toBeUndefined();
  expect(table.inUse(1, 0)).toBe(0);
});

test("a slot is free again when its lease has run out, and not before", () => {
  const table = openTable(1);
  mustTake(table, 1, 1_000);
  expect(table.take(1, 1_000 + LEASE_MS - 1, LEASE_MS)).toBeUndefined();
  expect(table.take(1, 1_000 + LEASE_MS + GRID_MS, LEASE_MS)).toBeDefined();
});

test("release frees a slot once; a late one harms nobody", () => {
  const table = openTable(1);
  const first = mustTake(table, 1, 0);
  table.release(first);
  const second = mustTake(table, 1, 0);
  expect(second).not.toBe(first);
  table.release(first);
  expect(table.inUse(1, 0)).toBe(1);
  table.release(second);
  table.release(second);
  expect(table.inUse(1, 0)).toBe(0);
});

test("renew prolongs a slot as long as it is the grant's", () => {
  const table = openTable(1);
  const grant = mustTake(table, 1, 0);
  expect(table.renew(grant, 1_500, LEASE_MS)).toBe(true);
  expect(table.inUse(1, 3_000)).toBe(1);
  // Run out, but nobody else has it: the stream lives, and may have it again.
  expect(table.renew(grant, 60_000, LEASE_MS)).toBe(true);
  table.release(grant);
  expect(table.renew(grant, 60_000, LEASE_MS)).toBe(false);
  const other = mustTake(table, 1, 60_000);
  expect(table.renew(grant, 60_000, LEASE_MS)).toBe(false);
  expect(table.renew(other, 60_000, LEASE_MS)).toBe(true);
});

test("mirror counts readers, and clears slots that have run out", () => {
  const table = openTable(3);
  const grant = mustTake(table, 1, 0);
  table.mirror(1, { readers: 2, bytesIn: 5, bytesOut: 2 ** 40 }, 0);
  expect(table.inUse(1, 0)).toBe(3);
  expect(table.take(1, 0, LEASE_MS)).toBeUndefined();
  expect(table.counts(1)).toEqual({ inUse: 2, bytesIn: 5, bytesOut: 2 ** 40 });
  table.mirror(1, { readers: 0, bytesIn: 0, bytesOut: 0 }, 10_000);
  expect(table.inUse(1, 10_000)).toBe(0);
  expect(table.renew(grant, 10_000, LEASE_MS)).toBe(false);
});

test("a keeper's own table holds foreign grants", () => {
  const table = openTable(2);
  expect(table.hold(1, 77)).toBe(true);
  expect(table.hold(1, 2 ** 32 - 1)).toBe(true);
  expect(table.held(1)).toEqual([77, 2 ** 32 - 1]);
  table.drop(1, 77);
  table.drop(1, 78);
  expect(table.held(1)).toEqual([2 ** 32 - 1]);
});

test("grants of the last rows and generations are whole words", () => {
  const row = portRow(1023, PORTS_MAX - 1);
  const table = new PortTable(row + 1);
  table.open(row, 65_535, 1);
  for (let turn = 0; turn < 20_000; turn++) {
    const grant = mustTake(table, row, turn);
    if (rowOfGrant(grant) !== row || grant <= 0) throw new Error(`Bad grant ${grant}`);
    table.release(grant);
  }
  expect(table.inUse(row, 0)).toBe(0);
});

test("leases hold where their circle begins anew", () => {
  const circleMs = (2 ** 19 - 1) * 125;
  for (const startMs of [circleMs - 2_500, circleMs - 1_000, circleMs, 27 * circleMs - 500]) {
    const table = openTable(1);
    mustTake(table, 1, startMs);
    expect(table.inUse(1, startMs + LEASE_MS - 1)).toBe(1);
    expect(table.inUse(1, startMs + LEASE_MS + GRID_MS)).toBe(0);
  }
});

type Step = { kind: "take" | "release" | "renew" | "pass"; pick: number };

test("PortTable agrees with a model of leases", () => {
  const steps = fc.array(
    fc.record({
      kind: fc.constantFrom<Step["kind"]>("take", "take", "release", "renew", "pass"),
      pick: fc.nat(1_000),
    }),
    { maxLength: 60 },
  );
  fc.assert(
    fc.property(steps, (script) => {
      const table = openTable(4);
      const ends = new Map<number, number>();
      const all: number[] = [];
      let nowMs = 0;
      const live = () => [...ends].filter(([, endMs]) => endMs > nowMs).length;
      for (const { kind, pick } of script) {
        const grant = all[pick % Math.max(1, all.length)] ?? 0;
        if (kind === "take") {
          const taken = table.take(1, nowMs, LEASE_MS);
          expect(taken !== undefined).toBe(live() < 4);
          if (taken !== undefined) {
            // A slot whose lease has run out is another's from now on.
            for (const [old] of ends) if (sameSlot(old, taken)) ends.delete(old);
            ends.set(taken, nowMs + LEASE_MS);
            all.push(taken);
          }
        } else if (kind === "release") {
          table.release(grant);
          ends.delete(grant);
        } else if (kind === "renew") {
          const renewed = table.renew(grant, nowMs, LEASE_MS);
          expect(renewed).toBe(ends.has(grant));
          if (renewed) ends.set(grant, nowMs + LEASE_MS);
        } else {
          // Whole steps of the grid, so that the model need not know it.
          nowMs += GRID_MS * (pick % 20);
        }
        expect(table.inUse(1, nowMs)).toBe(live());
      }
    }),
    { numRuns: 300 },
  );
});

function sameSlot(left: number, right: number): boolean {
  return left >>> 13 === right >>> 13;
}
