/** How much longer something takes: told only where there is a basis for it. Pure. */
import { formatDuration } from "../../base/bytes.ts";

/** Before this no time is told: the beginning says little about the rest. */
const FIRST_MS = 2_000;
/** Nor before so much of it is done … */
const SHARE_MIN = 0.01;
/** … unless it has gone on for so long, and ends within a day at this pace. */
const LONG_MS = 60_000;
const DAY_MS = 24 * 60 * 60_000;

/** How something goes on, in bytes or in any other measure. */
export interface Pace {
  elapsedMs: number;
  /** What was done in that time. */
  done: number;
  left: number;
  /** The pace of late; undefined when it is not known. */
  perMs: number | undefined;
}

/** `12 s left`; undefined when nothing is left, or nobody can tell. */
export function formatTimeLeft({ elapsedMs, done, left, perMs }: Pace): string | undefined {
  if (perMs === undefined || perMs <= 0 || left <= 0 || elapsedMs < FIRST_MS) return undefined;
  const leftMs = left / perMs;
  const hasBasis = done >= SHARE_MIN * (done + left);
  if (!hasBasis && (elapsedMs < LONG_MS || leftMs > DAY_MS)) return undefined;
  return `${formatDuration(Math.max(1000, leftMs))} left`;
}
