/** An upload from memory: bytes that are there already are neither copied nor held twice. */
import { MIB } from "../base/bytes.ts";
import { sumsOf } from "../wire/sums.ts";
import type { PlannedChunk } from "./plan.ts";
import { cutChunks } from "./plan.ts";
import type { Source, SourceChunk } from "./source.ts";

/** Chunks of memory are no larger, so that what gives them need not hold more. */
const CHUNK_BYTES_MAX = 64 * MIB;

/** Bytes that can be asked for piece by piece. They must not change while they are put. */
export interface MemoryBytes {
  readonly sizeBytes: number;
  /** The bytes from `start` to `end` (exclusive): at most 64 MiB, and the same each time. */
  slice(start: number, end: number): Uint8Array;
}

export class MemorySource implements Source {
  readonly sizeBytes: number;
  readonly mode = 0o644;
  readonly mtimeMs: number;
  readonly chunksMax: number = Infinity;
  /** Memory does not outlive what would go on. */
  readonly isResumable = false;
  readonly #bytes: MemoryBytes;

  constructor(bytes: MemoryBytes, mtimeMs: number) {
    this.#bytes = bytes;
    this.sizeBytes = bytes.sizeBytes;
    this.mtimeMs = Math.trunc(mtimeMs);
  }

  whole(_signal: AbortSignal): Promise<SourceChunk | undefined> {
    const { sizeBytes } = this;
    if (sizeBytes > CHUNK_BYTES_MAX) return Promise.resolve(undefined);
    return Promise.resolve(this.#chunk({ seq: 0, offset: 0, sizeBytes }));
  }

  async *chunks(chunkBytes: number, _signal: AbortSignal): AsyncGenerator<SourceChunk> {
    for (const planned of cutChunks(this.sizeBytes, Math.min(chunkBytes, CHUNK_BYTES_MAX))) {
      yield this.#chunk(planned);
    }
  }

  check(): Promise<void> {
    return Promise.resolve();
  }

  #chunk(planned: PlannedChunk): SourceChunk {
    const { offset, sizeBytes } = planned;
    const bytes = () => this.#bytes.slice(offset, offset + sizeBytes);
    return {
      ...planned,
      sums: () => Promise.resolve(sumsOf(bytes())),
      body: bytes,
      release: () => {},
    };
  }
}

/** A whole array as `MemoryBytes`. */
export function memoryBytes(bytes: Uint8Array): MemoryBytes {
  return { sizeBytes: bytes.length, slice: (start, end) => bytes.subarray(start, end) };
}
