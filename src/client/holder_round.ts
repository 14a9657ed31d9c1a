/**
 * One round over the holders of a chunk: each is asked once, the best first, until a run of the
 * chunk is read. A wrong block, a refusal or a stall means the next holder, and what was verified
 * before is not fetched again. Whether there is another round is decided elsewhere.
 */
import { AssertionError } from "../base/assert.ts";
import { hasCode } from "../wire/errors.ts";
import type { Holder, LocatedExtent } from "../wire/file.ts";
import { fileDoubt } from "../wire/file.ts";
import type { ClientContext } from "./context.ts";
import type { HolderPort } from "./holders.ts";
import { HolderBook } from "./holders.ts";
import type { WantedPart } from "./receiver/receivers.ts";
import { RECEIVER_BYTES_MIN } from "./receiver/receivers.ts";
import type { BlockPair, BlockTaker } from "./transfer.ts";
import { receiveBlocks } from "./transfer.ts";

const DOUBT_MS = 2_000;

/** What must be known of a chunk to read it. */
export type ReadableChunk = Pick<LocatedExtent, "chunk" | "chunkBytes" | "sums" | "ticket">;

/** A run of a chunk, and how much of it is read. All are offsets in the chunk. */
export interface ChunkRun {
  source: ReadableChunk;
  holders: readonly Holder[];
  /** Where the next fetch starts; it moves on with each block that was taken. */
  next: number;
  end: number;
  /** As in `ReceiveOptions`. */
  isRight?: (bytes: Uint8Array) => boolean;
}

export interface RoundOptions {
  signal: AbortSignal;
  /** Memory of the caller's; else it is the client's, as far as any is needed. */
  blocks?: BlockPair | undefined;
  take: BlockTaker;
  /** Where the bytes go in an open file: receivers may write them there, in place of `take`. */
  part?: FilePart | undefined;
}

/** A part of a chunk that belongs into an open file. */
export interface FilePart extends WantedPart {
  /** Hears how many bytes more are verified and written. */
  onWritten: (bytes: number) => void;
}

/** What one round over all holders came to. */
export interface Round {
  done: boolean;
  /** There was nobody to ask. */
  empty: boolean;
  busy: boolean;
  corrupt: boolean;
  expired: boolean;
  lastError: unknown;
}

export class HolderRounds {
  readonly #context: ClientContext;
  readonly #book: HolderBook;

  /** Remembers who has failed: one for all that is read together. */
  constructor(context: ClientContext) {
    this.#context = context;
    this.#book = new HolderBook(context.random, (keeper) => context.failures.has(keeper));
  }

  /**
   * Asks each holder once, until the run is whole. Throws what `take` throws as `local`, and the
   * signal's reason.
   */
  async read(run: ChunkRun, options: RoundOptions): Promise<Round> {
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
      const holder = this.#book.choose(run.holders, tried);
      if (holder === undefined) break;
      tried.add(holder.keeper);
      try {
        await this.#receive(holder, run, options);
        return { ...round, done: true };
      } catch (error) {
        options.signal.throwIfAborted();
        if (hasCode(error, "local") || error instanceof AssertionError) throw error;
        this.#noteFailure(holder, run.source.chunk, error);
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

  async #receive(holder: HolderPort, run: ChunkRun, options: RoundOptions): Promise<void> {
    const { failures } = this.#context;
    this.#book.begin(holder);
    let outcome: "good" | "bad" | "refused" = "bad";
    try {
      if (!await this.#receiveIntoFile(holder, run, options)) {
        await this.#receiveInBlocks(holder, run, options);
      }
      outcome = "good";
      failures.forgive(holder.keeper);
    } catch (error) {
      if (hasCode(error, "busy", "expired")) outcome = "refused";
      throw error;
    } finally {
      this.#book.end(holder, outcome);
    }
  }

  async #receiveInBlocks(
    holder: HolderPort,
    run: ChunkRun,
    { signal, blocks, take }: RoundOptions,
  ): Promise<void> {
    const { clock, transport, blocks: pool } = this.#context;
    const { chunk, ticket, chunkBytes, sums } = run.source;
    const pair = blocks ?? pool.take();
    await receiveBlocks(transport, holder, {
      ...{ clock, signal, chunk, ticket, chunkBytes, sums, blocks: pair },
      start: run.next,
      end: run.end,
      ...(run.isRight && { isRight: run.isRight }),
      take: async (block, chunkOffset) => {
        await take(block, chunkOffset);
        run.next = chunkOffset + block.length;
      },
    });
    // Not after a failure: then a late stream might still write to it.
    if (blocks === undefined) pool.giveBack(pair);
  }

  /** Has a receiver bring a large run into its file; false when there is none for it. */
  async #receiveIntoFile(
    holder: HolderPort,
    run: ChunkRun,
    { signal, part }: RoundOptions,
  ): Promise<boolean> {
    const { receivers } = this.#context;
    if (receivers === undefined || part === undefined || run.isRight !== undefined) return false;
    if (run.end - run.next < RECEIVER_BYTES_MIN) return false;
    const { onWritten, ...file } = part;
    const wantedBefore = (position: number) =>
      Math.min(Math.max(position, file.wantStart), file.wantEnd);
    return await receivers.receive(holder, {
      ...run.source,
      ...{ start: run.next, end: run.end, file, signal },
      onNext: (next) => {
        const bytes = wantedBefore(next) - wantedBefore(run.next);
        run.next = next;
        if (bytes > 0) onWritten(bytes);
      },
    });
  }

  #noteFailure(holder: HolderPort, chunk: string, error: unknown): void {
    const { log, failures, trackers } = this.#context;
    log.debug("A holder failed", { keeper: holder.name, chunk, error });
    if (hasCode(error, "unavailable", "timeout")) failures.note(holder.keeper);
    if (!hasCode(error, "corrupt", "not-found")) return;
    // Fire and forget: the reader does not wait for the repair, and works without it.
    const request = { chunk, keeper: holder.keeper };
    const options = { signal: AbortSignal.timeout(DOUBT_MS), repeatable: false };
    trackers.ask(fileDoubt, request, options).catch((cause) => {
      log.debug("Cannot report a doubtful replica", { chunk, error: cause });
    });
  }
}
