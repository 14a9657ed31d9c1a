/** Percentiles of a histogram, against those of the sorted values. */
import { expect, test } from "bun:test";
import fc from "fast-check";
import { Histogram, HISTOGRAM_ERROR_MAX } from "../../src/base/histogram.ts";

const SHARES = [0, 0.01, 0.07, 0.5, 0.9, 0.99, 0.999, 1];

function histogramOf(values: readonly number[]): Histogram {
  const histogram = new Histogram();
  for (const value of values) histogram.add(value);
  return histogram;
}

test("Histogram without values is all zero", () => {
  const { count, min, max, mean } = new Histogram();
  expect([count, min, max, mean, new Histogram().percentile(0.5)]).toEqual([0, 0, 0, 0, 0]);
});

test("percentile of small values is exact", () => {
  const histogram = histogramOf(Array.from({ length: 100 }, (_, index) => index + 1));
  expect(SHARES.map((share) => histogram.percentile(share))).toEqual([
    1,
    1,
    7,
    50,
    90,
    99,
    100,
    100,
  ]);
});

test("percentile is never below the exact one, and above it by the error at most", () => {
  const value = fc.oneof(fc.nat(300), fc.nat(2 ** 31 - 1), fc.integer({ min: 0, max: 2 ** 39 }));
  fc.assert(
    fc.property(fc.array(value, { minLength: 1, maxLength: 500 }), (values) => {
      const histogram = histogramOf(values);
      const sorted = values.toSorted((a, b) => a - b);
      for (const share of SHARES) {
        const rank = Math.max(1, Math.ceil(share * values.length - 1e-9));
        const exact = sorted[rank - 1] ?? 0;
        const found = histogram.percentile(share);
        expect(found).toBeGreaterThanOrEqual(exact);
        expect(found).toBeLessThanOrEqual(exact * (1 + HISTOGRAM_ERROR_MAX));
      }
      expect(histogram.count).toBe(values.length);
      expect(histogram.min).toBe(sorted[0] ?? 0);
      expect(histogram.max).toBe(sorted.at(-1) ?? 0);
    }),
  );
});

test("Histogram takes values beyond its last bucket", () => {
  const histogram = histogramOf([2 ** 41, 2 ** 50]);
  expect(histogram.max).toBe(2 ** 50);
  expect(histogram.percentile(1)).toBe(2 ** 50);
});
