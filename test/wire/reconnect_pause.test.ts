/** Tries to reach NATS again, over clocks that are set. */
import { expect, test } from "bun:test";
import { reconnectPause } from "../../src/wire/reconnect_pause.ts";

test("reconnectPause is the same for ever, but for a clock that was set back", () => {
  const now = { wallMs: 1_000_000, monotonicMs: 50 };
  const clock = { wallMs: () => now.wallMs, monotonicMs: () => now.monotonicMs };
  const pause = reconnectPause(clock, 500);
  const pass = (ms: number) => {
    now.wallMs += ms;
    now.monotonicMs += ms;
  };
  expect(pause()).toBe(500);
  pass(10_000);
  expect(pause()).toBe(500);
  now.wallMs += 3_600_000;
  expect(pause()).toBe(500);
  now.wallMs -= 3_600_000;
  expect(Array.from({ length: 9 }, pause)).toEqual([...Array(8).fill(-Infinity), 500]);
  pass(500);
  expect(pause()).toBe(500);
});
