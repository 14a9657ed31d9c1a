/** The report of a bench, exactly. */
import { expect, test } from "bun:test";
import { MIB } from "../../../src/base/bytes.ts";
import type { BenchResult } from "../../../src/cli/bench/report.ts";
import {
  benchJson,
  formatBench,
  formatBenchProgress,
  formatLatency,
  newTallies,
} from "../../../src/cli/bench/report.ts";

function someResult(): BenchResult {
  const tallies = newTallies();
  for (let ms = 1; ms <= 100; ms++) {
    tallies.get.add({ elapsedMs: ms, bytes: MIB, firstByteMs: ms / 2 });
  }
  tallies.put.add({ elapsedMs: 1500, bytes: 2 * MIB });
  tallies.put.fail("busy");
  tallies.put.fail("busy");
  tallies.delete.fail("timeout");
  const facts = { prefix: "/b", clients: 4, objects: 10, elapsedMs: 10_000 };
  return { ...facts, interrupted: false, tallies, kept: false };
}

test("formatBench is a table of what was done, with errors by code", () => {
  expect(formatBench({ ...someResult(), kept: true })).toEqual([
    "4 clients · 10.0 s · 101 operations",
    "",
    "            OPS  OPS/S  MiB/S  ERRORS      P50      P90      P99    P99.9      MAX",
    "put           1    0.1    0.2       2   1.50 s   1.50 s   1.50 s   1.50 s   1.50 s",
    "get         100   10.0   10.0       0  50.2 ms  90.1 ms  99.3 ms   100 ms   100 ms",
    "delete        0    0.0      -       1        -        -        -        -        -",
    "first byte                             25.1 ms  45.1 ms  49.7 ms  50.0 ms  50.0 ms",
    "",
    "Errors: put: 2 × busy, delete: 1 × timeout",
    "",
    "The objects are left in /b",
  ]);
});

test("benchJson adds up", () => {
  const json = benchJson(someResult());
  expect(json).toMatchObject({
    prefix: "/b",
    clients: 4,
    elapsedMs: 10_000,
    ops: 101,
    errors: 3,
    bytes: 102 * MIB,
    opsPerS: 10.1,
    operations: {
      put: { ops: 1, bytes: 2 * MIB, errors: { busy: 2 }, latencyMs: { max: 1500 } },
      get: { ops: 100, errors: {}, latencyMs: { min: 1, max: 100 }, firstByteMs: { max: 50 } },
      stat: { ops: 0, latencyMs: null },
      delete: { ops: 0, errors: { timeout: 1 } },
    },
  });
  expect(JSON.parse(JSON.stringify(json))).toEqual(json);
});

test("formatBenchProgress is one line", () => {
  const { tallies } = someResult();
  expect(formatBenchProgress(tallies, 10_000, 5_000)).toBe(
    "5 s left · 10 ops/s · put 205 KiB/s · get 10 MiB/s · 3 errors",
  );
  expect(formatBenchProgress(newTallies(), 0, undefined)).toBe(
    "warming up · 0 ops/s · put 0 B/s · get 0 B/s",
  );
});

test("formatLatency shows three digits", () => {
  expect([0.854, 9.994, 12.34, 99.94, 123.4, 1234].map(formatLatency)).toEqual([
    ...["0.85 ms", "9.99 ms", "12.3 ms", "99.9 ms", "123 ms", "1.23 s"],
  ]);
});
