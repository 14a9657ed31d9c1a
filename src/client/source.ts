/** What an upload reads: a local file, chunk by chunk without holding it, or a stream, held a few chunks at a time. */
import { MIB } from "../base/bytes.ts";
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
/** Streams are cut into chunks of this size at most, since they are held in memory. */
const STREAM_CHUNK_BYTES = 16 * MIB;
const STREAM_CHUNKS_MAX = 2;

/** One chunk of a source. */
export interface SourceChunk extends PlannedChunk {
  /** Reads the chunk and makes its sums; the same bytes are in `body` unless the source changes. */
  sums(): Promise<Uint8Array>;
  body(): Blob | Uint8Array;
}

export interface Source {
  /** Undefined where it is known only at the end. */
  readonly sizeBytes: number | undefined;
  readonly mode: number;
  readonly mtimeMs: number;
  /** Chunks that may be under way at once. */
  readonly chunksMax: number;
  /** The whole source as one chunk, when it is small enough to be offered at once. To be asked first. */
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
    return {
      ...planned,
      sums: () => this.#sums(offset, sizeBytes),
      body: () => sizeBytes === 0 ? new Uint8Array() : this.#file.slice(offset, offset + sizeBytes),
    };
  }

  async #sums(offset: number, sizeBytes: number): Promise<Uint8Array> {
    const sums = emptySums(sizeBytes);
    const buffer = new Uint8Array(Math.min(BLOCK_BYTES, sizeBytes));
    for (let block = 0; block < blockCount(sizeBytes); block++) {
      const bytes = buffer.subarray(0, blockLength(sizeBytes, block));
      const read = await this.#file.read(bytes, offset + block * BLOCK_BYTES);
      if (read < bytes.length) throw changedError(this.#file.path);
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
  readonly #pieces: AsyncIterator<Uint8Array>;
  /** Bytes that were read and not yet handed out. */
  #held: Uint8Array[] = [];
  #heldBytes = 0;
  #ended = false;

  constructor(stream: AsyncIterable<Uint8Array>, mtimeMs: number) {
    this.#pieces = stream[Symbol.asyncIterator]();
    this.mtimeMs = mtimeMs;
  }

  get sizeBytes(): number | undefined {
    return this.#sizeBytes;
  }

  async whole(signal: AbortSignal): Promise<SourceChunk | undefined> {
    await this.#fill(STREAM_CHUNK_BYTES, signal);
    if (!this.#ended || this.#heldBytes > STREAM_CHUNK_BYTES) return undefined;
    const bytes = this.#take(this.#heldBytes);
    this.#sizeBytes = bytes.length;
    // It is kept as held too, for the case that the cluster's chunks are smaller.
    this.#hold(bytes);
    return chunkOfBytes(0, 0, bytes);
  }

  async *chunks(chunkBytes: number, signal: AbortSignal): AsyncGenerator<SourceChunk> {
    const pieceBytes = Math.min(chunkBytes, STREAM_CHUNK_BYTES);
    for (let seq = 0, offset = 0;; seq++) {
      await this.#fill(pieceBytes, signal);
      if (this.#heldBytes === 0) return;
      const bytes = this.#take(Math.min(pieceBytes, this.#heldBytes));
      yield chunkOfBytes(seq, offset, bytes);
      offset += bytes.length;
    }
  }

  check(): Promise<void> {
    return Promise.resolve();
  }

  /** Reads until at least `bytesMin` are held or the stream ends. */
  async #fill(bytesMin: number, signal: AbortSignal): Promise<void> {
    while (!this.#ended && this.#heldBytes < bytesMin) {
      const next = await orAbort(this.#pieces.next(), signal);
      if (next.done === true) this.#ended = true;
      else this.#hold(next.value);
    }
  }

  #hold(bytes: Uint8Array): void {
    if (bytes.length === 0) return;
    this.#held.push(bytes);
    this.#heldBytes += bytes.length;
  }

  #take(length: number): Uint8Array {
    const all = Buffer.concat(this.#held);
    this.#held = all.length > length ? [all.subarray(length)] : [];
    this.#heldBytes = all.length - length;
    return all.subarray(0, length);
  }
}

function chunkOfBytes(seq: number, offset: number, bytes: Uint8Array): SourceChunk {
  return {
    seq,
    offset,
    sizeBytes: bytes.length,
    sums: () => Promise.resolve(sumsOf(bytes)),
    body: () => bytes,
  };
}
