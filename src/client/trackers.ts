/**
 * Asks trackers: every remote call of the client goes through here, which decides whether a failed
 * one is repeated. "Nobody listens" did nothing and may always be repeated; a time-out only where
 * repeating is harmless.
 */
import type { Clock } from "../base/clock.ts";
import { backoffMs } from "../base/limit.ts";
import type { Random } from "../base/random.ts";
import type { Bus } from "../wire/bus.ts";
import { call } from "../wire/bus.ts";
import { hasCode, TydfsError } from "../wire/errors.ts";
import type { Rpc } from "../wire/rpc.ts";
import type { Subjects } from "../wire/subjects.ts";

/** Time for one answer. */
export const REQUEST_MS = 5_000;
/** Patience with a master that has never answered this client: one clear line within 5 s. */
const FIRST_ANSWER_MS = 4_000;
/**
 * Patience with a master that did answer: it may be starting again. All calls share it, from the
 * first that got no answer on: a thousand files do not wait a thousand times.
 */
const PATIENCE_MS = 15_000;
/** Patience while too few keepers are alive: one may be about to join. */
const KEEPERS_MS = 3_000;
const BACKOFF = { firstMs: 100, maxMs: 2_000 };

/** Why the client waits, and for how long it will at most. */
export interface WaitNotice {
  code: "busy" | "no-keepers" | "no-master";
  waitMs: number;
}

export interface TrackersOptions {
  bus: Bus;
  subjects: Subjects;
  clock: Clock;
  random: Random;
  /** Told when the client begins to wait. */
  onWait: (notice: WaitNotice) => void;
}

export interface AskOptions {
  signal: AbortSignal;
  /** Repeating the call does no harm: a time-out is followed by another try. */
  repeatable: boolean;
  /** Time to wait while all ports are busy; 0 unless given. */
  waitMs?: number;
  /** Hears that a try got no answer: whatever is answered later may be to a repetition. */
  onSilence?: () => void;
}

export class Trackers {
  readonly #options: TrackersOptions;
  #answered = false;
  /** Since when nobody has answered, and when that was last seen. */
  #away: { sinceMs: number; seenMs: number } | undefined;

  constructor(options: TrackersOptions) {
    this.#options = options;
  }

  /**
   * Calls `procedure` on any tracker. Throws what it says, or `no-master`, `timeout` when none
   * answers.
   */
  async ask<Request, Reply>(
    procedure: Rpc<Request, Reply>,
    request: Request,
    options: AskOptions,
  ): Promise<Reply> {
    const { bus, subjects, clock, random, onWait } = this.#options;
    const subject = subjects.rpc(procedure.name);
    const startMs = clock.monotonicMs();
    for (let attempt = 0;; attempt++) {
      const triedMs = clock.monotonicMs();
      options.signal.throwIfAborted();
      try {
        const { signal } = options;
        const reply = await call(bus, subject, procedure, request, {
          timeoutMs: REQUEST_MS,
          signal,
        });
        this.#heard();
        return reply;
      } catch (error) {
        options.signal.throwIfAborted();
        if (hasCode(error, "timeout")) options.onSilence?.();
        const patienceMs = this.#patienceMs(error, options);
        const pauseMs = retryAfterMs(error) ?? backoffMs(attempt, BACKOFF, random);
        const sinceMs = isSilent(error) ? this.#silentSince(triedMs) : startMs;
        if (!isSilent(error)) this.#heard();
        if (clock.monotonicMs() - sinceMs + pauseMs > patienceMs) {
          throw finalError(procedure.name, options.repeatable, error);
        }
        const notice = noticeOf(error, patienceMs);
        if (notice !== undefined) onWait(notice);
        await clock.sleep(pauseMs, options.signal);
      }
    }
  }

  #heard(): void {
    this.#answered = true;
    this.#away = undefined;
  }

  /** Since when nobody answers, after a try at `triedMs` that got no answer either. */
  #silentSince(triedMs: number): number {
    const nowMs = this.#options.clock.monotonicMs();
    const known = this.#away;
    // What was seen long ago, before a pause of the client's own, says nothing about now.
    const sinceMs = known === undefined || triedMs - known.seenMs > PATIENCE_MS
      ? triedMs
      : known.sinceMs;
    this.#away = { sinceMs, seenMs: nowMs };
    return sinceMs;
  }

  /** How long calls that fail like this are repeated, from the first try on. */
  #patienceMs(error: unknown, { repeatable, waitMs = 0 }: AskOptions): number {
    if (hasCode(error, "busy")) return waitMs;
    if (hasCode(error, "no-keepers")) return Math.min(waitMs, KEEPERS_MS);
    if (hasCode(error, "unavailable")) return this.#answered ? PATIENCE_MS : FIRST_ANSWER_MS;
    if (hasCode(error, "timeout") && repeatable) return PATIENCE_MS;
    return 0;
  }
}

/** Nobody has answered at all. */
function isSilent(error: unknown): boolean {
  return hasCode(error, "unavailable", "timeout");
}

function retryAfterMs(error: unknown): number | undefined {
  const value = error instanceof TydfsError ? error.data["retryAfterMs"] : undefined;
  return typeof value === "number" && value > 0 ? Math.min(value, BACKOFF.maxMs) : undefined;
}

function noticeOf(error: unknown, waitMs: number): WaitNotice | undefined {
  if (hasCode(error, "busy")) return { code: "busy", waitMs };
  if (hasCode(error, "no-keepers")) return { code: "no-keepers", waitMs };
  if (hasCode(error, "unavailable")) return { code: "no-master", waitMs };
  return undefined;
}

function finalError(name: string, repeatable: boolean, error: unknown): unknown {
  if (hasCode(error, "unavailable")) {
    const message = "Cannot reach a master: NATS is there, but nobody answers; is the master up?";
    return new TydfsError("no-master", message, { cause: error });
  }
  if (!hasCode(error, "timeout")) return error;
  const message = repeatable
    ? `Cannot get an answer to "${name}" from the master: none came in time`
    : `Cannot tell whether "${name}" was done: no answer within ${REQUEST_MS / 1000} s; ` +
      `look before you repeat it`;
  return new TydfsError("timeout", message, { cause: error });
}
