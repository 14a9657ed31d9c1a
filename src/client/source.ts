/**
 * What an upload reads: a local file, chunk by chunk without holding it, or a stream, held a few
 * chunks at a time.
 */
import { must } from "../base/assert.ts";
import { KIB, MIB } from "../base/bytes.ts";
import {
  BLOCK_BYTES,
  blockCount,
  blockLength,
  emptySums,
  hashBlock,
  setSum,
  sumsOf,
} from "../wire/sums.ts";
import { orAbort } from "./crew.ts";
import type { LocalSource } from "./local_files.ts";
import { changedError } from "./local_files.ts";
import type { PlannedChunk } from "./plan.ts";
import { cutChunks } from "./plan.ts";

/** Files up to this size are offered as one chunk in the first request. */
const WHOLE_BYTES_MAX = 64 * MIB;
/** A chunk up to this size is held from its summing to its end, and need not be read again. */
const HELD_BYTES_MAX = 128 * KIB;
/** Streams are cut into chunks of this size at most, since they are held in memory. */
const STREAM_CHUNK_BYTES = 8 * MIB;
const STREAM_CHUNKS_MAX = 2;

/** One chunk of a source. */
export interface SourceChunk extends PlannedChunk {
  /** Reads the chunk and makes its sums; the same bytes are in `body` unless the source changes. */
  sums(): Promise<Uint8Array>;
  body(): Blob | Uint8Array;
  /** Gives its memory back; to be called when it is sent, and not used after that. */
  release(): void;
}

export interface Source {
  /** Undefined where it is known only at the end. */
  readonly sizeBytes: number | undefined;
  readonly mode: number;
  readonly mtimeMs: number;
  /** Chunks that may be under way at once. */
  readonly chunksMax: number;
  /** Whether it can be read again: then an upload that is cut off is kept, and gone on with. */
  readonly isResumable: boolean;
  /**
   * The whole source as one chunk, when it is small enough to be offered at once. To be asked
   * first.
   */
  whole(signal: AbortSignal): Promise<SourceChunk | undefined>;
  /** The whole source as chunks of at most `chunkBytes`. */
  chunks(chunkBytes: number, signal: AbortSignal): AsyncGenerator<SourceChunk>;
  /** Throws `changed` when the source is not what it was. */
  check(): Promise<void>;
}

export class FileSource implements Source {
  readonly sizeBytes: number;
  readonly mode: number;
  readonly mtimeMs: number;
  readonly chunksMax: number = Infinity;
  readonly isResumable = true;
  readonly #file: LocalSource;

  constructor(file: LocalSource) {
    this.#file = file;
    this.sizeBytes = file.sizeBytes;
    this.mode = file.mode;
    this.mtimeMs = Math.trunc(file.mtimeMs);
  }

  whole(_signal: AbortSignal): Promise<SourceChunk | undefined> {
    const { sizeBytes } = this;
    if (sizeBytes > WHOLE_BYTES_MAX) return Promise.resolve(undefined);
    return Promise.resolve(this.#chunk({ seq: 0, offset: 0, sizeBytes }));
  }

  async *chunks(chunkBytes: number, _signal: AbortSignal): AsyncGenerator<SourceChunk> {
    for (const planned of cutChunks(this.sizeBytes, chunkBytes)) yield this.#chunk(planned);
  }

  check(): Promise<void> {
    return this.#file.check();
  }

  #chunk(planned: PlannedChunk): SourceChunk {
    const { offset, sizeBytes } = planned;
    let held: Uint8Array | undefined;
    return {
      ...planned,
      sums: async () => {
        if (sizeBytes > HELD_BYTES_MAX) return await this.#sums(offset, sizeBytes);
        // Of its own each time: one that was sent before may still be on its way.
        const bytes = new Uint8Array(sizeBytes);
        await this.#read(bytes, offset);
        held = bytes;
        return sumsOf(bytes);
      },
      body: () => held ?? this.#file.slice(offset, offset + sizeBytes),
      release: () => held = undefined,
    };
  }

  /** Fills `bytes` from `offset` on. Throws `changed` when the file is shorter by now. */
  async #read(bytes: Uint8Array, offset: number): Promise<void> {
    if (bytes.length === 0) return;
    const read = await this.#file.read(bytes, offset);
    if (read < bytes.length) throw changedError(this.#file.path);
  }

  /** The sums of a part of the file; one block of memory fills while another one is hashed. */
  async #sums(offset: number, sizeBytes: number): Promise<Uint8Array> {
    const sums = emptySums(sizeBytes);
    const count = blockCount(sizeBytes);
    const buffers = Array.from({ length: Math.min(2, count) }, () => {
      return new Uint8Array(Math.min(BLOCK_BYTES, sizeBytes));
    });
    const read = async (block: number) => {
      const bytes = must(buffers[block % 2], "a buffer").subarray(0, blockLength(sizeBytes, block));
      await this.#read(bytes, offset + block * BLOCK_BYTES);
      return bytes;
    };
    let reading = read(0);
    for (let block = 0; block < count; block++) {
      const bytes = await reading;
      if (block + 1 < count) reading = read(block + 1);
      setSum(sums, block, hashBlock(bytes));
    }
    return sums;
  }
}

export class StreamSource implements Source {
  #sizeBytes: number | undefined;
  readonly mode = 0o644;
  readonly mtimeMs: number;
  readonly chunksMax = STREAM_CHUNKS_MAX;
  readonly isResumable = false;
  readonly #pieces: AsyncIterator<Uint8Array>;
  /** Bytes that were read and not yet handed out. */
  #rest: Uint8Array = new Uint8Array();
  #ended = false;
  /** Memory of chunks that are sent: fresh memory for each would pile up until it is collected. */
  readonly #pool: Uint8Array[] = [];

  constructor(stream: AsyncIterable<Uint8Array>, mtimeMs: number) {
    this.#pieces = stream[Symbol.asyncIterator]();
    this.mtimeMs = mtimeMs;
  }

  get sizeBytes(): number | undefined {
    return this.#sizeBytes;
  }

  async whole(signal: AbortSignal): Promise<SourceChunk | undefined> {
    const bytes = await this.#next(STREAM_CHUNK_BYTES, signal);
    const whole = bytes.length < STREAM_CHUNK_BYTES;
    if (whole) this.#sizeBytes = bytes.length;
    // It is handed out again by `chunks`, if it is more than one of the cluster's chunks.
    this.#rest = whole ? bytes : Buffer.concat([bytes, this.#rest]);
    return whole ? this.#chunk(0, 0, bytes) : undefined;
  }

  async *chunks(chunkBytes: number, signal: AbortSignal): AsyncGenerator<SourceChunk> {
    const pieceBytes = Math.min(chunkBytes, STREAM_CHUNK_BYTES);
    for (let seq = 0, offset = 0;; seq++) {
      const bytes = await this.#next(pieceBytes, signal);
      if (bytes.length === 0) return;
      yield this.#chunk(seq, offset, bytes);
      offset += bytes.length;
    }
  }

  check(): Promise<void> {
    return Promise.resolve();
  }

  /** The next bytes of the stream, in memory of their own; fewer than `length` only at its end. */
  async #next(length: number, signal: AbortSignal): Promise<Uint8Array> {
    const bytes = this.#pool.pop() ?? new Uint8Array(length);
    for (let filled = 0;;) {
      const part = this.#rest.subarray(0, length - filled);
      bytes.set(part, filled);
      filled += part.length;
      this.#rest = this.#rest.subarray(part.length);
      if (filled === length || this.#ended) return bytes.subarray(0, filled);
      const next = await orAbort(this.#pieces.next(), signal);
      if (next.done === true) this.#ended = true;
      else this.#rest = next.value;
    }
  }

  #chunk(seq: number, offset: number, bytes: Uint8Array): SourceChunk {
    return {
      seq,
      offset,
      sizeBytes: bytes.length,
      sums: () => Promise.resolve(sumsOf(bytes)),
      body: () => bytes,
      release: () => {
        // Only what is full is as long as the next chunk; a stream has one shorter chunk, its last.
        if (bytes.byteLength === bytes.buffer.byteLength) this.#pool.push(bytes);
      },
    };
  }
}
