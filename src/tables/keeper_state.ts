/** The life of a keeper as the sentinel sees it: a pure function of silence. */
import type { KeeperState } from "../wire/cluster.ts";

export interface Silence {
  suspectAfterMs: number;
  deadAfterMs: number;
}

/** The states in the order of their numbers in the KeeperTable; 0 is a row without a keeper. */
export const KEEPER_STATES = ["NONE", "JOINING", "ALIVE", "SUSPECT", "DEAD", "DRAINING"] as const;

/**
 * The state after `silentMs` without a heartbeat. A keeper that has not beaten since this master
 * started is JOINING until the same silence makes it DEAD.
 */
export function decideKeeperState(
  state: KeeperState,
  silentMs: number,
  limits: Silence,
): KeeperState {
  if (silentMs >= limits.deadAfterMs) return "DEAD";
  if (state === "JOINING" || state === "DEAD") return state;
  if (silentMs >= limits.suspectAfterMs) return "SUSPECT";
  return state === "SUSPECT" ? "ALIVE" : state;
}
