/** Tells how far something is that goes on in the cluster, until it is over. */
import { systemClock } from "../base/clock.ts";
import type { ClientSession } from "./session.ts";

const LOOK_MS = 1_000;
/** Between plain lines, where no terminal shows one that changes. */
const LINE_MS = 10_000;

/** What one look has seen. */
export interface Look<T> {
  value: T;
  /** How far it is, in one line. */
  line: string;
  isOver: boolean;
}

/**
 * Looks each second until it is over; returns what was seen last. Rejects when interrupted; then
 * `goesOn` is told, since what was waited for does not end with the waiting.
 */
export async function waitShowing<T>(
  { output, signal, json, quiet }: ClientSession,
  look: () => Promise<Look<T>>,
  goesOn: string,
): Promise<T> {
  let toldMs = systemClock.monotonicMs();
  try {
    for (;;) {
      const { value, line, isOver } = await look();
      if (isOver) return value;
      const nowMs = systemClock.monotonicMs();
      if (!json && !quiet) {
        if (output.messagesOnTerminal) output.board([line]);
        else if (nowMs - toldMs >= LINE_MS) {
          output.message(line);
          toldMs = nowMs;
        }
      }
      await systemClock.sleep(LOOK_MS, signal);
    }
  } catch (error) {
    output.board([]);
    if (signal.aborted && !quiet) output.message(`tydfs: ${goesOn}`);
    throw error;
  } finally {
    output.board([]);
  }
}
