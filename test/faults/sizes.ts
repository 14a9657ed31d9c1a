/** How large files are: mostly small, some of several chunks, rarely as large as allowed. */
import type { Random } from "../../src/base/random.ts";

const KIB = 2 ** 10;
const MIB = 2 ** 20;

/** Shares of all files, and the sizes between which they lie. */
const CLASSES: readonly (readonly [share: number, from: number, to: number])[] = [
  [0.06, 0, 0],
  [0.44, 1, 64 * KIB],
  [0.05, MIB, MIB],
  [0.25, 64 * KIB, 2 * MIB],
  [0.15, 2 * MIB, 24 * MIB],
  [0.045, 24 * MIB, 80 * MIB],
  [0.005, 80 * MIB, 300 * MIB],
];

/** The same of files that are put together, all of them small enough for a pack. */
const TOGETHER: typeof CLASSES = [
  [0.12, 0, 0],
  [0.6, 1, 64 * KIB],
  [0.28, 64 * KIB, 900 * KIB],
];

/** The size of a file that is put together with others. */
export function chooseSmallSize(random: Random): number {
  return chooseOf(TOGETHER, random, MIB - 1);
}

/** The size of a new file, at most `maxBytes`. */
export function chooseSize(random: Random, maxBytes: number): number {
  return chooseOf(CLASSES, random, maxBytes);
}

function chooseOf(classes: typeof CLASSES, random: Random, maxBytes: number): number {
  let at = random.next();
  for (const [share, from, to] of classes) {
    at -= share;
    if (at >= 0) continue;
    const sizeBytes = Math.floor(from + random.next() * (to - from));
    return sizeBytes <= maxBytes ? sizeBytes : Math.floor(random.next() * maxBytes);
  }
  return 0;
}
