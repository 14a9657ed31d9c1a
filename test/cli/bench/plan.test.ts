/** What a bench is to do: flags, weights, bytes and the objects that are there. */
import { expect, test } from "bun:test";
import fc from "fast-check";
import { MIB } from "../../../src/base/bytes.ts";
import { seededRandom } from "../../../src/base/random.ts";
import {
  BytePool,
  chooseOperation,
  chooseWeighted,
  ObjectPool,
  parseMix,
  parseSizes,
} from "../../../src/cli/bench/plan.ts";

test("parseSizes and parseMix read values with weights", () => {
  expect(parseSizes("4KiB, 1MiB=3")).toEqual([
    { value: 4096, weight: 1 },
    { value: MIB, weight: 3 },
  ]);
  expect(parseMix("put=30,get")).toEqual([
    { value: "put", weight: 30 },
    { value: "get", weight: 1 },
  ]);
});

test.each(["", "big", "1MiB=", "1MiB=-1", "1MiB=1=2", "1MiB=0", "5GiB", "1MiB,,"])(
  "parseSizes refuses %p",
  (text) => expect(() => parseSizes(text)).toThrow(/^Cannot use .* for --sizes: give sizes up to/),
);

test.each(["", "copy=3", "put=x", "put=0,get=0"])(
  "parseMix refuses %p",
  (text) => expect(() => parseMix(text)).toThrow(/^Cannot use .* for --mix: give operations/),
);

test("chooseWeighted keeps the proportions, and never takes what weighs nothing", () => {
  const random = seededRandom(7);
  const values = [{ value: "a", weight: 1 }, { value: "b", weight: 0 }, { value: "c", weight: 3 }];
  const counts: Record<string, number> = {};
  for (let draw = 0; draw < 4000; draw++) {
    const value = chooseWeighted(values, random) ?? "";
    counts[value] = (counts[value] ?? 0) + 1;
  }
  expect(Object.keys(counts).sort()).toEqual(["a", "c"]);
  expect(counts["a"]).toBeWithin(850, 1150);
});

test("chooseOperation puts when there is no object", () => {
  const random = seededRandom(1);
  expect(chooseOperation(parseMix("get"), 0, random)).toBe("put");
  expect(chooseOperation(parseMix("get"), 1, random)).toBe("get");
});

test("BytePool gives objects that differ, and the same bytes each time", () => {
  const pool = new BytePool(2 * MIB, seededRandom(3));
  const objects = Array.from({ length: 20 }, () => pool.object(2 * MIB));
  const hashes = objects.map((object) => Bun.hash.xxHash3(object.slice(0, 2 * MIB)));
  expect(new Set(hashes).size).toBe(20);
  for (const [index, object] of objects.entries()) {
    expect(Bun.hash.xxHash3(object.slice(0, 2 * MIB))).toBe(hashes[index] ?? 0n);
    expect(object.slice(MIB, 2 * MIB)).toHaveLength(MIB);
  }
});

test("BytePool gives pieces of objects that are larger than what it holds", () => {
  const pool = new BytePool(200 * MIB, seededRandom(3));
  const object = pool.object(200 * MIB);
  const [first, second] = [object.slice(0, MIB), object.slice(64 * MIB, 65 * MIB)];
  expect(object.slice(192 * MIB, 200 * MIB)).toHaveLength(8 * MIB);
  expect(Buffer.compare(first, second)).not.toBe(0);
});

test("ObjectPool never gives away for removal what someone reads, nor the same twice", () => {
  const step = fc.oneof(
    fc.constant("add" as const),
    fc.constant("borrow" as const),
    fc.constant("release" as const),
    fc.constant("take" as const),
  );
  fc.assert(fc.property(fc.array(step, { maxLength: 200 }), fc.nat(), (steps, seed) => {
    const random = seededRandom(seed);
    const pool = new ObjectPool();
    const there = new Set<string>();
    const borrowed: string[] = [];
    for (const [index, what] of steps.entries()) {
      if (what === "add") {
        pool.add(`o${index}`);
        there.add(`o${index}`);
      } else if (what === "borrow") {
        const path = pool.borrow(random);
        expect(path === undefined).toBe(there.size === 0);
        if (path !== undefined) borrowed.push(path);
      } else if (what === "release") {
        const path = borrowed.pop();
        if (path !== undefined) pool.release(path);
      } else {
        const path = pool.take(random);
        if (path === undefined) continue;
        expect(borrowed).not.toContain(path);
        expect(there.delete(path)).toBe(true);
      }
      expect(pool.size).toBe(there.size);
    }
  }));
});
