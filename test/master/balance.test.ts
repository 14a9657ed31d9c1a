/** The planner of balance: what it decides, and that following it ends well whatever lies where. */
import { expect, test } from "bun:test";
import fc from "fast-check";
import type { BalanceDisk } from "../../src/master/balance.ts";
import { chooseMove, decideBand, planBalance } from "../../src/master/balance.ts";
import { chooseSurplus } from "../../src/master/placement.ts";

function disk(number: number, heldBytes: number, freeBytes: number, zone = ""): BalanceDisk {
  const slots = { freeSlots: 1, slots: 1 };
  return { number, zone, labels: {}, heldBytes, freeBytes, isWritable: true, ...slots };
}

test("planBalance gives to an empty keeper what the others have more than the mean", () => {
  const plan = planBalance([disk(0, 40, 60), disk(1, 40, 60), disk(2, 0, 100)], 0.02);
  expect(plan.meanShare).toBeCloseTo(80 / 300);
  expect(plan.spread).toBeCloseTo(80 / 300);
  expect(plan.disks.map(({ moveBytes }) => moveBytes)).toEqual([-13, -13, 26]);
  expect(plan.moveBytes).toBe(26);
});

test("planBalance looks at shares, not at bytes", () => {
  expect(planBalance([disk(0, 10, 90), disk(1, 100, 900)], 0.02).moveBytes).toBe(0);
  // Keepers on one disk have the same free space, and differ by what they hold.
  const shared = planBalance([disk(0, 300, 500), disk(1, 0, 500)], 0.02);
  expect(shared.disks.map(({ moveBytes }) => moveBytes)).toEqual([-115, 115]);
});

test("planBalance moves nothing between keepers that are all within the band", () => {
  expect(planBalance([disk(0, 51, 49), disk(1, 49, 51)], 0.02).moveBytes).toBe(0);
  expect(planBalance([], 0.02)).toMatchObject({ spread: 0, moveBytes: 0, disks: [] });
  expect(planBalance([disk(0, 0, 0)], 0.02)).toMatchObject({ spread: 0, moveBytes: 0 });
});

test("decideBand begins late and ends late", () => {
  const wish = (spread: number, isRunning: boolean, isCommanded = false, threshold = 0.1) =>
    decideBand({ spread, isRunning, isCommanded, threshold });
  expect(wish(0.09, false)).toBeUndefined();
  expect(wish(0.11, false)).toBe(0.05);
  expect(wish(0.09, true)).toBe(0.05);
  expect(wish(0.05, true)).toBeUndefined();
  expect(wish(0.03, false, true)).toBe(0.02);
  expect(wish(0.02, true, true)).toBeUndefined();
  expect(wish(0.5, true, false, 0)).toBeUndefined();
  expect(wish(0.5, false, true, 0)).toBe(0.02);
});

test("chooseMove keeps keepers and zones apart, and what a policy wants", () => {
  const disks = [
    disk(0, 90, 10, "a"),
    disk(1, 50, 50, "b"),
    disk(2, 0, 100, "b"),
    disk(3, 0, 100, "a"),
  ];
  const plan = planBalance(disks, 0.02);
  const pick = (numbers: number[]) => disks.filter(({ number }) => numbers.includes(number));
  const move = (holders: number[], from: number, policy?: Record<string, string>) =>
    chooseMove({
      ...{ sizeBytes: 5, holders: pick(holders), from, takers: disks, plan },
      ...(policy === undefined ? {} : { policy: { require: policy, prefer: {} } }),
    });
  expect(move([0, 1], 0)).toBe(3);
  // It would leave both copies in one zone.
  expect(chooseMove({ sizeBytes: 5, holders: pick([0, 1]), from: 0, takers: pick([2]), plan }))
    .toBeUndefined();
  expect(move([0, 3], 0)).toBe(2);
  expect(move([0, 1], 0, { kind: "x" })).toBeUndefined();
  expect(move([2, 1], 2)).toBeUndefined();
});

test("chooseMove never takes a keeper past the mean", () => {
  const disks = [disk(0, 60, 40), disk(1, 40, 60)];
  const plan = planBalance(disks, 0.02);
  const move = (sizeBytes: number) =>
    chooseMove({ sizeBytes, holders: disks.slice(0, 1), from: 0, takers: disks, plan });
  expect(move(10)).toBe(1);
  expect(move(11)).toBeUndefined();
});

interface Chunk {
  sizeBytes: number;
  holders: number[];
}

/** Moves chunks as long as the planner finds any; returns the bytes moved. */
function follow(disks: BalanceDisk[], chunks: Chunk[], band: number): number {
  let moved = 0;
  for (let steps = 0; steps < 10_000; steps++) {
    const plan = planBalance(disks, band);
    if (plan.spread <= band) return moved;
    const step = findStep(disks, chunks, band);
    if (step === undefined) return moved;
    const { chunk, from, to } = step;
    const at = (number: number) => disks.find((each) => each.number === number) as BalanceDisk;
    for (const [number, delta] of [[from, -1], [to, 1]] as const) {
      at(number).heldBytes += delta * chunk.sizeBytes;
      at(number).freeBytes -= delta * chunk.sizeBytes;
    }
    chunk.holders = [...chunk.holders.filter((number) => number !== from), to];
    moved += chunk.sizeBytes;
  }
  throw new Error("it does not end");
}

function findStep(disks: BalanceDisk[], chunks: Chunk[], band: number) {
  const plan = planBalance(disks, band);
  for (const chunk of chunks) {
    const holders = disks.filter(({ number }) => chunk.holders.includes(number));
    for (const from of chunk.holders) {
      const request = { sizeBytes: chunk.sizeBytes, holders, from, takers: disks, plan };
      const to = chooseMove(request);
      if (to === undefined) continue;
      const taker = disks.filter(({ number }) => number === to);
      // What the trimmer would do with the copy too many.
      expect(chooseSurplus([...holders, ...taker])?.number).toBe(from);
      return { chunk, from, to };
    }
  }
  return undefined;
}

test("following the planner ends, moves no more than lay wrong, and keeps copies and zones", () => {
  const world = fc.record({
    disks: fc.array(
      fc.record({
        freeBytes: fc.integer({ min: 0, max: 400 }),
        zone: fc.constantFrom("a", "b", "c"),
      }),
      { minLength: 1, maxLength: 7 },
    ),
    chunks: fc.array(
      fc.record({
        sizeBytes: fc.integer({ min: 1, max: 20 }),
        holders: fc.uniqueArray(fc.nat({ max: 6 }), { minLength: 1, maxLength: 3 }),
      }),
      { maxLength: 40 },
    ),
    band: fc.constantFrom(0.01, 0.05, 0.2),
  });
  fc.assert(
    fc.property(world, ({ disks: rows, chunks: wanted, band }) => {
      const chunks = wanted.map(({ sizeBytes, holders }) => ({
        sizeBytes,
        holders: [...new Set(holders.map((number) => number % rows.length))],
      }));
      const disks = rows.map(({ freeBytes, zone }, number) => {
        const held = chunks.filter(({ holders }) => holders.includes(number));
        return disk(
          number,
          held.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0),
          freeBytes,
          zone,
        );
      });
      const before = planBalance(disks, band);
      const wrongBytes = before.disks.reduce(
        (sum, { lackBytes }) => sum + Math.max(0, lackBytes),
        0,
      );
      const zones = ({ holders }: Chunk) =>
        new Set(holders.map((number) => disks[number]?.zone)).size;
      const then = chunks.map((chunk) => ({ copies: chunk.holders.length, zones: zones(chunk) }));
      const moved = follow(disks, chunks, band);
      expect(moved).toBeLessThanOrEqual(wrongBytes + 1e-6);
      expect(planBalance(disks, band).spread).toBeLessThanOrEqual(before.spread + 1e-9);
      for (const [index, chunk] of chunks.entries()) {
        expect(new Set(chunk.holders).size).toBe(then[index]?.copies ?? 0);
        expect(zones(chunk)).toBeGreaterThanOrEqual(then[index]?.zones ?? 0);
      }
      // And so it stays: nothing swings back.
      expect(follow(disks, chunks, band)).toBe(0);
    }),
    { numRuns: 300 },
  );
});
