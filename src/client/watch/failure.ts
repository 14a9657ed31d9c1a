/** What a watch does about an error: pure. */
import { hasCode } from "../../wire/errors.ts";
import { saysAway } from "../presence.ts";

/** `settle`: look again · `wait`: for the master · `hold`: try this path again after a pause. */
export type FailureVerdict = { kind: "settle" } | { kind: "wait" } | { kind: "hold"; ms: number };

const HOLD_FIRST_MS = 2_000;
const HOLD_MAX_MS = 5 * 60_000;

/** Judges the failure number `attempt` (0 is the first in a row) of work on one path. */
export function decideFailure(error: unknown, attempt: number): FailureVerdict {
  if (hasCode(error, "changed")) return { kind: "settle" };
  if (saysAway(error)) return { kind: "wait" };
  return { kind: "hold", ms: Math.min(HOLD_MAX_MS, HOLD_FIRST_MS * 2 ** Math.min(attempt, 20)) };
}

/**
 * Whether a failure may go away by itself while the rest is sent: what is in the way is being
 * removed, say.
 */
export function mayPassSoon(error: unknown): boolean {
  return hasCode(
    error,
    ...["is-directory", "not-directory", "not-empty", "not-found", "conflict"] as const,
    ...["busy", "no-keepers", "expired", "exists"] as const,
  );
}
