/**
 * RepairTable: how whole the cluster's chunks are, how far repairs, draining and balancing are, and
 * what is held back. Written by the replicator alone; trackers read it for `cluster.status`. One
 * row for the cluster and one for each keeper; a reader may see the halves of two writes: for
 * people, not for decisions.
 */
import { KEEPERS_MAX } from "./port_table.ts";
import { readWide, Rows, writeWide } from "./rows.ts";

/** The counts of the cluster's row, in the order of their places there: two words each. */
const COUNTS = [
  "running",
  "queued",
  "under",
  "lost",
  "endangered",
  "waiting",
  "stranded",
  "blocked",
  "queuedBytes",
  "bytesPerSecond",
  "moving",
  "spread",
] as const;
const SCANNED = 2 * COUNTS.length;
const ETA = SCANNED + 2;
const WAIT_UNTIL = ETA + 2;
const BALANCING = WAIT_UNTIL + 2;
const SAFETY = BALANCING + 1;
const ROW_WORDS = SAFETY + 3 * 2;

const DRAIN_KNOWN = 0;
const DRAIN_CHUNKS = 2;
const DRAIN_BYTES = 4;
const DRAIN_STUCK = 6;

/** What `spread` counts parts of. */
const SPREAD_PARTS = 1_000_000;

/** The state of repair. */
export interface RepairCounts {
  /** Copies that are being made now, but for those that make keepers even. */
  running: number;
  /** Chunks that wait for their turn. */
  queued: number;
  /** Chunks with fewer live copies than their goal, but at least one. */
  under: number;
  /** Chunks without any live copy. */
  lost: number;
  /** Chunks with one live copy left, of several. */
  endangered: number;
  /** Chunks whose repair waits for keepers to come back; and the end of the first such wait. */
  waiting: number;
  waitUntilMs?: number;
  /** Chunks whose copies in wrong places are on dead keepers: they can't be moved now. */
  stranded: number;
  /** Chunks that are to be moved, but no keeper that may have them can take them now. */
  blocked: number;
  /** Bytes that are still to be copied, and how many are in a second; of what is in `running`. */
  queuedBytes: number;
  bytesPerSecond: number;
  /**
   * Time until the queue is empty at the present rate, in ms; undefined when nothing is queued or
   * no rate is known.
   */
  etaMs?: number;
  /** Keepers are being made even; copies under way for that. */
  balancing: boolean;
  moving: number;
  /** The largest difference of a keeper's share from the mean, as a part of 1. */
  spread: number;
  /** What is held back: see `packSafeMode`. */
  safety: readonly [number, number, number];
  /**
   * When the count of `under` and `lost` began, in monotonic ms: what happened since is not in
   * them.
   */
  scannedMs: number;
}

/** How far the emptying of a keeper is. */
export interface DrainCounts {
  /** Chunks and bytes that are still to be copied elsewhere. */
  chunks: number;
  bytes: number;
  /** Of these: no other keeper can take a copy. */
  stuck: number;
}

export class RepairTable {
  readonly #rows: Rows;

  /** `buffer` joins the table of another thread. */
  constructor(buffer?: SharedArrayBuffer) {
    this.#rows = new Rows(1 + KEEPERS_MAX, ROW_WORDS, buffer);
  }

  get buffer(): SharedArrayBuffer {
    return this.#rows.buffer;
  }

  /** Writes all counts. Only the replicator calls it. */
  put(counts: RepairCounts): void {
    const { etaMs, waitUntilMs, scannedMs, safety, balancing } = counts;
    const values = { ...counts, spread: counts.spread * SPREAD_PARTS };
    COUNTS.forEach((key, place) => writeWide(this.#rows, 0, 2 * place, Math.round(values[key])));
    writeWide(this.#rows, 0, SCANNED, Math.floor(scannedMs));
    // 0 stands for unknown, so that a fresh table knows none.
    writeWide(this.#rows, 0, ETA, etaMs === undefined ? 0 : Math.ceil(etaMs) + 1);
    writeWide(
      this.#rows,
      0,
      WAIT_UNTIL,
      waitUntilMs === undefined ? 0 : Math.ceil(waitUntilMs) + 1,
    );
    this.#rows.set(0, BALANCING, balancing ? 1 : 0);
    safety.forEach((value, place) => writeWide(this.#rows, 0, SAFETY + 2 * place, value));
  }

  read(): RepairCounts {
    const wide = (word: number) => readWide(this.#rows, 0, word);
    const counts = Object.fromEntries(COUNTS.map((key, place) => [key, wide(2 * place)]));
    const { spread, ...others } = counts as Record<(typeof COUNTS)[number], number>;
    const [eta, waitUntil] = [wide(ETA), wide(WAIT_UNTIL)];
    return {
      ...others,
      spread: spread / SPREAD_PARTS,
      scannedMs: wide(SCANNED),
      balancing: this.#rows.get(0, BALANCING) === 1,
      safety: [wide(SAFETY), wide(SAFETY + 2), wide(SAFETY + 4)],
      ...(eta === 0 ? {} : { etaMs: eta - 1 }),
      ...(waitUntil === 0 ? {} : { waitUntilMs: waitUntil - 1 }),
    };
  }

  /** Writes how far a keeper is emptied; undefined: it is not, or was not counted yet. */
  putDrain(number: number, counts: DrainCounts | undefined): void {
    const row = number + 1;
    writeWide(this.#rows, row, DRAIN_CHUNKS, counts?.chunks ?? 0);
    writeWide(this.#rows, row, DRAIN_BYTES, counts?.bytes ?? 0);
    writeWide(this.#rows, row, DRAIN_STUCK, counts?.stuck ?? 0);
    this.#rows.set(row, DRAIN_KNOWN, counts === undefined ? 0 : 1);
  }

  /** How far a keeper is emptied, as far as it was counted. */
  drain(number: number): DrainCounts | undefined {
    const row = number + 1;
    if (this.#rows.get(row, DRAIN_KNOWN) === 0) return undefined;
    return {
      chunks: readWide(this.#rows, row, DRAIN_CHUNKS),
      bytes: readWide(this.#rows, row, DRAIN_BYTES),
      stuck: readWide(this.#rows, row, DRAIN_STUCK),
    };
  }
}
