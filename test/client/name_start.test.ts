/** Names that begin alike, found without reading the whole directory. */
import { expect, test } from "bun:test";
import * as fc from "fast-check";
import { nameBefore } from "../../src/client/name_start.ts";

test("nameBefore is before all names that begin so, and behind what is clearly before", () => {
  expect(nameBefore("video")).toBe("viden\u{10ffff}");
  expect(nameBefore("")).toBeUndefined();
  expect(nameBefore("a0")).toBeUndefined();
});

test("nameBefore sorts by bytes before each name that begins so, and holds no slash", () => {
  const text = fc.string({ unit: "grapheme", minLength: 1, maxLength: 8 });
  fc.assert(fc.property(text, fc.string(), (start, rest) => {
    const before = nameBefore(start);
    if (before === undefined) return;
    expect(before.isWellFormed()).toBe(true);
    if (!start.includes("/")) expect(before).not.toInclude("/");
    const order = Buffer.compare(Buffer.from(before), Buffer.from(start + rest));
    expect(order).toBeLessThan(0);
  }));
});
