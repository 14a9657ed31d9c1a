/**
 * Reads one range, whatever befalls its holders: a wrong block, a refusal or a stall means another
 * holder, and what was verified before is not fetched again. Gives up by name when no holder is
 * left within the time.
 */
import { backoffMs } from "../base/limit.ts";
import { hasCode, TydfsError } from "../wire/errors.ts";
import { fileDoubt } from "../wire/file.ts";
import { quotePath } from "../wire/names.ts";
import type { ClientContext } from "./context.ts";
import type { HolderPort } from "./holders.ts";
import { HolderBook } from "./holders.ts";
import type { PlannedRange } from "./plan.ts";
import { filePosition } from "./plan.ts";
import type { OpenExtent, RemoteFile } from "./remote_file.ts";
import type { BlockPair } from "./transfer.ts";
import { receiveBlocks } from "./transfer.ts";

/** Time for a chunk whose holders all fail, while they may come back. */
const HOLDERS_MS = 30_000;
/** The same when the master says that all who have it are dead: one may be starting again. */
const DEAD_MS = 2_000;
/** Keepers that a failure names, at most. */
const NAMES_MAX = 5;
/** Rounds over all holders that find nothing but wrong copies: then there is no hope in waiting. */
const CORRUPT_ROUNDS_MAX = 2;
const BACKOFF = { firstMs: 200, maxMs: 3_000 };
const DOUBT_MS = 2_000;

/** Takes verified bytes (only lent) that belong at `position` of the file. */
export type BytesTaker = (bytes: Uint8Array, position: number) => Promise<void>;

export interface ReadRangeOptions {
  signal: AbortSignal;
  blocks: BlockPair;
  take: BytesTaker;
}

/** What one round over all holders came to. */
interface Round {
  done: boolean;
  /** There was nobody to ask. */
  empty: boolean;
  busy: boolean;
  corrupt: boolean;
  expired: boolean;
  lastError: unknown;
}

/** The range and how much of it is read; a refresh replaces the extent's ticket and holders. */
interface RangeState {
  range: PlannedRange;
  open: OpenExtent;
  nextStart: number;
}

export class RangeReader {
  readonly #context: ClientContext;
  readonly #file: RemoteFile;
  readonly #book: HolderBook;

  constructor(context: ClientContext, file: RemoteFile) {
    this.#context = context;
    this.#file = file;
    this.#book = new HolderBook(context.random, (keeper) => context.failures.has(keeper));
  }

  /** Reads the range. Throws `lost` (or `busy`) naming file and chunk, or what `take` throws. */
  async read(range: PlannedRange, open: OpenExtent, options: ReadRangeOptions): Promise<void> {
    const { clock, random, waitMs, onWait } = this.#context;
    const state: RangeState = { range, open, nextStart: range.fetchStart };
    const startMs = clock.monotonicMs();
    let emptyMs: number | undefined;
    for (let attempt = 0, corruptRounds = 0;; attempt++) {
      const round = await this.#round(state, options);
      if (round.done) return;
      emptyMs = round.empty ? emptyMs ?? clock.monotonicMs() : undefined;
      if (emptyMs !== undefined && clock.monotonicMs() - emptyMs >= DEAD_MS) {
        const known = await this.#file.knownHolders(range.extent, options.signal);
        if (known.every(({ state }) => state === "DEAD")) throw this.#dead(range, known);
      }
      if (round.corrupt && ++corruptRounds >= CORRUPT_ROUNDS_MAX) throw this.#lost(range, round);
      const pauseMs = round.expired && attempt === 0 ? 0 : backoffMs(attempt, BACKOFF, random);
      const patienceMs = round.busy ? waitMs : HOLDERS_MS;
      if (clock.monotonicMs() - startMs + pauseMs > patienceMs) throw this.#lost(range, round);
      if (round.busy) onWait({ code: "busy", waitMs });
      await clock.sleep(pauseMs, options.signal);
      state.open = await this.#file.refresh(range.extent, options.signal);
    }
  }

  /** Asks each holder once, until the range is whole. */
  async #round(state: RangeState, options: ReadRangeOptions): Promise<Round> {
    const tried = new Set<string>();
    const round: Round = {
      done: false,
      empty: true,
      busy: true,
      corrupt: true,
      expired: false,
      lastError: undefined,
    };
    for (;;) {
      const holder = this.#book.choose(state.open.holders, tried);
      if (holder === undefined) break;
      tried.add(holder.keeper);
      try {
        await this.#receive(holder, state, options);
        return { ...round, done: true };
      } catch (error) {
        options.signal.throwIfAborted();
        if (hasCode(error, "local")) throw error;
        this.#noteFailure(holder, state, error);
        round.busy &&= hasCode(error, "busy");
        round.corrupt &&= hasCode(error, "corrupt");
        round.expired ||= hasCode(error, "expired");
        round.lastError = error;
        if (round.expired) break;
      }
    }
    const empty = tried.size === 0;
    return { ...round, empty, busy: round.busy && !empty, corrupt: round.corrupt && !empty };
  }

  async #receive(
    holder: HolderPort,
    state: RangeState,
    options: ReadRangeOptions,
  ): Promise<void> {
    const { extent } = state.open;
    const { range } = state;
    this.#book.begin(holder);
    let outcome: "good" | "bad" | "refused" = "bad";
    try {
      await receiveBlocks(this.#context.transport, holder, {
        clock: this.#context.clock,
        signal: options.signal,
        chunk: extent.chunk,
        ticket: extent.ticket,
        chunkBytes: extent.chunkBytes,
        sums: extent.sums,
        start: state.nextStart,
        end: range.fetchEnd,
        blocks: options.blocks,
        take: async (block, chunkOffset) => {
          const from = Math.max(range.wantStart, chunkOffset);
          const to = Math.min(range.wantEnd, chunkOffset + block.length);
          const wanted = block.subarray(from - chunkOffset, to - chunkOffset);
          await options.take(wanted, filePosition(extent, from));
          state.nextStart = chunkOffset + block.length;
        },
      });
      outcome = "good";
      this.#context.failures.forgive(holder.keeper);
    } catch (error) {
      if (hasCode(error, "busy", "expired")) outcome = "refused";
      throw error;
    } finally {
      this.#book.end(holder, outcome);
    }
  }

  #noteFailure(holder: HolderPort, state: RangeState, error: unknown): void {
    const { chunk } = state.open.extent;
    this.#context.log.debug("A holder failed", { keeper: holder.name, chunk, error });
    if (hasCode(error, "unavailable", "timeout")) this.#context.failures.note(holder.keeper);
    if (!hasCode(error, "corrupt", "not-found")) return;
    // Fire and forget: the reader does not wait for the repair, and works without it.
    const request = { chunk, keeper: holder.keeper };
    const options = { signal: AbortSignal.timeout(DOUBT_MS), repeatable: false };
    this.#context.trackers.ask(fileDoubt, request, options).catch((cause) => {
      this.#context.log.debug("Cannot report a doubtful replica", { chunk, error: cause });
    });
  }

  /** All that are known to have the chunk are dead. */
  #dead(range: PlannedRange, known: readonly { keeper: string }[]): TydfsError {
    const { path } = this.#file.facts;
    const { chunk } = range.extent;
    const keepers = known.map(({ keeper }) => keeper);
    const names = keepers.slice(0, NAMES_MAX).join(", ");
    const more = keepers.length > NAMES_MAX ? ` and ${keepers.length - NAMES_MAX} more` : "";
    const state = keepers.length === 0
      ? "no living keeper has it"
      : `all keepers that have it are dead; start one of them again: ${names}${more}`;
    const message = `Cannot read ${quotePath(path)}: no copy of chunk ${chunk} can be reached: ` +
      state;
    return new TydfsError("lost", message, { data: { path, chunk, keepers } });
  }

  #lost(range: PlannedRange, round: Round): TydfsError {
    const { path } = this.#file.facts;
    const { chunk } = range.extent;
    const data = { path, chunk };
    const cause = round.lastError;
    if (round.busy) {
      const message = `Cannot read ${quotePath(path)}: all ports of its holders are busy`;
      return new TydfsError("busy", message, { data, cause });
    }
    const last = cause instanceof Error ? `: ${cause.message}` : ": no keeper that is alive has it";
    const message = `Cannot read ${quotePath(path)}: no good copy of chunk ${chunk} can be reached`;
    return new TydfsError("lost", message + last, { data, cause });
  }
}
