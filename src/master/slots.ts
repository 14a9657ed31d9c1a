/**
 * The keepers as placement sees them, out of the shared tables; and port slots taken there for a
 * chain of copies. A slot that is taken here is given back here, or handed out in a ticket: then
 * its lease bounds it.
 */
import { KIB } from "../base/bytes.ts";
import type { Clock } from "../base/clock.ts";
import type { Random } from "../base/random.ts";
import type { KeeperRecord } from "../catalog/reader.ts";
import { portRow, PORTS_MAX } from "../tables/port_table.ts";
import type { Hop } from "../wire/ticket.ts";
import type { Candidate, Placement, PlacementRequest } from "./placement.ts";
import { choosePlacement, retryMs } from "./placement.ts";
import type { Roster } from "./roster.ts";
import { ShortPorts } from "./short_ports.ts";
import type { Tables } from "./wiring.ts";

/**
 * How long a slot is kept for a client that has not connected yet, and for a stream that is not in
 * its keeper's latest beats. A transfer's slot is free again within 2 s of its end (RELIABILITY
 * C7).
 */
export const SLOT_LEASE_MS = 1_900;

/**
 * Chunks up to this size never wait for a slot: where none is free they go without one, as reads
 * do, and the keeper bounds them (see `Streamer`). They are gone before a pause would be over, and
 * with fewer copies than wanted they would cost the repair more than the stream.
 */
const SHORT_BYTES = 256 * KIB;
/** Stands in a ticket where no slot was taken; no grant is 0. */
const NO_GRANT = 0;
/** From so many keepers on, one look at their ports serves all who ask within so long. */
const MANY = 64;
const FRESH_MS = 10;

export interface SlotsOptions {
  tables: Pick<Tables, "ports" | "keepers">;
  roster: Roster;
  clock: Clock;
  random: Random;
}

/** What placing a chunk has come to: its chain of hops with slots taken, or why there is none. */
export type Chain =
  | { kind: "chain"; hops: Hop[] }
  | Exclude<Placement, { kind: "placed" }>;

export class Slots {
  readonly #options: SlotsOptions;
  #look: { candidates: readonly Candidate[]; untilMs: number } = { candidates: [], untilMs: 0 };

  readonly #shortPorts = new ShortPorts();

  constructor(options: SlotsOptions) {
    this.#options = options;
  }

  /**
   * The keepers that can be written now: those that are being emptied are none. Where there are
   * many, a look at all of their ports costs more than a choice among them, and is good for a
   * moment: a slot is only ever taken at its port itself.
   */
  candidates(): readonly Candidate[] {
    const { clock } = this.#options;
    const nowMs = clock.monotonicMs();
    const isFresh = nowMs < this.#look.untilMs && this.#look.candidates.length >= MANY;
    if (!isFresh) this.#look = { candidates: this.#lookAt(nowMs), untilMs: nowMs + FRESH_MS };
    return this.#look.candidates;
  }

  /** A keeper as placement sees it, whatever its state. */
  candidateOf(
    keeper: KeeperRecord,
    nowMs: number = this.#options.clock.monotonicMs(),
  ): Candidate {
    const { tables } = this.#options;
    let freeSlots = 0;
    let slots = 0;
    for (let index = 0; index < keeper.ports.length; index++) {
      const row = portRow(keeper.number, index);
      if (!tables.ports.online(row)) continue;
      const all = tables.ports.slots(row);
      slots += all;
      freeSlots += Math.max(0, all - tables.ports.inUse(row, nowMs));
    }
    const { number, labels, draining } = keeper;
    const freeBytes = tables.keepers.freeBytes(number);
    const zone = labels["zone"] ?? "";
    return { number, zone, labels, freeBytes, draining, freeSlots, slots };
  }

  /**
   * Chooses keepers for a chunk and takes a slot at each, as far as a short one needs it. Never
   * waits; leaves no slot taken when it fails.
   */
  takeChain(request: Omit<PlacementRequest, "held">): Chain {
    const hops: Hop[] = [];
    const held: Candidate[] = [];
    // Someone was quicker: they stay known as alive, but have no slot.
    const full: Candidate[] = [];
    const isShort = request.sizeBytes <= SHORT_BYTES;
    const place = isShort
      ? this.#shortPorts.next(PORTS_MAX, this.#options.clock.monotonicMs())
      : undefined;
    const all = isShort ? withoutSlots(request.candidates) : request.candidates;
    let candidates = all;
    while (held.length < request.goal) {
      const placement = choosePlacement({ ...request, candidates, held }, this.#options.random);
      if (placement.kind !== "placed") {
        if (held.length >= request.minCopies) break;
        this.release(hops);
        return placement;
      }
      if (placement.keepers.length === 0) break;
      for (const candidate of placement.keepers) {
        const hop = this.#takeHop(candidate.number, place);
        if (hop === undefined) full.push({ ...candidate, freeSlots: 0 });
        else {
          hops.push(hop);
          held.push(candidate);
        }
      }
      if (held.length === request.goal) break;
      const seen = new Set([...held, ...full].map(({ number }) => number));
      candidates = [...all.filter(({ number }) => !seen.has(number)), ...full];
    }
    if (held.length >= request.minCopies) return { kind: "chain", hops };
    this.release(hops);
    return { kind: "busy", retryAfterMs: retryMs(this.#options.random) };
  }

  #lookAt(nowMs: number): Candidate[] {
    const { tables, roster } = this.#options;
    return roster.all()
      .filter(({ number, draining }) => !draining && tables.keepers.writable(number))
      .map((keeper) => this.candidateOf(keeper, nowMs));
  }

  /** Gives the slots of hops back. */
  release(hops: readonly Hop[]): void {
    for (const { grant } of hops) this.#options.tables.ports.release(grant);
  }

  /**
   * Takes a slot on the least used port of a keeper; undefined when all are full. A short chunk,
   * which has a `place`, goes to that port, and without a slot where none is free.
   */
  #takeHop(number: number, place: number | undefined): Hop | undefined {
    const { tables, roster, clock } = this.#options;
    // The candidates have just been read: each look costs a read of the catalog.
    const keeper = roster.known(number);
    if (keeper === undefined) return undefined;
    const nowMs = clock.monotonicMs();
    const online = keeper.ports
      .map((port, index) => ({ port, row: portRow(number, index) }))
      .filter(({ row }) => tables.ports.online(row));
    const at = { keeper: keeper.id, host: keeper.host };
    if (place !== undefined) {
      const any = online[place % online.length];
      if (any === undefined) return undefined;
      const { port, row } = any;
      return { ...at, port, grant: tables.ports.take(row, nowMs, SLOT_LEASE_MS) ?? NO_GRANT };
    }
    const rows = online
      .map((entry) => ({ ...entry, inUse: tables.ports.inUse(entry.row, nowMs) }))
      .sort((left, right) => left.inUse - right.inUse);
    for (const { port, row, inUse } of rows) {
      if (inUse >= tables.ports.slots(row)) continue;
      const grant = tables.ports.take(row, nowMs, SLOT_LEASE_MS);
      if (grant !== undefined) return { ...at, port, grant };
    }
    return undefined;
  }
}

/** For what goes without a slot where none is free. */
function withoutSlots(candidates: readonly Candidate[]): readonly Candidate[] {
  if (candidates.every(({ freeSlots }) => freeSlots > 0)) return candidates;
  return candidates.map((each) => ({ ...each, freeSlots: Math.max(1, each.freeSlots) }));
}
