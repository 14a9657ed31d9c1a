/**
 * Where copies go: pure choices over a snapshot of the keepers. Distinct keepers always, and only
 * those that a rule allows; those that it prefers first; distinct zones as far as they reach, more
 * often those with more free space and less load.
 */
import { must } from "../base/assert.ts";
import type { Random } from "../base/random.ts";
import type { PolicyFacts } from "../catalog/operation.ts";
import { hasLabels, type Labels } from "../wire/labels.ts";

/** A keeper that is alive and can be written, as placement sees it. */
export interface Candidate {
  number: number;
  /** Its `zone` label; keepers without one share the zone "". */
  zone: string;
  labels: Labels;
  freeBytes: number;
  /** Bytes of chunks that it holds, where that matters to the choice. */
  heldBytes?: number;
  /** It is being emptied. */
  draining?: boolean;
  /** Streams that its ports have room for now, and in all. */
  freeSlots: number;
  slots: number;
}

/** What a keeper has of chunks, and room for. */
export type DiskUse = Pick<Candidate, "heldBytes" | "freeBytes">;

export interface PlacementRequest {
  /** Keepers that are alive and not read-only. */
  candidates: readonly Candidate[];
  /** Copies wanted, and copies without which it is not worth beginning. */
  goal: number;
  minCopies: number;
  sizeBytes: number;
  /**
   * Keepers that have just failed the client: taken only where `minCopies` can't be had without.
   */
  avoid: ReadonlySet<number>;
  /** Keepers that count as chosen already (not in `candidates`). */
  held?: readonly Candidate[];
  /** What a rule wants of the keepers. */
  policy?: PolicyFacts | undefined;
}

export type Placement =
  /**
   * `keepers`: `goal` less those held, fewer when there are no more, but with those held
   * `minCopies` at least.
   */
  | { kind: "placed"; keepers: Candidate[] }
  | { kind: "busy"; retryAfterMs: number }
  /** `alive`: those that the policy allows. */
  | { kind: "no-keepers"; alive: number; needed: number }
  | { kind: "no-space"; needed: number };

const RETRY_MIN_MS = 100;
const RETRY_SPREAD_MS = 200;

/** Chooses keepers for one chunk. */
export function choosePlacement(request: PlacementRequest, random: Random): Placement {
  const { goal, minCopies, sizeBytes, avoid, policy, held = [] } = request;
  const candidates = allowedBy(policy, request.candidates);
  const alive = candidates.length + held.length;
  if (alive < minCopies) return { kind: "no-keepers", alive, needed: minCopies };
  let roomy = 0;
  const willing: Candidate[] = [];
  const avoided: Candidate[] = [];
  for (const candidate of candidates) {
    if (candidate.freeBytes < sizeBytes) continue;
    roomy++;
    if (candidate.freeSlots === 0) continue;
    (avoid.has(candidate.number) ? avoided : willing).push(candidate);
  }
  if (roomy + held.length < minCopies) return { kind: "no-space", needed: minCopies };
  const choose = (from: Candidate[], wanted: number, held: readonly Candidate[]) =>
    choosePreferred(from, wanted, held, { policy, random });
  const keepers = choose(willing, goal - held.length, held);
  const missing = minCopies - held.length - keepers.length;
  if (missing > 0) {
    keepers.push(...choose(avoided, missing, [...held, ...keepers]));
  }
  if (held.length + keepers.length < minCopies) {
    return { kind: "busy", retryAfterMs: retryMs(random) };
  }
  return { kind: "placed", keepers };
}

/** The candidates that have all labels which a policy requires. */
export function allowedBy(
  policy: PolicyFacts | undefined,
  candidates: readonly Candidate[],
): readonly Candidate[] {
  if (policy === undefined) return candidates;
  return candidates.filter(({ labels }) => hasLabels(labels, policy.require));
}

/**
 * Whether a file of `sizeBytes` could be kept `copies` times: each copy of a byte needs a keeper of
 * its own.
 */
export function fits(candidates: readonly Candidate[], copies: number, sizeBytes: number): boolean {
  const room = candidates.reduce((sum, { freeBytes }) => sum + Math.min(freeBytes, sizeBytes), 0);
  return room >= copies * sizeBytes;
}

/** A pause before asking again for a busy port. */
export function retryMs(random: Random): number {
  return Math.round(RETRY_MIN_MS + random.next() * RETRY_SPREAD_MS);
}

/**
 * Whose copy is given up of a chunk that has too many: one where the policy forbids it; then one
 * on a keeper that is being emptied; then one where the policy would rather not have it; then one
 * in a zone that has another copy, if any; then the fullest keeper's. `holders` is not empty.
 */
export function chooseSurplus(
  holders: readonly Candidate[],
  policy?: PolicyFacts,
): Candidate | undefined {
  const copiesByZone = new Map<string, number>();
  for (const { zone } of holders) copiesByZone.set(zone, (copiesByZone.get(zone) ?? 0) + 1);
  const { require = {}, prefer = {} } = policy ?? {};
  const reasons: ((holder: Candidate) => boolean)[] = [
    ({ labels }) => !hasLabels(labels, require),
    ({ draining }) => draining === true,
    ({ labels }) => !hasLabels(labels, prefer),
    ({ zone }) => (copiesByZone.get(zone) ?? 0) > 1,
  ];
  const choice = reasons.reduce((left, reason) => {
    const some = left.filter(reason);
    return some.length > 0 ? some : left;
  }, holders);
  const [first] = choice.toSorted((left, right) =>
    shareOf(right) - shareOf(left) || left.freeBytes - right.freeBytes
  );
  return first;
}

/**
 * The part of the space that chunks may have at a keeper which they take. Not the disk's own use:
 * keepers that share a disk would all look equally full, whatever they hold.
 */
export function shareOf({ heldBytes = 0, freeBytes }: DiskUse): number {
  const capacity = heldBytes + freeBytes;
  return capacity === 0 ? 0 : heldBytes / capacity;
}

/**
 * Whether a copy beside those `held` would lie better at `one` than at `other`: as the policy
 * prefers, and in a zone with fewer copies.
 */
export function isBetterPlaced(
  one: Candidate,
  other: Candidate,
  held: readonly Candidate[],
  policy?: PolicyFacts,
): boolean {
  const isPreferred = ({ labels }: Candidate) => hasLabels(labels, policy?.prefer ?? {});
  if (isPreferred(one) !== isPreferred(other)) return isPreferred(one);
  const copies = ({ zone }: Candidate) => held.filter((holder) => holder.zone === zone).length;
  return copies(one) < copies(other);
}

/** Up to `wanted` of `candidates`: those that the policy prefers first, as far as they reach. */
function choosePreferred(
  candidates: readonly Candidate[],
  wanted: number,
  held: readonly Candidate[],
  { policy, random }: { policy: PolicyFacts | undefined; random: Random },
): Candidate[] {
  if (policy === undefined) return chooseSpread(candidates, wanted, held, random);
  const isPreferred = ({ labels }: Candidate) => hasLabels(labels, policy.prefer);
  const chosen = chooseSpread(candidates.filter(isPreferred), wanted, held, random);
  const others = candidates.filter((candidate) => !isPreferred(candidate));
  const missing = wanted - chosen.length;
  return [...chosen, ...chooseSpread(others, missing, [...held, ...chosen], random)];
}

/**
 * Up to `wanted` of `candidates`: at each step the zones that hold the fewest copies so far, then
 * by weight. With a thousand keepers this is most of what a chunk costs: each step is one look at
 * three arrays, and nothing is made for a keeper that is not chosen.
 */
function chooseSpread(
  candidates: readonly Candidate[],
  wanted: number,
  held: readonly Candidate[],
  random: Random,
): Candidate[] {
  const left = [...candidates];
  const weights = left.map(weightOf);
  const copiesByZone = new Map<string, number>();
  for (const { zone } of held) copiesByZone.set(zone, (copiesByZone.get(zone) ?? 0) + 1);
  const copies = left.map(({ zone }) => copiesByZone.get(zone) ?? 0);
  const chosen: Candidate[] = [];
  while (chosen.length < wanted && left.length > 0) {
    const place = chooseWeighted(weights, copies, random);
    const next = must(left[place], "a candidate that was chosen");
    for (const list of [left, weights, copies]) list.splice(place, 1);
    chosen.push(next);
    if (chosen.length === wanted) break;
    for (const [index, { zone }] of left.entries()) {
      if (zone === next.zone) copies[index] = (copies[index] ?? 0) + 1;
    }
  }
  return chosen;
}

/** The place of one of those with the fewest copies, each as likely as its weight says. */
function chooseWeighted(
  weights: readonly number[],
  copies: readonly number[],
  random: Random,
): number {
  let fewest = Infinity;
  let total = 0;
  for (let place = 0; place < weights.length; place++) {
    const count = copies[place] ?? 0;
    if (count > fewest) continue;
    if (count < fewest) {
      fewest = count;
      total = 0;
    }
    total += weights[place] ?? 0;
  }
  let point = random.next() * total;
  let last = 0;
  for (let place = 0; place < weights.length; place++) {
    if (copies[place] !== fewest) continue;
    last = place;
    point -= weights[place] ?? 0;
    if (point < 0) break;
  }
  return last;
}

/** Free space, less for the more loaded; never 0, so that every candidate can be chosen. */
function weightOf({ freeBytes, freeSlots, slots }: Candidate): number {
  return (1 + freeBytes) * (0.1 + freeSlots / Math.max(1, slots));
}
