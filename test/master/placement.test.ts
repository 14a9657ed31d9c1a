/** Placement: what must hold for every choice, whatever the keepers are like. */
import { expect, test } from "bun:test";
import fc from "fast-check";
import { seededRandom } from "../../src/base/random.ts";
import type { Candidate, PlacementRequest } from "../../src/master/placement.ts";
import { choosePlacement, chooseSurplus, fits } from "../../src/master/placement.ts";

const candidates: fc.Arbitrary<Candidate[]> = fc.uniqueArray(
  fc.record({
    number: fc.nat(30),
    zone: fc.constantFrom("", "z1", "z2", "z3"),
    freeBytes: fc.nat(200),
    freeSlots: fc.nat(3),
    slots: fc.constant(4),
  }),
  { selector: ({ number }) => number, maxLength: 12 },
);

const requests: fc.Arbitrary<PlacementRequest> = fc.record({
  candidates,
  goal: fc.integer({ min: 1, max: 5 }),
  minCopies: fc.integer({ min: 1, max: 5 }),
  sizeBytes: fc.nat(150),
  avoid: fc.array(fc.nat(30), { maxLength: 6 }).map((numbers) => new Set(numbers)),
}).map((request) => ({ ...request, minCopies: Math.min(request.minCopies, request.goal) }));

function check(property: (request: PlacementRequest, seed: number) => void): void {
  fc.assert(fc.property(requests, fc.nat(), property), { numRuns: 1_000 });
}

test("choosePlacement chooses distinct keepers with room and a free slot", () => {
  check((request, seed) => {
    const placement = choosePlacement(request, seededRandom(seed));
    if (placement.kind !== "placed") return;
    const numbers = placement.keepers.map(({ number }) => number);
    expect(new Set(numbers).size).toBe(numbers.length);
    expect(numbers.length).toBeGreaterThanOrEqual(request.minCopies);
    expect(numbers.length).toBeLessThanOrEqual(request.goal);
    for (const keeper of placement.keepers) {
      expect(keeper.freeBytes).toBeGreaterThanOrEqual(request.sizeBytes);
      expect(keeper.freeSlots).toBeGreaterThan(0);
      expect(request.candidates).toContain(keeper);
    }
  });
});

test("choosePlacement takes keepers to be avoided only where the least copies need them", () => {
  check((request, seed) => {
    const placement = choosePlacement(request, seededRandom(seed));
    if (placement.kind !== "placed") return;
    const { avoid, minCopies } = request;
    const avoided = placement.keepers.filter(({ number }) => avoid.has(number)).length;
    if (avoided > 0) expect(placement.keepers.length).toBe(minCopies);
  });
});

test("choosePlacement doubles a zone only when no other has a keeper left", () => {
  check((request, seed) => {
    const willing = { ...request, avoid: new Set<number>() };
    const placement = choosePlacement(willing, seededRandom(seed));
    if (placement.kind !== "placed") return;
    const usable = request.candidates.filter(({ freeBytes, freeSlots }) =>
      freeBytes >= request.sizeBytes && freeSlots > 0
    );
    const zones = new Set(usable.map(({ zone }) => zone)).size;
    const used = new Set(placement.keepers.map(({ zone }) => zone)).size;
    expect(used).toBe(Math.min(zones, placement.keepers.length));
  });
});

test("choosePlacement tells why there is no place", () => {
  check((request, seed) => {
    const placement = choosePlacement(request, seededRandom(seed));
    const roomy = request.candidates.filter(({ freeBytes }) => freeBytes >= request.sizeBytes);
    const ready = roomy.filter(({ freeSlots }) => freeSlots > 0);
    const { minCopies } = request;
    const expected = request.candidates.length < minCopies
      ? "no-keepers"
      : roomy.length < minCopies
      ? "no-space"
      : ready.length < minCopies
      ? "busy"
      : "placed";
    expect(placement.kind).toBe(expected);
  });
});

test("choosePlacement prefers the emptier and the less loaded", () => {
  const base = { zone: "", slots: 10 };
  const roomy = { ...base, number: 1, freeBytes: 900, freeSlots: 10 };
  const full = { ...base, number: 2, freeBytes: 100, freeSlots: 10 };
  const loaded = { ...base, number: 3, freeBytes: 900, freeSlots: 1 };
  const random = seededRandom(3);
  const wins = new Map<number, number>();
  for (let round = 0; round < 1_000; round++) {
    const request = { candidates: [full, loaded, roomy], goal: 1, minCopies: 1, sizeBytes: 1 };
    const placement = choosePlacement({ ...request, avoid: new Set() }, random);
    if (placement.kind !== "placed") throw new Error("No place");
    const number = placement.keepers[0]?.number ?? 0;
    wins.set(number, (wins.get(number) ?? 0) + 1);
  }
  expect(wins.get(1)).toBeGreaterThan(600);
  expect(wins.get(2)).toBeLessThan(200);
  expect(wins.get(3)).toBeLessThan(300);
});

test("chooseSurplus keeps zones apart, then empties the fullest", () => {
  const keeper = (number: number, zone: string, freeBytes: number): Candidate => {
    return { number, zone, freeBytes, freeSlots: 1, slots: 1 };
  };
  const table: [Candidate[], number][] = [
    [[keeper(1, "a", 5), keeper(2, "b", 3), keeper(3, "c", 9)], 2],
    [[keeper(1, "a", 5), keeper(2, "b", 3), keeper(3, "a", 9)], 1],
    [[keeper(1, "", 5), keeper(2, "", 3)], 2],
  ];
  for (const [holders, victim] of table) expect(chooseSurplus(holders)?.number).toBe(victim);
});

test("fits counts a keeper for one copy of each byte only", () => {
  const keeper = (freeBytes: number): Candidate => {
    return { number: freeBytes, zone: "", freeBytes, freeSlots: 1, slots: 1 };
  };
  expect(fits([keeper(100), keeper(100)], 2, 100)).toBe(true);
  expect(fits([keeper(1_000), keeper(99)], 2, 100)).toBe(false);
  expect(fits([keeper(1_000), keeper(50), keeper(50)], 2, 100)).toBe(true);
  expect(fits([], 1, 0)).toBe(true);
});
