/**
 * Counts of measured values in bounded memory, after HdrHistogram (Gil Tene, public domain): each
 * power of two is parted into equal buckets, so that any percentile is exact within 1 %, however
 * many values there were. Minimum and maximum are exact.
 */
import { assert } from "./assert.ts";

/** Buckets of one power of two: a value is known within 1 part in that many. */
const BUCKETS_PER_POWER = 128;
const POWER_BITS = 7;
/** Values at and above 2^40 share the last bucket: as microseconds, 12 days. */
const POWERS = 40 - POWER_BITS;

/** How far a percentile may be above the exact one, as a share of it. */
export const HISTOGRAM_ERROR_MAX: number = 1 / BUCKETS_PER_POWER;

export class Histogram {
  readonly #counts = new Float64Array(BUCKETS_PER_POWER * (POWERS + 1));
  #count = 0;
  #sum = 0;
  #min = Infinity;
  #max = 0;

  /** How many values there were. */
  get count(): number {
    return this.#count;
  }

  /** The smallest value; 0 when there was none. */
  get min(): number {
    return this.#count === 0 ? 0 : this.#min;
  }

  /** The largest value; 0 when there was none. */
  get max(): number {
    return this.#max;
  }

  /** The mean; 0 when there was no value. */
  get mean(): number {
    return this.#count === 0 ? 0 : this.#sum / this.#count;
  }

  /** Adds a value: a whole number from 0 on. */
  add(value: number): void {
    // Invariant: a time that ran backwards is a fault of the clock, and must not become a number.
    assert(Number.isInteger(value) && value >= 0, "a histogram counts whole numbers from 0 on");
    const bucket = bucketOf(value);
    this.#counts[bucket] = (this.#counts[bucket] ?? 0) + 1;
    this.#count++;
    this.#sum += value;
    this.#min = Math.min(this.#min, value);
    this.#max = Math.max(this.#max, value);
  }

  /**
   * The value that `share` of all values (0.99 for the 99th percentile) do not exceed: never below
   * the exact one, and above it by `HISTOGRAM_ERROR_MAX` at most. 0 when there was no value.
   */
  percentile(share: number): number {
    // Without the small term, 0.07 × 100 would be a little more than 7, and rank 8.
    const rank = Math.max(1, Math.ceil(share * this.#count - 1e-9));
    let seen = 0;
    for (const [bucket, count] of this.#counts.entries()) {
      seen += count;
      if (seen < rank) continue;
      // The last bucket has no end.
      if (bucket === this.#counts.length - 1) return this.#max;
      return Math.min(highestOf(bucket), this.#max);
    }
    return 0;
  }
}

/** Values below two times `BUCKETS_PER_POWER` have a bucket each. */
function bucketOf(value: number): number {
  const power = Math.max(0, Math.floor(Math.log2(Math.max(value, 1))) - POWER_BITS);
  const step = 2 ** power;
  const index = Math.floor(value / step) + power * BUCKETS_PER_POWER;
  return Math.min(index, BUCKETS_PER_POWER * (POWERS + 1) - 1);
}

/** The largest value of a bucket. */
function highestOf(bucket: number): number {
  const power = Math.max(0, Math.floor(bucket / BUCKETS_PER_POWER) - 1);
  const within = bucket - power * BUCKETS_PER_POWER;
  return (within + 1) * 2 ** power - 1;
}
