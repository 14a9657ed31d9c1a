/** Placement: what must hold for every choice, whatever the keepers are like. */
import { expect, test } from "bun:test";
import fc from "fast-check";
import { seededRandom } from "../../src/base/random.ts";
import type { Candidate, PlacementRequest } from "../../src/master/placement.ts";
import { hasLabels } from "../../src/wire/labels.ts";
import { choosePlacement, chooseSurplus, fits } from "../../src/master/placement.ts";

const candidates: fc.Arbitrary<Candidate[]> = fc.uniqueArray(
  fc.record({
    number: fc.nat(30),
    zone: fc.constantFrom("", "z1", "z2", "z3"),
    labels: fc.record({
      kind: fc.constantFrom("video", "other"),
      disk: fc.constantFrom("ssd", "hdd"),
    }),
    freeBytes: fc.nat(200),
    freeSlots: fc.nat(3),
    slots: fc.constant(4),
  }),
  { selector: ({ number }) => number, maxLength: 12 },
);

const wishes: fc.Arbitrary<Record<string, string>> = fc.constantFrom(
  ...[{}, { kind: "video" }, { disk: "ssd" }, { kind: "video", disk: "hdd" }, { rack: "1" }],
) as fc.Arbitrary<Record<string, string>>;

/** The keepers that a policy allows at all. */
function allowed({ candidates, policy }: PlacementRequest): Candidate[] {
  return candidates.filter(({ labels }) => hasLabels(labels, policy?.require ?? {}));
}

const requests: fc.Arbitrary<PlacementRequest> = fc.record({
  candidates,
  goal: fc.integer({ min: 1, max: 5 }),
  minCopies: fc.integer({ min: 1, max: 5 }),
  sizeBytes: fc.nat(150),
  avoid: fc.array(fc.nat(30), { maxLength: 6 }).map((numbers) => new Set(numbers)),
  policy: fc.option(fc.record({ require: wishes, prefer: wishes }), { nil: undefined }),
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
    const usable = allowed(request).filter(({ freeBytes, freeSlots }) =>
      freeBytes >= request.sizeBytes && freeSlots > 0
    );
    const isPreferred = ({ labels }: Candidate) => hasLabels(labels, request.policy?.prefer ?? {});
    const zonesOf = (keepers: Candidate[]) => new Set(keepers.map(({ zone }) => zone)).size;
    const preferred = placement.keepers.filter(isPreferred);
    const best = Math.min(zonesOf(usable.filter(isPreferred)), preferred.length);
    expect(zonesOf(preferred)).toBe(best);
    // With no preferred one among them, the rest must be spread just as well.
    if (preferred.length > 0) return;
    expect(zonesOf(placement.keepers)).toBe(Math.min(zonesOf(usable), placement.keepers.length));
  });
});

test("choosePlacement never takes a keeper outside the policy", () => {
  check((request, seed) => {
    const placement = choosePlacement(request, seededRandom(seed));
    if (placement.kind !== "placed") return;
    for (const keeper of placement.keepers) expect(allowed(request)).toContain(keeper);
  });
});

test("choosePlacement takes all preferred keepers that are ready before any other", () => {
  check((request, seed) => {
    const willing = { ...request, avoid: new Set<number>() };
    const placement = choosePlacement(willing, seededRandom(seed));
    if (placement.kind !== "placed") return;
    const isPreferred = ({ labels }: Candidate) => hasLabels(labels, request.policy?.prefer ?? {});
    const ready = allowed(request).filter(({ freeBytes, freeSlots }) =>
      freeBytes >= request.sizeBytes && freeSlots > 0
    );
    const chosen = placement.keepers.filter(isPreferred).length;
    expect(chosen).toBe(Math.min(ready.filter(isPreferred).length, placement.keepers.length));
  });
});

test("choosePlacement tells why there is no place", () => {
  check((request, seed) => {
    const placement = choosePlacement(request, seededRandom(seed));
    const roomy = allowed(request).filter(({ freeBytes }) => freeBytes >= request.sizeBytes);
    const ready = roomy.filter(({ freeSlots }) => freeSlots > 0);
    const { minCopies } = request;
    const expected = allowed(request).length < minCopies
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
  const base = { zone: "", labels: {}, slots: 10 };
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
    return { number, zone, labels: {}, freeBytes, freeSlots: 1, slots: 1 };
  };
  const table: [Candidate[], number][] = [
    [[keeper(1, "a", 5), keeper(2, "b", 3), keeper(3, "c", 9)], 2],
    [[keeper(1, "a", 5), keeper(2, "b", 3), keeper(3, "a", 9)], 1],
    [[keeper(1, "", 5), keeper(2, "", 3)], 2],
  ];
  for (const [holders, victim] of table) expect(chooseSurplus(holders)?.number).toBe(victim);
});

test("chooseSurplus gives up what the policy forbids, then what it would rather not have", () => {
  const keeper = (number: number, labels: Record<string, string>, zone = "a"): Candidate => {
    return { number, zone, labels, freeBytes: 100 - number, freeSlots: 1, slots: 1 };
  };
  const [video, ssd, other] = [{ kind: "video" }, { kind: "video", disk: "ssd" }, {}];
  const policy = { require: { kind: "video" }, prefer: { disk: "ssd" } };
  const table: [Candidate[], number][] = [
    [[keeper(1, other, "b"), keeper(2, ssd), keeper(3, video), keeper(4, ssd)], 1],
    [[keeper(1, video, "b"), keeper(2, ssd), keeper(3, ssd)], 1],
    [[keeper(1, ssd), keeper(2, ssd, "b"), keeper(3, ssd)], 3],
    [[keeper(1, other), keeper(2, other, "b"), keeper(3, other)], 3],
  ];
  for (const [holders, victim] of table) {
    expect(chooseSurplus(holders, policy)?.number).toBe(victim);
  }
});

test("fits counts a keeper for one copy of each byte only", () => {
  const keeper = (freeBytes: number): Candidate => {
    return { number: freeBytes, zone: "", labels: {}, freeBytes, freeSlots: 1, slots: 1 };
  };
  expect(fits([keeper(100), keeper(100)], 2, 100)).toBe(true);
  expect(fits([keeper(1_000), keeper(99)], 2, 100)).toBe(false);
  expect(fits([keeper(1_000), keeper(50), keeper(50)], 2, 100)).toBe(true);
  expect(fits([], 1, 0)).toBe(true);
});
