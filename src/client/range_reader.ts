/**
 * Reads one range, whatever befalls its holders: round after round over them, with those of the
 * master's newest word. Gives up by name when no holder is left within the time.
 */
import { backoffMs } from "../base/limit.ts";
import { TydfsError } from "../wire/errors.ts";
import type { LocatedExtent } from "../wire/file.ts";
import { quotePath } from "../wire/names.ts";
import { CHUNK_BYTES_MAX, fileChecksum, sumsOf } from "../wire/sums.ts";
import type { ClientContext } from "./context.ts";
import type { ChunkRun, Round } from "./holder_round.ts";
import { HolderRounds } from "./holder_round.ts";
import type { PlannedRange } from "./plan.ts";
import { cutRanges, filePosition, packedRange } from "./plan.ts";
import type { OpenExtent, RemoteFile } from "./remote_file.ts";
import type { BlockPair } from "./transfer.ts";

/** Time for a chunk whose holders all fail, while they may come back. */
const HOLDERS_MS = 30_000;
/** The same when the master says that all who have it are dead: one may be starting again. */
const DEAD_MS = 2_000;
/** Keepers that a failure names, at most. */
const NAMES_MAX = 5;
/** Rounds over all holders that find nothing but wrong copies: then there is no hope in waiting. */
const CORRUPT_ROUNDS_MAX = 2;
const BACKOFF = { firstMs: 200, maxMs: 3_000 };

/** Takes verified bytes (only lent) that belong at `position` of the file. */
export type BytesTaker = (bytes: Uint8Array, position: number) => Promise<void>;

export interface ReadRangeOptions {
  signal: AbortSignal;
  /** As in `RoundOptions`. */
  blocks?: BlockPair | undefined;
  take: BytesTaker;
  /** The open file that `take` writes to, where receivers may write to it, too. */
  into?: { fd: number; path: string; onWritten: (bytes: number) => void } | undefined;
}

/** What is still to be read of a range: a refresh may bring other holders, or another chunk. */
interface Rest {
  range: PlannedRange;
  run: ChunkRun;
}

export class RangeReader {
  readonly #context: ClientContext;
  readonly #file: RemoteFile;
  readonly #rounds: HolderRounds;

  constructor(context: ClientContext, file: RemoteFile) {
    this.#context = context;
    this.#file = file;
    this.#rounds = new HolderRounds(context);
  }

  /** Reads the range. Throws `lost` (or `busy`) naming file and chunk, or what `take` throws. */
  async read(range: PlannedRange, open: OpenExtent, options: ReadRangeOptions): Promise<void> {
    const { clock, random, waitMs, onWait } = this.#context;
    const startMs = clock.monotonicMs();
    let rest: Rest | undefined = { range, run: runOf(range, open) };
    let emptyMs: number | undefined;
    for (let attempt = 0, corruptRounds = 0;; attempt++) {
      const round = await this.#round(rest, options);
      if (round.done) return;
      const { extent, checksum } = rest.range;
      if (round.corrupt && checksum !== undefined) return await this.#readAround(rest, options);
      emptyMs = round.empty ? emptyMs ?? clock.monotonicMs() : undefined;
      if (emptyMs !== undefined && clock.monotonicMs() - emptyMs >= DEAD_MS) {
        const known = await this.#file.knownHolders(extent, options.signal);
        if (known.every(({ state }) => state === "DEAD")) throw this.#dead(extent, known);
      }
      if (round.corrupt && ++corruptRounds >= CORRUPT_ROUNDS_MAX) throw this.#lost(extent, round);
      const pauseMs = round.expired && attempt === 0 ? 0 : backoffMs(attempt, BACKOFF, random);
      const patienceMs = round.busy ? waitMs : HOLDERS_MS;
      if (clock.monotonicMs() - startMs + pauseMs > patienceMs) throw this.#lost(extent, round);
      if (round.busy) onWait({ code: "busy", waitMs });
      await clock.sleep(pauseMs, options.signal);
      const fresh = await this.#file.refresh(extent, options.signal);
      rest = restOf(rest, fresh);
      if (rest === undefined) return;
    }
  }

  /**
   * Reads in blocks what no holder had right as a whole: they tell which holder is wrong. Throws
   * `corrupt` when the chunk is right, and has something else where the file should be.
   */
  async #readAround({ range, run }: Rest, options: ReadRangeOptions): Promise<void> {
    const { extent, wantStart, wantEnd, checksum } = range;
    const bytes = new Uint8Array(extent.length);
    const take: BytesTaker = (part, position) => {
      bytes.set(part, position - extent.offset);
      return Promise.resolve();
    };
    const open = { extent: { ...extent, ...run.source }, holders: [...run.holders] };
    for (const blocks of cutRanges(open.extent, CHUNK_BYTES_MAX)) {
      await this.read(blocks, open, { ...options, take, into: undefined });
    }
    if (fileChecksum([sumsOf(bytes)]) !== checksum) throw this.#misplaced(extent);
    const wanted = bytes.subarray(wantStart - extent.chunkOffset, wantEnd - extent.chunkOffset);
    await options.take(wanted, filePosition(extent, wantStart));
  }

  #round({ range, run }: Rest, { signal, blocks, take, into }: ReadRangeOptions): Promise<Round> {
    const { wantStart, wantEnd, extent } = range;
    const part = into && { ...into, wantStart, wantEnd, shift: filePosition(extent, 0) };
    return this.#rounds.read(run, {
      signal,
      blocks,
      part,
      take: (block, chunkOffset) => {
        const from = Math.max(range.wantStart, chunkOffset);
        const to = Math.min(range.wantEnd, chunkOffset + block.length);
        const wanted = block.subarray(from - chunkOffset, to - chunkOffset);
        return take(wanted, filePosition(range.extent, from));
      },
    });
  }

  /** All that are known to have the chunk are dead. */
  #dead({ chunk }: LocatedExtent, known: readonly { keeper: string }[]): TydfsError {
    const { path } = this.#file.facts;
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

  #misplaced({ chunk }: LocatedExtent): TydfsError {
    const { path } = this.#file.facts;
    const state = `chunk ${chunk} is right, and yet the file's checksum does not fit`;
    const message = `Cannot read ${quotePath(path)}: ${state}`;
    return new TydfsError("corrupt", message, { data: { path, chunk } });
  }

  #lost({ chunk }: LocatedExtent, round: Round): TydfsError {
    const { path } = this.#file.facts;
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

function runOf(range: PlannedRange, { extent, holders }: OpenExtent): ChunkRun {
  const { fetchStart: next, fetchEnd: end, checksum } = range;
  const run = { source: extent, holders, next, end };
  if (checksum === undefined) return run;
  return { ...run, isRight: (bytes) => fileChecksum([sumsOf(bytes)]) === checksum };
}

/**
 * What is left of a range whose extent was asked for again; undefined for nothing. Compaction may
 * have moved it into another chunk.
 */
function restOf({ range, run }: Rest, fresh: OpenExtent): Rest | undefined {
  const { extent, checksum } = range;
  const { holders } = fresh;
  const stays = fresh.extent.chunk === extent.chunk &&
    fresh.extent.chunkOffset === extent.chunkOffset;
  if (stays) return { range, run: { ...run, source: fresh.extent, holders } };
  const start = filePosition(extent, Math.max(run.next, range.wantStart));
  const end = filePosition(extent, range.wantEnd);
  const file = { sizeBytes: extent.length, checksum: checksum ?? "" };
  const packed = checksum && packedRange(fresh.extent, file, { start, end });
  const [rest] = packed ? [packed] : cutRanges(fresh.extent, CHUNK_BYTES_MAX, { start, end });
  return rest === undefined ? undefined : { range: rest, run: runOf(rest, fresh) };
}
