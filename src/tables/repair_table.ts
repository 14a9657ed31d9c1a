/**
 * RepairTable: how whole the cluster's chunks are, and how far the repairs. Written by the
 * replicator alone; trackers read it for `cluster.status`. One row; a reader may see the halves of
 * two writes: for people, not for decisions.
 */
import { readWide, Rows, writeWide } from "./rows.ts";

const RUNNING = 0;
const QUEUED = 2;
const UNDER = 4;
const LOST = 6;
const ETA = 8;
const SCANNED = 10;
const STRANDED = 12;
const BLOCKED = 14;
const ROW_WORDS = 16;

/** The state of repair. */
export interface RepairCounts {
  /** Copies that are being made now. */
  running: number;
  /** Chunks that wait for their turn. */
  queued: number;
  /** Chunks with fewer live copies than their goal, but at least one. */
  under: number;
  /** Chunks without any live copy. */
  lost: number;
  /** Chunks whose copies in wrong places are on dead keepers: they can't be moved now. */
  stranded: number;
  /** Chunks that are to be moved, but no keeper that may have them can take them now. */
  blocked: number;
  /**
   * Time until the queue is empty at the present rate, in ms; undefined when nothing is queued or
   * no rate is known.
   */
  etaMs?: number;
  /**
   * When the count of `under` and `lost` began, in monotonic ms: what happened since is not in
   * them.
   */
  scannedMs: number;
}

export class RepairTable {
  readonly #rows: Rows;

  /** `buffer` joins the table of another thread. */
  constructor(buffer?: SharedArrayBuffer) {
    this.#rows = new Rows(1, ROW_WORDS, buffer);
  }

  get buffer(): SharedArrayBuffer {
    return this.#rows.buffer;
  }

  /** Writes all counts. Only the replicator calls it. */
  put(counts: RepairCounts): void {
    writeWide(this.#rows, 0, RUNNING, counts.running);
    writeWide(this.#rows, 0, QUEUED, counts.queued);
    writeWide(this.#rows, 0, UNDER, counts.under);
    writeWide(this.#rows, 0, LOST, counts.lost);
    writeWide(this.#rows, 0, STRANDED, counts.stranded);
    writeWide(this.#rows, 0, BLOCKED, counts.blocked);
    writeWide(this.#rows, 0, SCANNED, Math.floor(counts.scannedMs));
    // 0 stands for unknown, so that a fresh table knows none.
    writeWide(this.#rows, 0, ETA, counts.etaMs === undefined ? 0 : Math.ceil(counts.etaMs) + 1);
  }

  read(): RepairCounts {
    const eta = readWide(this.#rows, 0, ETA);
    return {
      running: readWide(this.#rows, 0, RUNNING),
      queued: readWide(this.#rows, 0, QUEUED),
      under: readWide(this.#rows, 0, UNDER),
      lost: readWide(this.#rows, 0, LOST),
      stranded: readWide(this.#rows, 0, STRANDED),
      blocked: readWide(this.#rows, 0, BLOCKED),
      scannedMs: readWide(this.#rows, 0, SCANNED),
      ...(eta === 0 ? {} : { etaMs: eta - 1 }),
    };
  }
}
