/** When a time left is told, and when there is nothing yet to tell it from. */
import { expect, test } from "bun:test";
import { formatTimeLeft } from "../../../src/cli/transfer/time_left.ts";

const PACE = { elapsedMs: 10_000, done: 500, left: 500, perMs: 0.05 };
const MINUTE_MS = 60_000;

for (
  const [name, changes, told] of [
    ["what goes on steadily", {}, "10 s left"],
    ["the first moments", { elapsedMs: 1_900 }, undefined],
    ["nothing left", { left: 0 }, undefined],
    ["less than a second", { left: 1 }, "1 s left"],
    ["an unknown pace", { perMs: undefined }, undefined],
    ["a standstill", { perMs: 0 }, undefined],
    ["less than 1 % done", { done: 4 }, undefined],
    ["less than 1 % in a minute", { done: 4, elapsedMs: MINUTE_MS }, "10 s left"],
    ["days told from nothing", { done: 4, elapsedMs: MINUTE_MS, left: 1e8 }, undefined],
    ["days with a basis", { done: 1e7, left: 1e8, perMs: 0.5 }, "2 d 7 h left"],
  ] as const
) {
  test(`formatTimeLeft of ${name} is ${told ?? "not told"}`, () => {
    expect(formatTimeLeft({ ...PACE, ...changes })).toBe(told);
  });
}
