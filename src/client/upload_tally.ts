/**
 * Counts how far an upload is. What the master took over from an interrupted one counts as done
 * from the start, until a chunk of it turns out to be another one and has to be sent.
 */
import type { ProgressListener } from "./context.ts";
import type { PlannedChunk } from "./plan.ts";

export class UploadTally {
  readonly #totalBytes: () => number | undefined;
  readonly #onProgress: ProgressListener;
  /** Bytes from the file's beginning that were taken over, as far as is known. */
  readonly #promisedEnd: number;
  /** What of the promise is not yet kept or broken. */
  #promisedBytes: number;
  /** Numbers of the chunks that are being sent. */
  readonly #sending = new Set<number>();
  /** How much of them is at a keeper already, by the chunk's number. */
  readonly #parts = new Map<number, number>();
  #sentBytes = 0;
  #resumedBytes = 0;

  /** A tally of an upload that took over `promisedBytes`. */
  constructor(
    promisedBytes: number,
    totalBytes: () => number | undefined,
    onProgress: ProgressListener,
  ) {
    this.#totalBytes = totalBytes;
    this.#onProgress = onProgress;
    this.#promisedEnd = Math.min(promisedBytes, totalBytes() ?? 0);
    this.#promisedBytes = this.#promisedEnd;
  }

  /** Bytes that need not be transferred any more, as far as can be seen now. */
  get doneBytes(): number {
    let bytes = this.storedBytes;
    for (const part of this.#parts.values()) bytes += part;
    return bytes;
  }

  /** Bytes of whole chunks that are stored: these are there also if the upload is cut off now. */
  get storedBytes(): number {
    return this.#sentBytes + this.#resumedBytes + this.#promisedBytes;
  }

  /** Bytes that turned out to be there. */
  get resumedBytes(): number {
    return this.#resumedBytes;
  }

  /** Notes that a chunk is not there, and has to be sent. */
  mustSend(chunk: PlannedChunk): void {
    if (this.#sending.has(chunk.seq)) return;
    this.#sending.add(chunk.seq);
    this.#endPromise(chunk);
    this.tell();
  }

  /** Counts a chunk of which `bytes` are at a keeper; that may be fewer than before. */
  part({ seq }: PlannedChunk, bytes: number): void {
    this.#parts.set(seq, bytes);
    this.tell();
  }

  /** Counts a chunk that is stored now, or `wasThere` before. */
  add(chunk: PlannedChunk, wasThere: boolean): void {
    this.#parts.delete(chunk.seq);
    if (!this.#sending.delete(chunk.seq)) this.#endPromise(chunk);
    if (wasThere) this.#resumedBytes += chunk.sizeBytes;
    else this.#sentBytes += chunk.sizeBytes;
    this.tell();
  }

  /** Tells the listener how far it is. */
  tell(): void {
    const resumedBytes = this.#resumedBytes + this.#promisedBytes;
    const totalBytes = this.#totalBytes();
    this.#onProgress({ doneBytes: this.doneBytes, resumedBytes, totalBytes });
  }

  #endPromise({ offset, sizeBytes }: PlannedChunk): void {
    // Chunks are stored from the beginning on, nearly in order: so the promise is of the first.
    const promisedBytes = Math.min(sizeBytes, this.#promisedEnd - offset);
    this.#promisedBytes -= Math.max(0, promisedBytes);
  }
}
