/** What becomes of a pack whose files want different things. */
import { expect, test } from "bun:test";
import fc from "fast-check";
import type { PackedWish } from "../../src/catalog/pack_reader.ts";
import { planParting } from "../../src/master/parting_plan.ts";

const files = fc.array(
  fc.record({
    chunkOffset: fc.nat(5).map((n) => n * 10),
    length: fc.constantFrom(0, 5, 10),
    inode: fc.nat(1_000),
    goal: fc.constantFrom(2, 3),
    policy: fc.nat(2),
    trashed: fc.constantFrom(0, 0, 0, 1),
  }),
  { maxLength: 30 },
);

const wishOf = ({ goal, policy }: { goal: number; policy: number }) => `${goal} ${policy}`;

test("planParting takes out all kinds but the largest, each place of each once", () => {
  fc.assert(fc.property(files, fc.boolean(), (list: PackedWish[], isWhole) => {
    const named = list.filter(({ trashed }) => trashed === 0);
    const kinds = new Set(named.map(wishOf));
    const plan = planParting(list, isWhole);
    const groups = plan.kind === "split" ? plan.groups : [];
    expect(plan.kind === "agreed").toBe(kinds.size <= (isWhole ? 1 : 0));
    expect(groups).toHaveLength(isWhole ? Math.max(0, kinds.size - 1) : kinds.size);
    expect(new Set(groups.map(wishOf)).size).toBe(groups.length);
    const sizes = new Map<string, number>();
    for (const kind of kinds) {
      const places = new Map(
        named.filter((file) => wishOf(file) === kind)
          .map(({ chunkOffset, length }) => [`${chunkOffset} ${length}`, length]),
      );
      const bytes = [...places.values()].reduce((sum, length) => sum + length, 0);
      sizes.set(kind, bytes);
      const group = groups.find((each) => wishOf(each) === kind);
      if (group === undefined) continue;
      expect(group.bytes).toBe(bytes);
      const taken = group.places.map(({ chunkOffset, length }) => `${chunkOffset} ${length}`);
      expect(taken.sort()).toEqual([...places.keys()].sort());
    }
    const moved = groups.map(wishOf);
    const [stays] = [...kinds].filter((kind) => !moved.includes(kind));
    if (stays === undefined) return;
    for (const size of sizes.values()) expect(sizes.get(stays)).toBeGreaterThanOrEqual(size);
  }));
});
