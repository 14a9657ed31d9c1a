/** Lines counted from either end of some bytes. */
import { expect, test } from "bun:test";
import * as fc from "fast-check";
import { parseAmount } from "../../src/cli/file_part.ts";
import { endOfLines } from "../../src/cli/head.ts";
import { startOfLastLines } from "../../src/cli/tail.ts";

const texts = fc.string({ unit: fc.constantFrom("a", "b", "\n"), maxLength: 12 });
const counts = fc.integer({ min: 1, max: 6 });

/** The lines of a text, each with its end; the last one may have none. */
function linesOf(text: string): string[] {
  return text.match(/[^\n]*\n|[^\n]+$/g) ?? [];
}

test("endOfLines ends where the first lines end", () => {
  fc.assert(fc.property(texts, counts, (text, count) => {
    const { end, lines } = endOfLines(Buffer.from(text), count);
    expect(text.slice(0, end)).toBe(linesOf(text).slice(0, count).join(""));
    expect(lines).toBe(Math.min(count, text.split("\n").length - 1));
  }));
});

test("startOfLastLines begins where the last lines begin", () => {
  fc.assert(fc.property(texts, counts, (text, count) => {
    const { start = 0 } = startOfLastLines(Buffer.from(text).subarray(0, -1), count);
    expect(text.slice(start)).toBe(linesOf(text).slice(-count).join(""));
  }));
});

test("startOfLastLines says how many line ends it has passed when there are too few", () => {
  expect(startOfLastLines(Buffer.from("a\nb\nc"), 5)).toEqual({ start: undefined, lines: 2 });
  expect(startOfLastLines(Buffer.from("\n\n"), 2)).toEqual({ start: 1, lines: 2 });
});

test("parseAmount is ten lines unless said otherwise", () => {
  expect(parseAmount({})).toEqual({ kind: "lines", count: 10 });
  expect(parseAmount({ lines: "0" })).toEqual({ kind: "lines", count: 0 });
  expect(parseAmount({ bytes: "64KiB" })).toEqual({ kind: "bytes", count: 65_536 });
});
