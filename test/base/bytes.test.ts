/** Sizes and durations: what people write is what they get. */
import { expect, test } from "bun:test";
import { formatDuration, formatSize, parseDuration, parseSize } from "../../src/base/bytes.ts";

const SIZES: [string, number | undefined][] = [
  ["0", 0],
  ["64MiB", 64 * 2 ** 20],
  ["1.5 GiB", 1.5 * 2 ** 30],
  ["2k", 2048],
  ["3MB", 3e6],
  ["", undefined],
  ["-1", undefined],
  ["1 elephant", undefined],
  ["1e9", undefined],
  ["99999999999999999999", undefined],
];

test.each(SIZES)("parseSize reads %p", (text, bytes) => {
  expect(parseSize(text)).toBe(bytes);
});

const DURATIONS: [string, number | undefined][] = [
  ["500ms", 500],
  ["3s", 3000],
  ["7", 7000],
  ["5m", 300_000],
  ["24h", 86_400_000],
  ["7d", 604_800_000],
  ["soon", undefined],
];

test.each(DURATIONS)("parseDuration reads %p", (text, ms) => {
  expect(parseDuration(text)).toBe(ms);
});

test("formatSize and formatDuration are short and plain", () => {
  expect([0, 1023, 1024, 1536, 64 * 2 ** 20, 5 * 2 ** 30].map(formatSize)).toEqual([
    "0 B",
    "1023 B",
    "1 KiB",
    "1.5 KiB",
    "64 MiB",
    "5 GiB",
  ]);
  expect([20, 999, 12_000, 185_000, 7_800_000, 90_000_000].map(formatDuration)).toEqual([
    "20 ms",
    "999 ms",
    "12 s",
    "3 min 5 s",
    "2 h 10 min",
    "1 d 1 h",
  ]);
});
