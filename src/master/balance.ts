/**
 * Balance: pure decisions about how much each keeper has too much or too little, when that is worth
 * moving chunks, and whether a chunk may go from one keeper to another. No move takes a keeper past
 * the mean: the bytes moved never exceed what lay wrong at the beginning, and nothing swings to and
 * fro.
 */
import type { PolicyFacts } from "../catalog/operation.ts";
import { allowedBy, type Candidate, chooseSurplus, shareOf } from "./placement.ts";

/** A keeper's part in a plan. Shares are parts of 1. */
export interface DiskPlan {
  number: number;
  share: number;
  afterShare: number;
  /** Bytes to be moved onto it (positive) or off it (negative). */
  moveBytes: number;
  /** Bytes that it lacks of the mean share; negative: that it has too many. */
  lackBytes: number;
  /** It is further from the mean than the band. */
  isBeyond: boolean;
}

export interface BalancePlan {
  /** The share that all would have, and the largest difference from it. */
  meanShare: number;
  spread: number;
  disks: DiskPlan[];
  /** Bytes to be moved in all. */
  moveBytes: number;
}

/** A keeper as balancing sees it. */
export interface BalanceDisk extends Candidate {
  heldBytes: number;
  /** It can be written. */
  isWritable: boolean;
}

/** Balancing by command ends when no keeper is further from the mean than this. */
export const COMMAND_SHARE = 0.02;

/**
 * What is to be moved for every keeper to come within `band` (a part of 1) of the mean share. Only
 * what has a keeper beyond the band at one of its ends is moved.
 */
export function planBalance(
  disks: readonly Pick<BalanceDisk, "number" | "heldBytes" | "freeBytes">[],
  band: number,
): BalancePlan {
  const heldBytes = disks.reduce((sum, disk) => sum + disk.heldBytes, 0);
  const capacity = disks.reduce((sum, disk) => sum + disk.heldBytes + disk.freeBytes, 0);
  const meanShare = capacity === 0 ? 0 : heldBytes / capacity;
  const offs = disks.map((disk) => {
    const share = shareOf(disk);
    const lackBytes = meanShare * (disk.heldBytes + disk.freeBytes) - disk.heldBytes;
    return { disk, share, lackBytes, isBeyond: Math.abs(share - meanShare) > band };
  });
  const sum = (of: typeof offs) => of.reduce((total, { lackBytes }) => total + lackBytes, 0);
  const [givers, takers] = [
    offs.filter((o) => o.lackBytes < 0),
    offs.filter((o) => o.lackBytes > 0),
  ];
  const moveBytes = Math.max(
    -sum(givers.filter((off) => off.isBeyond)),
    sum(takers.filter((off) => off.isBeyond)),
    0,
  );
  const parts = new Map([...divide(givers, -moveBytes), ...divide(takers, moveBytes)]);
  return {
    meanShare,
    spread: Math.max(0, ...offs.map(({ share }) => Math.abs(share - meanShare))),
    moveBytes: Math.floor(moveBytes),
    disks: offs.map(({ disk, share, lackBytes, isBeyond }) => {
      const bytes = Math.trunc(parts.get(disk.number) ?? 0);
      const { heldBytes, freeBytes } = disk;
      const after = shareOf({ heldBytes: heldBytes + bytes, freeBytes: freeBytes - bytes });
      const { number } = disk;
      return { number, share, afterShare: after, moveBytes: bytes, lackBytes, isBeyond };
    }),
  };
}

interface Off {
  disk: { number: number };
  lackBytes: number;
  isBeyond: boolean;
}

/** Divides `bytes` over one side: those beyond the band wholly, the others in proportion. */
function divide(side: readonly Off[], bytes: number): [number, number][] {
  const sum = (of: readonly Off[]) => of.reduce((total, { lackBytes }) => total + lackBytes, 0);
  const beyond = side.filter(({ isBeyond }) => isBeyond);
  const within = side.filter(({ isBeyond }) => !isBeyond);
  const all = sum(within);
  const part = all === 0 ? 0 : (bytes - sum(beyond)) / all;
  return [
    ...beyond.map(({ disk, lackBytes }): [number, number] => [disk.number, lackBytes]),
    ...within.map(({ disk, lackBytes }): [number, number] => [disk.number, lackBytes * part]),
  ];
}

export interface BalanceWish {
  /** By command, until even. */
  isCommanded: boolean;
  /** Chunks are being moved already. */
  isRunning: boolean;
  spread: number;
  /** The spread from which on balancing begins by itself; 0: never. */
  threshold: number;
}

/**
 * The band into which keepers are to be brought now; undefined while nothing is to be moved. What
 * begins by itself goes on until the spread is half of what began it, so that the next chunk stored
 * does not begin it again.
 */
export function decideBand(wish: BalanceWish): number | undefined {
  const { isCommanded, isRunning, spread, threshold } = wish;
  const bands: number[] = [];
  if (isCommanded) bands.push(COMMAND_SHARE);
  if (threshold > 0 && (isRunning || spread > threshold)) bands.push(threshold / 2);
  const band = Math.min(...bands);
  return bands.length > 0 && spread > band ? band : undefined;
}

export interface MoveRequest {
  sizeBytes: number;
  /** All keepers that have a copy. */
  holders: readonly BalanceDisk[];
  /** The one that is to give its copy up. */
  from: number;
  /** Keepers that could take it. */
  takers: readonly BalanceDisk[];
  plan: BalancePlan;
  policy?: PolicyFacts | undefined;
}

/**
 * The keeper that a copy had best move to; undefined when it had better stay. It is the emptiest of
 * those after which the copy of `from` would be the one given up, so that no rule is broken, and
 * that leave the copies in no fewer zones.
 */
export function chooseMove(request: MoveRequest): number | undefined {
  const { sizeBytes, holders, from, takers, plan, policy } = request;
  const byNumber = new Map(plan.disks.map((disk) => [disk.number, disk]));
  const giver = byNumber.get(from);
  if (giver === undefined || sizeBytes === 0 || -giver.lackBytes < sizeBytes) return undefined;
  const taken = new Set(holders.map(({ number }) => number));
  const wants = ({ number }: Candidate) => {
    const taker = byNumber.get(number);
    if (taker === undefined || taker.lackBytes < sizeBytes) return false;
    return taker.isBeyond || giver.isBeyond;
  };
  const fitting = (allowedBy(policy, takers) as readonly BalanceDisk[])
    .filter(({ number, isWritable, draining }) => !taken.has(number) && isWritable && !draining)
    .filter((taker) => taker.freeBytes >= sizeBytes && wants(taker))
    .toSorted((one, other) => shareOf(one) - shareOf(other));
  const stay = holders.filter(({ number }) => number !== from);
  return fitting.find((taker) =>
    countZones([...stay, taker]) >= countZones(holders) &&
    chooseSurplus([...holders, taker], policy)?.number === from
  )?.number;
}

function countZones(holders: readonly Candidate[]): number {
  return new Set(holders.map(({ zone }) => zone)).size;
}
