/**
 * PortTable: which port of which keeper has room for a stream. The master's trackers take slots in
 * it by compare-and-swap and never wait; the keeper's own table, of the same class, holds what its
 * streamers really carry. A slot is given back by a report, by its lease running out, by the
 * keeper's next heartbeat, or by the keeper's death: no path leaks one.
 *
 * A taken slot is named by its *grant*, one word: row (13 bits), slot (6 bits), generation (13
 * bits, never 0). The generation changes with every taking, so that a late release can't free a
 * slot that someone else has by now.
 */
import type { PortState } from "../wire/cluster.ts";
import { readWide, Rows, writeWide } from "./rows.ts";

/** Ports of one keeper; a keeper's ports have the rows `keeper number × PORTS_MAX + index`. */
export const PORTS_MAX = 8;
export const KEEPERS_MAX = 1024;
/**
 * Slots of one port's row. A streamer holds the grants of a whole chain, so this exceeds the
 * `slots` setting.
 */
export const SLOTS_MAX = 64;

const PORT = 0;
const ONLINE = 1;
const SLOTS = 2;
const READERS = 3;
const BYTES_IN = 4;
const BYTES_OUT = 6;
const TICK = 8;
// No slot from this one on was ever taken: only those before it are looked at.
const TAKEN_END = 9;
const FIRST_SLOT = 16;
const FIRST_HELD = FIRST_SLOT + SLOTS_MAX;
const ROW_WORDS = FIRST_HELD + SLOTS_MAX;

// A slot is one word, so that a single compare-and-swap takes it: lease end (19 bits, 0: free),
// generation (13 bits). Lease ends count eighths of a second in a circle of 18 hours; `mirror`
// clears old ones long before half a turn.
const GENERATION_BITS = 13;
const GENERATIONS = 2 ** GENERATION_BITS;
const CIRCLE = 2 ** 19 - 1;
const LEASE_UNIT_MS = 125;

/** What a port has carried and carries, as a heartbeat tells it. */
export interface PortCounts {
  inUse: number;
  bytesIn: number;
  bytesOut: number;
}

export class PortTable {
  readonly #rows: Rows;

  /** `buffer` joins the table of another thread; `rowsMax` must be the same in both. */
  constructor(rowsMax: number, buffer?: SharedArrayBuffer) {
    this.#rows = new Rows(rowsMax, ROW_WORDS, buffer);
  }

  get buffer(): SharedArrayBuffer {
    return this.#rows.buffer;
  }

  /** Sets up a row for a port that listens. Slots that are taken stay so until their leases end. */
  open(row: number, port: number, slots: number): void {
    this.#rows.set(row, PORT, port);
    this.#rows.set(row, SLOTS, Math.min(slots, SLOTS_MAX));
    this.#rows.set(row, ONLINE, 1);
  }

  /** Takes a port out of service and frees all its slots. */
  close(row: number): void {
    this.#rows.set(row, ONLINE, 0);
    this.#rows.set(row, READERS, 0);
    const end = this.#rows.get(row, TAKEN_END);
    for (let slot = 0; slot < end; slot++) this.#free(row, slot);
  }

  port(row: number): number {
    return this.#rows.get(row, PORT);
  }

  /** Whether the port is in service. */
  online(row: number): boolean {
    return this.#rows.get(row, ONLINE) !== 0;
  }

  slots(row: number): number {
    return this.#rows.get(row, SLOTS);
  }

  /**
   * Takes a slot until `nowMs + leaseMs` (monotonic ms). Returns its grant, or undefined when the
   * port is offline or has no room: never waits.
   */
  take(row: number, nowMs: number, leaseMs: number): number | undefined {
    if (this.#rows.get(row, ONLINE) === 0) return undefined;
    const room = this.slots(row) - this.#rows.get(row, READERS);
    if (this.#leased(row, nowMs) >= room) return undefined;
    for (let slot = 0; slot < this.slots(row); slot++) {
      const word = this.#rows.get(row, FIRST_SLOT + slot);
      if (live(word, nowMs)) continue;
      this.#raiseTakenEnd(row, slot + 1);
      const generation = 1 + generationOf(word) % (GENERATIONS - 1);
      const taken = slotWord(leaseEnd(nowMs + leaseMs), generation);
      if (!this.#rows.swap(row, FIRST_SLOT + slot, word, taken)) continue;
      return ((row << 19) | (slot << GENERATION_BITS) | generation) >>> 0;
    }
    return undefined;
  }

  /** Gives a slot back. Does nothing when the grant is no longer the slot's. */
  release(grant: number): void {
    const found = this.#find(grant);
    if (found !== undefined) {
      const free = slotWord(0, generationOf(found.word));
      this.#rows.swap(found.row, FIRST_SLOT + found.slot, found.word, free);
    }
  }

  /** Prolongs the lease of a slot whose stream is alive; whether the grant is still the slot's. */
  renew(grant: number, nowMs: number, leaseMs: number): boolean {
    const found = this.#find(grant);
    if (found === undefined) return false;
    const renewed = slotWord(leaseEnd(nowMs + leaseMs), generationOf(found.word));
    return this.#rows.swap(found.row, FIRST_SLOT + found.slot, found.word, renewed);
  }

  /**
   * Notes a foreign grant in any free place of `row` (a keeper's own table); whether there was one.
   */
  hold(row: number, grant: number): boolean {
    for (let slot = 0; slot < SLOTS_MAX; slot++) {
      if (this.#rows.swap(row, FIRST_HELD + slot, 0, grant)) return true;
    }
    return false;
  }

  /** Takes a foreign grant out of `row` again. */
  drop(row: number, grant: number): void {
    for (let slot = 0; slot < SLOTS_MAX; slot++) {
      if (this.#rows.swap(row, FIRST_HELD + slot, grant, 0)) return;
    }
  }

  /** The foreign grants that `row` holds. */
  held(row: number): number[] {
    const held: number[] = [];
    for (let slot = 0; slot < SLOTS_MAX; slot++) {
      const grant = this.#rows.get(row, FIRST_HELD + slot);
      if (grant !== 0) held.push(grant);
    }
    return held;
  }

  /**
   * Mirrors a heartbeat: `readers` are streams that no grant of this table stands for. Clears
   * leases that have run out.
   */
  mirror(
    row: number,
    counts: Omit<PortCounts, "inUse"> & { readers: number },
    nowMs: number,
  ): void {
    const end = this.#rows.get(row, TAKEN_END);
    for (let slot = 0; slot < end; slot++) {
      const word = this.#rows.get(row, FIRST_SLOT + slot);
      if (leaseOf(word) === 0 || live(word, nowMs)) continue;
      this.#rows.swap(row, FIRST_SLOT + slot, word, slotWord(0, generationOf(word)));
    }
    this.#rows.set(row, READERS, counts.readers);
    writeWide(this.#rows, row, BYTES_IN, counts.bytesIn);
    writeWide(this.#rows, row, BYTES_OUT, counts.bytesOut);
  }

  /** Sets how many streams a keeper's port carries now (a keeper's own table). */
  setStreams(row: number, streams: number): void {
    this.#rows.set(row, READERS, streams);
  }

  /** Counts bytes that came in and went out; one thread a row. */
  countBytes(row: number, bytesIn: number, bytesOut: number): void {
    if (bytesIn > 0) {
      writeWide(this.#rows, row, BYTES_IN, readWide(this.#rows, row, BYTES_IN) + bytesIn);
    }
    if (bytesOut > 0) {
      writeWide(this.#rows, row, BYTES_OUT, readWide(this.#rows, row, BYTES_OUT) + bytesOut);
    }
  }

  /** Streams set by `setStreams` and bytes so far (a keeper's own table). */
  counts(row: number): PortCounts {
    return {
      inUse: this.#rows.get(row, READERS),
      bytesIn: readWide(this.#rows, row, BYTES_IN),
      bytesOut: readWide(this.#rows, row, BYTES_OUT),
    };
  }

  /** Slots and readers in use at `nowMs`, as the master sees a port. */
  inUse(row: number, nowMs: number): number {
    return this.#rows.get(row, READERS) + this.#leased(row, nowMs);
  }

  state(row: number, nowMs: number): PortState {
    if (this.#rows.get(row, ONLINE) === 0) return "OFFLINE";
    return this.inUse(row, nowMs) >= this.slots(row) ? "BUSY" : "FREE";
  }

  /** A streamer's sign of life: grows as long as its event loop turns. */
  tick(row: number): void {
    this.#rows.add(row, TICK, 1);
  }

  ticks(row: number): number {
    return this.#rows.get(row, TICK);
  }

  #leased(row: number, nowMs: number): number {
    let leased = 0;
    const end = this.#rows.get(row, TAKEN_END);
    for (let slot = 0; slot < end; slot++) {
      if (live(this.#rows.get(row, FIRST_SLOT + slot), nowMs)) leased++;
    }
    return leased;
  }

  /**
   * Before a slot is taken, so that no thread overlooks it. It is never lowered: the lowest free
   * slot is taken first, so that it says how many were in use at once.
   */
  #raiseTakenEnd(row: number, end: number): void {
    for (;;) {
      const before = this.#rows.get(row, TAKEN_END);
      if (before >= end || this.#rows.swap(row, TAKEN_END, before, end)) return;
    }
  }

  #find(grant: number): { row: number; slot: number; word: number } | undefined {
    const row = grant >>> 19;
    const slot = (grant >>> GENERATION_BITS) & (SLOTS_MAX - 1);
    if (row >= this.#rows.rowsMax) return undefined;
    const word = this.#rows.get(row, FIRST_SLOT + slot);
    const current = leaseOf(word) !== 0 && generationOf(word) === grant % GENERATIONS;
    return current ? { row, slot, word } : undefined;
  }

  #free(row: number, slot: number): void {
    const generation = generationOf(this.#rows.get(row, FIRST_SLOT + slot));
    this.#rows.set(row, FIRST_SLOT + slot, slotWord(0, generation));
  }
}

/** The row of port number `index` of a keeper. */
export function portRow(keeperNumber: number, index: number): number {
  return keeperNumber * PORTS_MAX + index;
}

/** The row that a grant stands in. */
export function rowOfGrant(grant: number): number {
  return grant >>> 19;
}

function slotWord(lease: number, generation: number): number {
  return ((lease << GENERATION_BITS) | generation) >>> 0;
}

function leaseOf(word: number): number {
  return word >>> GENERATION_BITS;
}

function generationOf(word: number): number {
  return word % GENERATIONS;
}

function leaseEnd(ms: number): number {
  return 1 + Math.ceil(ms / LEASE_UNIT_MS) % CIRCLE;
}

/** Whether a slot is taken and its lease has not run out. */
function live(word: number, nowMs: number): boolean {
  if (leaseOf(word) === 0) return false;
  const left = (leaseOf(word) - 1 - Math.floor(nowMs / LEASE_UNIT_MS) % CIRCLE + CIRCLE) % CIRCLE;
  return left > 0 && left < CIRCLE / 2;
}
