/**
 * The part of the catalog's history that is on its way to keepers: batches in order, who has each
 * of them, and how much of it there is. Bounded: past its room the oldest go, and that is told.
 */
import type { CommittedBatch } from "../catalog/writer.ts";
import { chainBytes } from "../catalog/writer.ts";
import { must } from "../base/assert.ts";

/** A batch, or a part of a large one. */
export interface Entry extends CommittedBatch {
  sizeBytes: number;
  /** The keepers that have it. */
  acks: Set<string>;
}

/** Bytes that an operation takes besides its own. */
const OVERHEAD_BYTES = 8;

export class JournalQueue {
  readonly #bytesMax: number;
  readonly #pieceMax: number;
  #entries: Entry[] = [];
  #bytes = 0;
  /** The last operation that went before enough keepers had it; 0 for none. */
  lost = 0;

  /** Holds `bytesMax`; no entry is larger than `pieceMax`, but for a single operation that is. */
  constructor(limits: { bytesMax: number; pieceMax: number }) {
    this.#bytesMax = limits.bytesMax;
    this.#pieceMax = limits.pieceMax;
  }

  get isEmpty(): boolean {
    return this.#entries.length === 0;
  }

  /** Adds a batch behind the others; returns what it was cut into. */
  add(batch: CommittedBatch): Entry[] {
    const added = splitBatch(batch, this.#pieceMax);
    for (const entry of added) {
      this.#entries.push(entry);
      this.#bytes += entry.sizeBytes;
    }
    while (this.#bytes > this.#bytesMax && this.#entries.length > 1) {
      this.lost = this.#shift().to;
    }
    return added;
  }

  /** Lets go of what stands at the front and is `done`. */
  drop(done: (entry: Entry) => boolean): void {
    let count = 0;
    while (count < this.#entries.length && done(must(this.#entries[count], "an entry"))) {
      this.#bytes -= must(this.#entries[count], "an entry").sizeBytes;
      count++;
    }
    if (count > 0) this.#entries = this.#entries.slice(count);
  }

  /** The entries behind operation `sequence`, in order. */
  *after(sequence: number): Generator<Entry> {
    let [low, high] = [0, this.#entries.length];
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (must(this.#entries[middle], "an entry").to > sequence) high = middle;
      else low = middle + 1;
    }
    for (; low < this.#entries.length; low++) yield must(this.#entries[low], "an entry");
  }

  /** What this keeper gets next, in one piece: entries behind `sequence` that follow each other. */
  next(keeper: string, sequence: number): Entry[] {
    const run: Entry[] = [];
    let bytes = 0;
    for (const entry of this.after(sequence)) {
      if (entry.acks.has(keeper)) {
        if (run.length === 0) continue;
        break;
      }
      bytes += entry.sizeBytes;
      if (run.length > 0 && bytes > this.#pieceMax) break;
      run.push(entry);
    }
    return run;
  }

  #shift(): Entry {
    const entry = must(this.#entries.shift(), "an entry");
    this.#bytes -= entry.sizeBytes;
    return entry;
  }
}

function splitBatch(batch: CommittedBatch, pieceMax: number): Entry[] {
  const entries: Entry[] = [];
  let { from, hashBefore } = batch;
  let hash = hashBefore;
  let operations: Uint8Array[] = [];
  let sizeBytes = 0;
  const close = () => {
    const to = from + operations.length - 1;
    entries.push({ from, to, hashBefore, operations, sizeBytes, acks: new Set() });
    [from, hashBefore, operations, sizeBytes] = [to + 1, hash, [], 0];
  };
  for (const bytes of batch.operations) {
    const more = bytes.length + OVERHEAD_BYTES;
    if (operations.length > 0 && sizeBytes + more > pieceMax) close();
    operations.push(bytes);
    sizeBytes += more;
    // Only where a batch is split is the hash at the border needed.
    if (batch.operations.length > 1) hash = chainBytes(hash, bytes);
  }
  close();
  return entries;
}
