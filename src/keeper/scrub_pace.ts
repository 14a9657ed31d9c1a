/**
 * The pace of a scrub, pure. Ids are random, so a scrub goes through them like the hand of a clock:
 * what lands anywhere is read within one turn, however much there is.
 */

/** Greater than every id: where a pass ends. */
export const END = "g";

/** The part of the period that a pass takes: the rest is a margin for late starts. */
export const PASS_SHARE = 0.9;

const DIGITS = 8;
const SPAN = 16 ** DIGITS;

/** How far through all ids a position is: 0 to 1. */
export function fractionOf(position: string): number {
  if (position === "") return 0;
  if (position >= END) return 1;
  return parseInt(position.slice(0, DIGITS), 16) / SPAN;
}

/**
 * Where the hand stands: it was at `from` and goes evenly to the end in `spanMs`, of which
 * `passedMs` are over.
 */
export function handAt(from: string, spanMs: number, passedMs: number): string {
  if (passedMs >= spanMs) return END;
  const start = fractionOf(from);
  const fraction = start + (1 - start) * passedMs / spanMs;
  const digits = Math.min(SPAN - 1, Math.floor(fraction * SPAN)).toString(16);
  return digits.padStart(DIGITS, "0").padEnd(32, "0");
}

/**
 * The rest after `bytes` that took `tookMs` to read: as the limit says (0: none), and twice as long
 * while others want the disk.
 */
export function restMs(
  bytes: number,
  tookMs: number,
  limits: { bytesPerSecond: number; isWanted: boolean },
): number {
  const { bytesPerSecond, isWanted } = limits;
  const dueMs = bytesPerSecond === 0 ? 0 : 1000 * bytes / bytesPerSecond;
  const wholeMs = isWanted ? 2 * Math.max(dueMs, tookMs) : dueMs;
  return Math.max(0, wholeMs - tookMs);
}
