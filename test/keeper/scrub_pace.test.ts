/** The pace of a scrub: like the hand of a clock, and never faster than it may. */
import { expect, test } from "bun:test";
import fc from "fast-check";
import { END, fractionOf, handAt, restMs } from "../../src/keeper/scrub_pace.ts";

test("handAt goes evenly from where it was to the end, and never back", () => {
  const position = fc.oneof(
    fc.constant(""),
    fc.stringMatching(/^[0-9a-f]{32}$/),
  );
  const times = fc.array(fc.nat(1_000_000), { minLength: 2, maxLength: 9 });
  fc.assert(
    fc.property(position, fc.integer({ min: 1, max: 1_000_000 }), times, (from, span, at) => {
      const hands = at.sort((left, right) => left - right).map((ms) => handAt(from, span, ms));
      for (const [index, hand] of hands.entries()) {
        expect(hand >= (hands[index - 1] ?? "")).toBe(true);
        expect(fractionOf(hand) >= fractionOf(from)).toBe(true);
        expect(hand === END).toBe((at[index] ?? 0) >= span);
      }
    }),
  );
  expect(handAt("", 1000, 500)).toBe("8".padEnd(32, "0"));
  expect(handAt("8".padEnd(32, "0"), 1000, 500)).toBe("c".padEnd(32, "0"));
  expect(handAt("f".repeat(32), 1000, 0)).toStartWith("ffffffff");
  expect(handAt("", 0, 0)).toBe(END);
  expect([fractionOf(""), fractionOf(END)]).toEqual([0, 1]);
});

test("restMs keeps to the limit, and leaves half of the disk to others", () => {
  const table: [bytes: number, tookMs: number, limit: number, isWanted: boolean, rest: number][] = [
    [1000, 10, 0, false, 0],
    [1000, 10, 10_000, false, 90],
    [1000, 200, 10_000, false, 0],
    [1000, 10, 0, true, 10],
    [1000, 10, 10_000, true, 190],
    [1000, 200, 10_000, true, 200],
  ];
  for (const [bytes, tookMs, bytesPerSecond, isWanted, rest] of table) {
    expect(restMs(bytes, tookMs, { bytesPerSecond, isWanted })).toBe(rest);
  }
});
