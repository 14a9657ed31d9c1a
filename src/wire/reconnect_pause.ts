/**
 * The pause between two tries to reach NATS again. The library counts it on the wall clock: after
 * a clock has been set back it would try no more until the old time has come again. Here a step
 * back is noticed by the monotonic clock, and the next tries begin at once.
 */
import type { Clock } from "../base/clock.ts";

/** Wall and monotonic time drift apart by less than this between two tries. */
const STEP_MS = 1_000;
/** The library keeps a time for each server of a cluster: each gets a try. */
const TRIES_AT_ONCE = 8;

/** Answers the pause in ms before each try; the library calls it right before one. */
export function reconnectPause(
  clock: Pick<Clock, "wallMs" | "monotonicMs">,
  pauseMs: number,
): () => number {
  let lastMs = -Infinity;
  let atOnce = 0;
  return () => {
    const aheadMs = clock.wallMs() - clock.monotonicMs();
    if (aheadMs < lastMs - STEP_MS) atOnce = TRIES_AT_ONCE;
    lastMs = aheadMs;
    return atOnce-- > 0 ? -Infinity : pauseMs;
  };
}
