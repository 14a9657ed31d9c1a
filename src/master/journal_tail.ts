/**
 * The end of the journal in the master's own data directory: what was committed, but may not have
 * reached keepers yet. A master that was killed reads it at its next start, and ships it again, so
 * that the keepers' journals have no gap. It is not synced: after a power loss it may be torn, and
 * then the first snapshot closes the gap.
 */
import type { Log } from "../base/log.ts";
import { MIB } from "../base/bytes.ts";
import * as v from "valibot";
import { chainBytes, type CommittedBatch, type HistoryMark } from "../catalog/writer.ts";
import { decode, encode } from "../wire/codec.ts";
import { encodeFrame, FrameReader } from "../wire/journal_frame.ts";
import type { TailFile } from "./archive_files.ts";

/** A file that holds nothing any more is emptied at this size; one that grows beyond is useless. */
const EMPTY_BYTES = MIB;
const BYTES_MAX = 32 * MIB;

const Bytes = v.custom<Uint8Array>((value) => value instanceof Uint8Array, "bytes are due");
const Batch = v.object({
  from: v.number(),
  to: v.number(),
  hashBefore: Bytes,
  operations: v.array(Bytes),
});

export class JournalTail {
  readonly #file: TailFile;
  readonly #log: Log;
  readonly #emptyBytes: number;
  #bytes = 0;
  #last = 0;

  constructor(file: TailFile, log: Log, emptyBytes = EMPTY_BYTES) {
    this.#file = file;
    this.#log = log;
    this.#emptyBytes = emptyBytes;
  }

  /**
   * The batches that lead to the end of the catalog's history without a gap. Anything else is of no
   * use, and is dropped.
   */
  open({ sequence, hash }: HistoryMark): CommittedBatch[] {
    const batches: CommittedBatch[] = [];
    let end: Uint8Array | undefined;
    for (const payload of new FrameReader().read(this.#file.read())) {
      const batch = decode(Batch, payload, "the journal's end");
      const follows = batch.from === (batches.at(-1)?.to ?? NaN) + 1 &&
        end !== undefined && Buffer.compare(end, batch.hashBefore) === 0;
      if (!follows) batches.length = 0;
      batches.push(batch);
      end = batch.operations.reduce<Uint8Array>(chainBytes, batch.hashBefore);
    }
    const isWhole = batches.at(-1)?.to === sequence && end?.toHex() === hash;
    const found = isWhole ? batches : [];
    this.#empty();
    for (const batch of found) this.add(batch);
    return found;
  }

  /** Notes a batch that is committed. */
  add({ from, to, hashBefore, operations }: CommittedBatch): void {
    if (this.#bytes > BYTES_MAX) return;
    const frame = encodeFrame(encode({ from, to, hashBefore, operations }));
    this.#bytes += frame.length;
    this.#last = to;
    try {
      if (this.#bytes <= BYTES_MAX) return this.#file.append(frame);
      this.#file.empty();
    } catch (error) {
      this.#log.warn("Cannot keep the journal's end: a restart makes a snapshot needed", { error });
      this.#bytes = Infinity;
    }
  }

  /** Keepers have all up to operation `to`: what is noted may go, once it is worth it. */
  shipped(to: number): void {
    if (to >= this.#last && this.#bytes > this.#emptyBytes) this.#empty();
  }

  #empty(): void {
    try {
      this.#file.empty();
      this.#bytes = 0;
    } catch (error) {
      this.#log.warn("Cannot empty the journal's end", { error });
      this.#bytes = Infinity;
    }
  }
}
