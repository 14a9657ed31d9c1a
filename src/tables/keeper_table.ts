/**
 * KeeperTable: who is alive, with how much room. Written by the sentinel alone (but for who has
 * joined: that the writer notes); read by trackers and the replicator. A keeper's row is its number
 * in the catalog.
 */
import { must } from "../base/assert.ts";
import type { KeeperState } from "../wire/cluster.ts";
import { DiskFault, type ScrubBeat } from "../wire/heartbeat.ts";
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
const FAULT = 15;
const ASIDE = 16;
const SCRUB_DONE = 18;
const SCRUB_TOTAL = 20;
const SCRUB_BAD = 22;
const SCRUB_PASSED = 24;
const SCRUB_BEGAN = 26;
const SCRUB_DUE = 28;
const SCRUB_RUNNING = 30;
const ROW_WORDS = 32;
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
  /** Why it is read-only, where that is known. */
  fault: DiskFault | undefined;
  /** Bad or unknown chunks that it keeps aside. */
  aside: number;
  scrub: ScrubBeat;
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
    const state = this.state(number);
    if (state === undefined) return undefined;
    const flags = this.#rows.get(number, FLAGS);
    return {
      state,
      epoch: this.#rows.get(number, EPOCH),
      lastBeatMs: readWide(this.#rows, number, LAST_BEAT),
      freeBytes: readWide(this.#rows, number, FREE),
      totalBytes: readWide(this.#rows, number, TOTAL),
      chunks: readWide(this.#rows, number, CHUNKS),
      readOnly: (flags & READ_ONLY) !== 0,
      fault: DiskFault.options[this.#rows.get(number, FAULT) - 1],
      aside: readWide(this.#rows, number, ASIDE),
      scrub: this.#scrub(number),
      left: (flags & LEFT) !== 0,
      deadSinceMs: readWide(this.#rows, number, DEAD_SINCE),
    };
  }

  /** The state of a keeper; undefined when this master knows none of that number. */
  state(number: number): KeeperState | undefined {
    const state = must(KEEPER_STATES[this.#rows.get(number, STATE)], "a keeper state");
    return state === "NONE" ? undefined : state;
  }

  /** Whether streams may be sent to this keeper. */
  alive(number: number): boolean {
    return this.state(number) === "ALIVE";
  }

  /** Whether new chunks may be sent to this keeper. */
  writable(number: number): boolean {
    return this.alive(number) && (this.#rows.get(number, FLAGS) & READ_ONLY) === 0;
  }

  /** Free bytes by its latest beat; 0 when this master knows no keeper of that number. */
  freeBytes(number: number): number {
    return this.state(number) === undefined ? 0 : readWide(this.#rows, number, FREE);
  }

  /** Writes what a keeper's row holds. Only the sentinel calls it. */
  put(number: number, row: KeeperRow): void {
    writeWide(this.#rows, number, LAST_BEAT, Math.floor(row.lastBeatMs));
    writeWide(this.#rows, number, FREE, row.freeBytes);
    writeWide(this.#rows, number, TOTAL, row.totalBytes);
    writeWide(this.#rows, number, CHUNKS, row.chunks);
    writeWide(this.#rows, number, DEAD_SINCE, Math.floor(row.deadSinceMs));
    this.#rows.set(number, FAULT, row.fault ? DiskFault.options.indexOf(row.fault) + 1 : 0);
    writeWide(this.#rows, number, ASIDE, row.aside);
    this.#putScrub(number, row.scrub);
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

  #scrub(number: number): ScrubBeat {
    const read = (word: number) => readWide(this.#rows, number, word);
    return {
      running: this.#rows.get(number, SCRUB_RUNNING) === 1,
      doneBytes: read(SCRUB_DONE),
      totalBytes: read(SCRUB_TOTAL),
      bad: read(SCRUB_BAD),
      passedMs: read(SCRUB_PASSED),
      beganMs: read(SCRUB_BEGAN),
      dueMs: read(SCRUB_DUE),
    };
  }

  #putScrub(number: number, scrub: ScrubBeat): void {
    const { running, doneBytes, totalBytes, bad, passedMs, beganMs, dueMs } = scrub;
    this.#rows.set(number, SCRUB_RUNNING, running ? 1 : 0);
    writeWide(this.#rows, number, SCRUB_DONE, doneBytes);
    writeWide(this.#rows, number, SCRUB_TOTAL, totalBytes);
    writeWide(this.#rows, number, SCRUB_BAD, bad);
    writeWide(this.#rows, number, SCRUB_PASSED, passedMs);
    writeWide(this.#rows, number, SCRUB_BEGAN, beganMs);
    writeWide(this.#rows, number, SCRUB_DUE, dueMs);
  }
}

/** What is known of a scrub before the first beat. */
export const UNKNOWN_SCRUB: ScrubBeat = {
  ...{ running: false, doneBytes: 0, totalBytes: 0, bad: 0, passedMs: 0, beganMs: 0, dueMs: 0 },
};
