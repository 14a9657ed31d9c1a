/**
 * Whether a keeper has gone silent while a chunk is being sent to it. The kernel sends the bytes,
 * so this side sees no progress; the master hears the heartbeats.
 */
import { TydfsError } from "../wire/errors.ts";
import { clusterStatus } from "../wire/cluster.ts";
import type { ClientContext } from "./context.ts";

/** Transfers shorter than this are not worth a question. */
const GRACE_MS = 3_000;
const ASK_EVERY_MS = 2_000;
const SILENT_STATES = new Set(["SUSPECT", "DEAD"]);

export class KeeperWatch {
  readonly #context: ClientContext;
  #silent: ReadonlySet<string> = new Set();
  #askedMs = -Infinity;

  constructor(context: ClientContext) {
    this.#context = context;
  }

  /** Throws `unavailable` when a transfer to `keeper`, begun at `sinceMs`, is likely to hang. */
  async check(keeper: string, sinceMs: number, signal: AbortSignal): Promise<void> {
    const { clock, trackers } = this.#context;
    const nowMs = clock.monotonicMs();
    if (nowMs - sinceMs < GRACE_MS) return;
    if (nowMs - this.#askedMs >= ASK_EVERY_MS) {
      this.#askedMs = nowMs;
      // No answer is no reason to stop a transfer: the keepers work without the master, too.
      const status = await trackers.ask(clusterStatus, {}, { signal, repeatable: false })
        .catch(() => undefined);
      const silent = status?.keepers.filter(({ state }) => SILENT_STATES.has(state)) ?? [];
      this.#silent = new Set(silent.map(({ id }) => id));
    }
    if (!this.#silent.has(keeper)) return;
    throw new TydfsError("unavailable", `Keeper ${keeper} has gone silent in mid-transfer`);
  }
}
