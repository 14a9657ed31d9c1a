/** Ranges of bytes as people write them. */
import { expect, test } from "bun:test";
import { parseRange } from "../../src/cli/cat.ts";

test("parseRange takes what curl -r takes, and units", () => {
  expect(parseRange("0-0")).toEqual({ offset: 0, length: 1 });
  expect(parseRange("10-19")).toEqual({ offset: 10, length: 10 });
  expect(parseRange("10-")).toEqual({ offset: 10 });
  expect(parseRange("-10")).toEqual({ offset: -10 });
  expect(parseRange("-0")).toEqual({ offset: 0, length: 0 });
  expect(parseRange("1KiB-")).toEqual({ offset: 1024 });
  expect(parseRange("-1MiB")).toEqual({ offset: -(2 ** 20) });
});

for (const text of ["", "-", "5", "5-4", "a-b", "1-2-3", "--5", "1.x-"]) {
  test(`parseRange refuses "${text}"`, () => {
    expect(() => parseRange(text)).toThrow(`Cannot use "${text}" for --range`);
  });
}
