/** What is to go wrong and when, from the seed alone: the same seed gives the same plan. */
import type { Random } from "../../../src/base/random.ts";
import { randomInt } from "../../../src/base/random.ts";

/** One fault to come. */
export interface PlannedFault {
  atMs: number;
  kind: string;
  /** How long it lasts, if it lasts. */
  forMs: number;
  /** The seed of its own choices. */
  seed: number;
}

/** How often a kind of fault comes, relative to the others. */
export type Weights = readonly (readonly [kind: string, weight: number])[];

/** The pause between two faults, on average. */
const GAP_MS = 1_500;
const SHORTEST_MS = 300;
const LONGEST_MS = 9_000;

/** The faults of one round of `roundMs`; the last ones end before it does. */
export function planFaults(random: Random, weights: Weights, roundMs: number): PlannedFault[] {
  const faults: PlannedFault[] = [];
  const sum = weights.reduce((total, [, weight]) => total + weight, 0);
  for (let atMs = 1_000;;) {
    atMs += Math.ceil(-Math.log(1 - random.next()) * GAP_MS);
    const kind = kindAt(weights, random.next() * sum);
    // Most are short, some are long enough for a keeper to be declared dead.
    const forMs = Math.floor(SHORTEST_MS + random.next() ** 2 * (LONGEST_MS - SHORTEST_MS));
    const seed = randomInt(random, 2 ** 32);
    if (atMs >= roundMs) return faults;
    faults.push({ atMs, kind, forMs, seed });
  }
}

function kindAt(weights: Weights, at: number): string {
  let left = at;
  for (const [kind, weight] of weights) {
    left -= weight;
    if (left < 0) return kind;
  }
  return weights[0]?.[0] ?? "";
}
