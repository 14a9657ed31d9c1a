/**
 * ArchiveTable: how far the catalog is safe on the keepers. The writer thread writes what the
 * journal has reached, the archivist what the snapshots have; each reads the other's half, and
 * trackers read both for `cluster.status`. One row; a reader may see the halves of two writes.
 */
import { readWide, Rows, writeWide } from "./rows.ts";

const BASE = 0;
const SEQUENCE = 2;
const SHIPPED = 4;
const LOST = 6;
const BYTES = 8;
const KEEPERS = 10;
const SNAPSHOT = 12;
const SNAPSHOT_MS = 14;
const COPIES = 16;
const NEWER = 18;
const ROW_WORDS = 20;

/** What the journal has reached. Only the writer thread puts it. */
export interface JournalProgress {
  /** The last operation before this master's start: what went before may lack in the journals. */
  base: number;
  /** The last operation that is committed. */
  sequence: number;
  /** The last one that enough keepers have, with all since `base`. */
  shipped: number;
  /** The last one that was given up before enough keepers had it; 0 for none. */
  lost: number;
  /** Bytes of journal since the start. */
  bytes: number;
  /** Keepers that get the journal now. */
  keepers: number;
}

/** What the snapshots have reached. Only the archivist puts it. */
export interface SnapshotProgress {
  /** The last operation in the newest snapshot that enough keepers have; 0 for none. */
  sequence: number;
  /** When it was made, as wall time in ms, and the keepers that have it. */
  madeMs: number;
  copies: number;
  /** A keeper's archive goes further than this catalog: up to this operation; 0 for none. */
  newer: number;
}

export class ArchiveTable {
  readonly #rows: Rows;

  /** `buffer` joins the table of another thread. */
  constructor(buffer?: SharedArrayBuffer) {
    this.#rows = new Rows(1, ROW_WORDS, buffer);
  }

  get buffer(): SharedArrayBuffer {
    return this.#rows.buffer;
  }

  putJournal(progress: JournalProgress): void {
    const { base, sequence, shipped, lost, bytes, keepers } = progress;
    this.#put([[BASE, base], [SEQUENCE, sequence], [SHIPPED, shipped], [LOST, lost]]);
    this.#put([[BYTES, bytes], [KEEPERS, keepers]]);
  }

  putSnapshot({ sequence, madeMs, copies, newer }: SnapshotProgress): void {
    this.#put([[SNAPSHOT_MS, madeMs], [COPIES, copies], [NEWER, newer], [SNAPSHOT, sequence]]);
  }

  readJournal(): JournalProgress {
    const [base, sequence, shipped] = [this.#get(BASE), this.#get(SEQUENCE), this.#get(SHIPPED)];
    const [lost, bytes, keepers] = [this.#get(LOST), this.#get(BYTES), this.#get(KEEPERS)];
    return { base, sequence, shipped, lost, bytes, keepers };
  }

  readSnapshot(): SnapshotProgress {
    const [sequence, madeMs] = [this.#get(SNAPSHOT), this.#get(SNAPSHOT_MS)];
    return { sequence, madeMs, copies: this.#get(COPIES), newer: this.#get(NEWER) };
  }

  /**
   * The last operation up to which the keepers can give the catalog back: the journal counts only
   * where a snapshot, or the very beginning, lies before it without a gap.
   */
  archived(): number {
    const { base, shipped, lost } = this.readJournal();
    const snapshot = this.readSnapshot().sequence;
    return snapshot >= Math.max(base, lost) ? Math.max(shipped, snapshot) : snapshot;
  }

  #put(values: readonly (readonly [number, number])[]): void {
    for (const [word, value] of values) writeWide(this.#rows, 0, word, Math.floor(value));
  }

  #get(word: number): number {
    return readWide(this.#rows, 0, word);
  }
}
