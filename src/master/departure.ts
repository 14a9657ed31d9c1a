/**
 * Waiting for a keeper's answer no longer than its process lives: NATS does not tell that whoever
 * took a command has died over it, and a place that waits for the time-out is kept from others.
 */
import type { Clock } from "../base/clock.ts";
import type { KeeperTable } from "../tables/keeper_table.ts";
import { TydfsError } from "../wire/errors.ts";

export interface DepartureOptions {
  clock: Clock;
  keepers: KeeperTable;
  /** Ends the wait for any other reason. */
  signal: AbortSignal;
}

const LOOK_MS = 500;

/**
 * Does `work`, whose signal is aborted when keeper `number` is declared dead or comes back as
 * another process. Throws what `work` throws; `unavailable` by that signal.
 */
export async function whileThere<T>(
  { clock, keepers, signal }: DepartureOptions,
  number: number,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const gone = new AbortController();
  const epoch = keepers.find(number)?.epoch;
  const watch = clock.every(LOOK_MS, () => {
    const row = keepers.find(number);
    if (row?.state !== "DEAD" && row?.epoch === epoch) return;
    gone.abort(new TydfsError("unavailable", "The keeper has ended before it answered"));
  });
  try {
    return await work(AbortSignal.any([signal, gone.signal]));
  } finally {
    watch.stop();
  }
}
