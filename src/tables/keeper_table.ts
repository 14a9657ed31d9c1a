/**
 * KeeperTable: who is alive, with how much room. Written by the sentinel alone (but for who has
 * joined: that the writer notes); read by trackers and the replicator. A keeper's row is its number
 * in the catalog.
 */
import { must } from "../base/assert.ts";
import type { KeeperState } from "../wire/cluster.ts";
import { KEEPER_STATES } from "./keeper_state.ts";
import { KEEPERS_MAX } from "./port_table.ts";
import { readWide, Rows, writeWide } from "./rows.ts";

const STATE = 0;
const EPOCH = 1;
const LAST_BEAT = 2;
const FREE = 4;
const TOTAL = 6;
const CHUNKS = 8;
const FLAGS = 10;
const DEAD_SINCE = 11;
const JOINED_EPOCH = 13;
const LISTED_EPOCH = 14;
const ROW_WORDS = 16;
const READ_ONLY = 1;
const LEFT = 2;

/** A keeper's row as it is now. Times are monotonic ms. */
export interface KeeperRow {
  state: KeeperState;
  epoch: number;
  lastBeatMs: number;
  freeBytes: number;
  totalBytes: number;
  chunks: number;
  readOnly: boolean;
  /** It stopped in good order: the maintenance window holds instead of the repair delay. */
  left: boolean;
  /** When it was found dead; meaningful in state DEAD only. */
  deadSinceMs: number;
}

export class KeeperTable {
  readonly #rows: Rows;

  constructor(buffer?: SharedArrayBuffer) {
    this.#rows = new Rows(KEEPERS_MAX, ROW_WORDS, buffer);
  }

  get buffer(): SharedArrayBuffer {
    return this.#rows.buffer;
  }

  /** The row of a keeper; undefined when this master knows none of that number. */
  find(number: number): KeeperRow | undefined {
    const state = must(KEEPER_STATES[this.#rows.get(number, STATE)], "a keeper state");
    if (state === "NONE") return undefined;
    const flags = this.#rows.get(number, FLAGS);
    return {
      state,
      epoch: this.#rows.get(number, EPOCH),
      lastBeatMs: readWide(this.#rows, number, LAST_BEAT),
      freeBytes: readWide(this.#rows, number, FREE),
      totalBytes: readWide(this.#rows, number, TOTAL),
      chunks: readWide(this.#rows, number, CHUNKS),
      readOnly: (flags & READ_ONLY) !== 0,
      left: (flags & LEFT) !== 0,
      deadSinceMs: readWide(this.#rows, number, DEAD_SINCE),
    };
  }

  /** Whether streams may be sent to this keeper. */
  alive(number: number): boolean {
    return this.find(number)?.state === "ALIVE";
  }

  /** Writes what a keeper's row holds. Only the sentinel calls it. */
  put(number: number, row: KeeperRow): void {
    writeWide(this.#rows, number, LAST_BEAT, Math.floor(row.lastBeatMs));
    writeWide(this.#rows, number, FREE, row.freeBytes);
    writeWide(this.#rows, number, TOTAL, row.totalBytes);
    writeWide(this.#rows, number, CHUNKS, row.chunks);
    writeWide(this.#rows, number, DEAD_SINCE, Math.floor(row.deadSinceMs));
    this.#rows.set(number, FLAGS, (row.readOnly ? READ_ONLY : 0) | (row.left ? LEFT : 0));
    this.#rows.set(number, EPOCH, row.epoch);
    this.#rows.set(number, STATE, KEEPER_STATES.indexOf(row.state));
  }

  /** Empties the row of a keeper that was removed. Only the sentinel calls it. */
  clear(number: number): void {
    this.#rows.set(number, STATE, KEEPER_STATES.indexOf("NONE"));
  }

  /** Notes that a keeper has registered with this master. Only the writer calls it. */
  markJoined(number: number, epoch: number): void {
    this.#rows.set(number, JOINED_EPOCH, epoch + 1);
  }

  /** Notes that a keeper's whole inventory has come in. Only the writer calls it. */
  markListed(number: number, epoch: number): void {
    this.#rows.set(number, LISTED_EPOCH, epoch + 1);
  }

  /**
   * Whether the whole inventory of the keeper's process of this epoch has come since this master's
   * start.
   */
  hasListed(number: number, epoch: number): boolean {
    return this.#rows.get(number, LISTED_EPOCH) === epoch + 1;
  }

  /** Whether the keeper's process of this epoch has registered since this master's start. */
  hasJoined(number: number, epoch: number): boolean {
    return this.#rows.get(number, JOINED_EPOCH) === epoch + 1;
  }
}
