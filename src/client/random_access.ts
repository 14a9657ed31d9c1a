/**
 * Reads a file of the cluster at any place: one version, pinned when it was opened, in whole blocks
 * that are kept for a while, since only whole blocks can be verified. What it may fetch in all is
 * bounded.
 */
import { MIB } from "../base/bytes.ts";
import { TydfsError } from "../wire/errors.ts";
import { quotePath } from "../wire/names.ts";
import { BLOCK_BYTES } from "../wire/sums.ts";
import type { ClientContext } from "./context.ts";
import { cutRanges } from "./plan.ts";
import { RangeReader } from "./range_reader.ts";
import type { OpenExtent } from "./remote_file.ts";
import { RemoteFile } from "./remote_file.ts";
import { makeBlockPair } from "./transfer.ts";

/** Pieces of the file that are kept, and their size; a piece is where a block is, in most files. */
const PIECES_MAX = 16;
const PIECE_BYTES = BLOCK_BYTES;

export interface RandomAccessOptions {
  signal: AbortSignal;
  /** More than this is not fetched: reading on fails with `limit`. */
  budgetBytes: number;
}

export class RandomAccess {
  readonly sizeBytes: number;
  readonly #file: RemoteFile;
  readonly #reader: RangeReader;
  readonly #options: RandomAccessOptions;
  readonly #extents: AsyncGenerator<OpenExtent>;
  /** Extents that were told so far, in order. */
  readonly #known: OpenExtent[] = [];
  /** Pieces by number; the one used last is the last one. */
  readonly #pieces = new Map<number, Promise<Uint8Array>>();
  #fetchedBytes = 0;
  #walking: Promise<void> = Promise.resolve();

  private constructor(context: ClientContext, file: RemoteFile, options: RandomAccessOptions) {
    this.sizeBytes = file.facts.sizeBytes;
    this.#file = file;
    this.#reader = new RangeReader(context, file);
    this.#options = options;
    this.#extents = file.extents(options.signal);
  }

  /** Opens the version that `path` names now. Throws `not-found`, `is-directory`. */
  static async open(
    context: ClientContext,
    path: string,
    options: RandomAccessOptions,
  ): Promise<RandomAccess> {
    return new RandomAccess(context, await RemoteFile.open(context, path, options.signal), options);
  }

  /** Bytes that were fetched so far. */
  get fetchedBytes(): number {
    return this.#fetchedBytes;
  }

  /** The bytes from `start` to `end` (exclusive), which the file must have. */
  async read(start: number, end: number): Promise<Uint8Array> {
    const bytes = new Uint8Array(end - start);
    for (let piece = Math.floor(start / PIECE_BYTES); piece * PIECE_BYTES < end; piece++) {
      const pieceStart = piece * PIECE_BYTES;
      const from = Math.max(start, pieceStart);
      const part = (await this.#piece(piece)).subarray(from - pieceStart, end - pieceStart);
      bytes.set(part, from - start);
    }
    return bytes;
  }

  /** A piece, kept from before or fetched now. */
  #piece(piece: number): Promise<Uint8Array> {
    const kept = this.#pieces.get(piece) ?? this.#fetch(piece);
    this.#pieces.delete(piece);
    this.#pieces.set(piece, kept);
    // It is awaited by its reader, and is not to be handed out again when it has failed.
    kept.catch(() => this.#pieces.delete(piece));
    for (const oldest of this.#pieces.keys()) {
      if (this.#pieces.size <= PIECES_MAX) break;
      this.#pieces.delete(oldest);
    }
    return kept;
  }

  async #fetch(piece: number): Promise<Uint8Array> {
    const { signal, budgetBytes } = this.#options;
    const start = piece * PIECE_BYTES;
    const bytes = new Uint8Array(Math.min(PIECE_BYTES, this.sizeBytes - start));
    this.#fetchedBytes += bytes.length;
    if (this.#fetchedBytes > budgetBytes) {
      const path = quotePath(this.#file.facts.path);
      const words = `more than ${Math.floor(budgetBytes / MIB)} MiB of it would be needed`;
      throw new TydfsError("limit", `Cannot read ${path}: ${words}`);
    }
    for (const open of await this.#extentsIn(start, start + bytes.length)) {
      const wanted = sliceOf(open, start, start + bytes.length);
      for (const range of cutRanges(wanted, BLOCK_BYTES)) {
        await this.#reader.read(range, { ...open, extent: wanted }, {
          signal,
          blocks: makeBlockPair(),
          take: (part, position) => {
            bytes.set(part, position - start);
            return Promise.resolve();
          },
        });
      }
    }
    return bytes;
  }

  /** The extents that hold bytes from `start` to `end`; those before are asked for on the way. */
  async #extentsIn(start: number, end: number): Promise<OpenExtent[]> {
    const walk = this.#walking.then(() => this.#walkTo(end));
    this.#walking = walk.catch(() => {});
    await walk;
    return this.#known.filter(({ extent }) =>
      extent.offset < end && extent.offset + extent.length > start
    );
  }

  async #walkTo(end: number): Promise<void> {
    for (;;) {
      const last = this.#known.at(-1)?.extent;
      if (last !== undefined && last.offset + last.length >= end) return;
      const next = await this.#extents.next();
      if (next.done === true) return;
      this.#known.push(next.value);
    }
  }
}

/** The part of an extent that lies within the file's bytes from `start` to `end`. */
function sliceOf({ extent }: OpenExtent, start: number, end: number): OpenExtent["extent"] {
  const from = Math.max(start, extent.offset);
  const to = Math.min(end, extent.offset + extent.length);
  const chunkOffset = extent.chunkOffset + from - extent.offset;
  return { ...extent, offset: from, chunkOffset, length: to - from };
}
