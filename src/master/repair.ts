/**
 * What is to be done about a chunk's copies: pure decisions over the states of its holders. A copy
 * lives when its keeper is not dead; one on a keeper that died just now still counts for a while,
 * since most keepers come back.
 */
import type { KeeperState } from "../wire/cluster.ts";

/** A keeper that has a copy, as far as repair is concerned. */
export interface HolderState {
  state: KeeperState;
  /** The chunk's policy forbids the copy here, or the keeper is being emptied. */
  misplaced?: boolean;
  /** Time since it was found dead; 0 while it is not. */
  deadForMs: number;
  /** It stopped in good order. */
  left: boolean;
}

export interface RepairDelays {
  repairDelayMs: number;
  maintenanceWindowMs: number;
}

export type RepairVerdict =
  | { kind: "whole" }
  /** It has copies enough, but too few where they may lie: one is to be made there. */
  | { kind: "move"; live: number }
  /** Below its goal, but keepers that died just now may come back: until `waitMs` from now. */
  | { kind: "wait"; live: number; waitMs: number }
  /** To be copied at once, `missing` times. */
  | { kind: "repair"; live: number; missing: number }
  /** No copy lives. */
  | { kind: "lost" };

/** Decides about a chunk that is to have `goal` copies. */
export function decideRepair(
  goal: number,
  holders: readonly HolderState[],
  delays: RepairDelays,
): RepairVerdict {
  const live = holders.filter(isLive).length;
  if (live >= goal) {
    return needsMove(goal, holders, delays) ? { kind: "move", live } : { kind: "whole" };
  }
  if (live === 0) return { kind: "lost" };
  // The last copy is never left alone: it is worth a copy too many when the others return.
  if (live === 1) return { kind: "repair", live, missing: goal - live };
  const waits = holders.map((holder) => awaitedMs(holder, delays)).filter((waitMs) => waitMs > 0);
  const missing = goal - live - waits.length;
  if (missing > 0) return { kind: "repair", live, missing };
  // Awaited are as many as are missing, or more: the repair begins when they are fewer.
  waits.sort((left, right) => left - right);
  return { kind: "wait", live, waitMs: waits[-missing] ?? 0 };
}

/**
 * Whether all copies that a chunk has in wrong places are on dead keepers: there is nothing to be
 * done about them before those are back.
 */
export function isStranded(holders: readonly HolderState[]): boolean {
  return holders.every((holder) => holder.misplaced !== true || !isLive(holder));
}

/**
 * Whether one of a chunk's copies may be given up: enough others are on keepers that are surely
 * there.
 */
export function decideSurplus(
  goal: number,
  holders: readonly Pick<HolderState, "state">[],
): "keep" | "drop" {
  const alive = holders.filter(({ state }) => state === "ALIVE").length;
  return alive > goal ? "drop" : "keep";
}

/**
 * Misplaced copies are given up only when as many as the goal lie right: until then, a copy is made
 * for each that is missing there.
 */
function needsMove(goal: number, holders: readonly HolderState[], delays: RepairDelays): boolean {
  if (isStranded(holders)) return false;
  const right = holders.filter((holder) => holder.misplaced !== true)
    .filter((holder) => isLive(holder) || isAwaited(holder, delays)).length;
  return right < goal;
}

function isLive({ state }: HolderState): boolean {
  return state !== "DEAD";
}

function isAwaited(holder: HolderState, delays: RepairDelays): boolean {
  return awaitedMs(holder, delays) > 0;
}

/** For how long a dead keeper is still awaited; 0 for a living one. */
function awaitedMs(holder: HolderState, delays: RepairDelays): number {
  if (isLive(holder)) return 0;
  const delayMs = holder.left ? delays.maintenanceWindowMs : delays.repairDelayMs;
  return Math.max(0, delayMs - holder.deadForMs);
}
