/**
 * Reads an open file of the cluster at any place, in whole blocks that are kept for a while, since
 * only whole blocks can be verified. What it may fetch in all is bounded.
 */
import { MIB } from "../base/bytes.ts";
import { TydfsError } from "../wire/errors.ts";
import { quotePath } from "../wire/names.ts";
import { BLOCK_BYTES } from "../wire/sums.ts";
import type { OpenFile } from "./api.ts";

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
  readonly #file: OpenFile;
  readonly #options: RandomAccessOptions;
  /** Pieces by number; the one used last is the last one. */
  readonly #pieces = new Map<number, Promise<Uint8Array>>();
  #fetchedBytes = 0;

  constructor(file: OpenFile, options: RandomAccessOptions) {
    this.sizeBytes = file.facts.sizeBytes;
    this.#file = file;
    this.#options = options;
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
    const offset = piece * PIECE_BYTES;
    const length = Math.min(PIECE_BYTES, this.sizeBytes - offset);
    this.#fetchedBytes += length;
    if (this.#fetchedBytes > budgetBytes) {
      const path = quotePath(this.#file.facts.path);
      const words = `more than ${Math.floor(budgetBytes / MIB)} MiB of it would be needed`;
      throw new TydfsError("limit", `Cannot read ${path}: ${words}`);
    }
    const bytes = new Uint8Array(length);
    let filled = 0;
    for await (const part of this.#file.read({ offset, length, signal })) {
      bytes.set(part, filled);
      filled += part.length;
    }
    return bytes;
  }
}
