/**
 * The balancer: finds the next chunk that is to move from a full keeper to an empty one. It counts
 * what is on its way as arrived: copies under way, and surplus copies that are yet to be given up.
 * What it knows follows from the catalog and the keepers' beats: it goes on after a restart.
 */
import type { Clock } from "../base/clock.ts";
import type { Log } from "../base/log.ts";
import type { ChunkRecord } from "../catalog/chunk_reader.ts";
import type { Journal } from "../catalog/operation.ts";
import type { CatalogReader } from "../catalog/reader.ts";
import type { Settings } from "../config/options.ts";
import type { BalanceDisk, BalancePlan } from "./balance.ts";
import { chooseMove, decideBand, planBalance } from "./balance.ts";
import { balanceDisks, type DiskSources } from "./disks.ts";
import { noteFailure } from "./failures.ts";
import { chooseSurplus } from "./placement.ts";
import type { Policies } from "./policies.ts";

export interface BalancerOptions extends DiskSources {
  reader: Pick<
    CatalogReader,
    "heldByKeepers" | "balanceWanted" | "surplusChunks" | "chunksOfKeeper"
  >;
  policies: Policies;
  journal: Journal;
  settings: Pick<Settings, "balance_threshold">;
  clock: Clock;
  log: Log;
}

/** A chunk that is to move. */
export interface BalanceMove {
  chunk: ChunkRecord;
  from: number;
  to: number;
}

const PAGE_ROWS = 128;
/** Pages looked at in one search. */
const PAGES_MAX = 8;
/** While so many surplus copies wait to be given up, nothing more is moved. */
const SURPLUS_MAX = 256;
/** After a search of all keepers that found nothing, the next begins so much later. */
const IDLE_MS = 60_000;

export class Balancer {
  readonly #options: BalancerOptions;
  /** Moves under way, by chunk. */
  readonly #moves = new Map<string, BalanceMove>();
  #plan: BalancePlan = planBalance([], 0);
  #disks: BalanceDisk[] = [];
  #isActive = false;
  #isFull = false;
  #isCommanded = false;
  #isEnding = false;
  /** Where the search goes on: a keeper, and the chunk behind which. */
  #cursor: { from: number; afterNo: number } | undefined;
  /** Keepers searched to their end without a find. */
  readonly #searched = new Set<number>();
  #idleUntilMs = 0;

  constructor(options: BalancerOptions) {
    this.#options = options;
  }

  /** Chunks are being moved, or are to be. */
  get isRunning(): boolean {
    return this.#isActive || this.#isCommanded;
  }

  /** The largest difference from the mean share, as a part of 1. */
  get spread(): number {
    return this.#plan.spread;
  }

  /**
   * Looks anew at what lies where. What goes by command ends here when all is even, and only while
   * chunks may be moved: right after a start nobody is there yet, and nothing differs.
   */
  look(mayMove: boolean): void {
    const { reader } = this.#options;
    this.#disks = balanceDisks(this.#options);
    const surplus = reader.surplusChunks(0, SURPLUS_MAX);
    this.#isFull = surplus.length >= SURPLUS_MAX;
    for (const chunk of surplus) this.#countSurplus(chunk);
    for (const { chunk, from, to } of this.#moves.values()) this.#shift(chunk.sizeBytes, from, to);
    this.#isCommanded = reader.balanceWanted();
    this.#replan();
    const isOver = !this.#isActive && this.#moves.size === 0 && surplus.length === 0;
    if (this.#isCommanded && isOver && mayMove) this.#endCommand("the keepers are even");
  }

  /** The next chunk to move to a keeper that has a place for it now: `begin` it, or forget it. */
  next(isFree: (number: number) => boolean): BalanceMove | undefined {
    const { clock } = this.#options;
    if (!this.#isActive || this.#isFull || clock.monotonicMs() < this.#idleUntilMs) {
      return undefined;
    }
    const takers = this.#disks.filter(({ number }) => isFree(number));
    const wanted = this.#plan.disks.filter(({ lackBytes }) => lackBytes > 0);
    // Those that are busy will be free again: a search without them would prove nothing.
    const isWhole = wanted.every(({ number }) => isFree(number));
    const givers = this.#plan.disks.filter(({ lackBytes }) => lackBytes < 0)
      .toSorted((left, right) => right.share - left.share);
    for (let pages = 0; pages < PAGES_MAX; pages++) {
      const giver = givers.find(({ number }) => !this.#searched.has(number));
      if (giver === undefined) break;
      const found = this.#search(giver.number, takers, isWhole);
      if (found !== undefined) return found;
    }
    if (givers.every(({ number }) => this.#searched.has(number))) this.#giveUp();
    return undefined;
  }

  /** A move is under way. */
  begin(move: BalanceMove): void {
    this.#moves.set(move.chunk.id, move);
    this.#shift(move.chunk.sizeBytes, move.from, move.to);
    this.#replan();
  }

  /** A move is over: its copy is on record by now, or was not made. */
  end(chunk: string): void {
    this.#moves.delete(chunk);
  }

  #replan(): void {
    const band = decideBand({
      isCommanded: this.#isCommanded,
      isRunning: this.#isActive,
      spread: planBalance(this.#disks, 1).spread,
      threshold: this.#options.settings.balance_threshold / 100,
    });
    this.#isActive = band !== undefined;
    this.#plan = planBalance(this.#disks, band ?? 1);
  }

  /** Looks at one page of the chunks of a keeper that has too many. */
  #search(from: number, takers: BalanceDisk[], isWhole: boolean): BalanceMove | undefined {
    if (this.#cursor?.from !== from) this.#cursor = { from, afterNo: 0 };
    const { reader, policies } = this.#options;
    const page = reader.chunksOfKeeper(from, this.#cursor.afterNo, PAGE_ROWS);
    for (const chunk of page) {
      this.#cursor.afterNo = chunk.no;
      // One that is short, or has a copy too many already, is others' business.
      if (chunk.refs === 0 || chunk.copies !== chunk.goal || this.#moves.has(chunk.id)) continue;
      const holders = this.#disks.filter(({ number }) => chunk.keepers.includes(number));
      if (holders.length < chunk.keepers.length) continue;
      const policy = policies.of(chunk.policy);
      const { sizeBytes } = chunk;
      const to = chooseMove({ sizeBytes, holders, from, takers, plan: this.#plan, policy });
      if (to === undefined) continue;
      this.#searched.clear();
      return { chunk, from, to };
    }
    if (page.length < PAGE_ROWS) {
      this.#cursor = undefined;
      if (isWhole) this.#searched.add(from);
    }
    return undefined;
  }

  /** Nothing can be moved, though keepers differ: chunks are too large, or rules forbid it. */
  #giveUp(): void {
    this.#searched.clear();
    if (this.#moves.size > 0) return;
    this.#idleUntilMs = this.#options.clock.monotonicMs() + IDLE_MS;
    if (this.#isCommanded) this.#endCommand("no chunk can be moved any more");
  }

  #endCommand(reason: string): void {
    const { journal, log } = this.#options;
    if (this.#isEnding) return;
    this.#isEnding = true;
    log.info("Balancing ends", { reason, spreadPercent: Math.round(this.spread * 1_000) / 10 });
    journal.submit({ kind: "balance.set", on: false })
      .catch((error) => noteFailure(log, "Cannot end balancing", error))
      .finally(() => this.#isEnding = false);
  }

  /** A copy too many is as good as gone from where it will be given up. */
  #countSurplus(chunk: ChunkRecord): void {
    const holders = this.#disks.filter(({ number }) => chunk.keepers.includes(number));
    if (holders.length <= chunk.goal) return;
    const victim = chooseSurplus(holders, this.#options.policies.of(chunk.policy));
    if (victim !== undefined) this.#shift(chunk.sizeBytes, victim.number, undefined);
  }

  #shift(sizeBytes: number, from: number, to: number | undefined): void {
    this.#disks = this.#disks.map((disk) => {
      const delta = (disk.number === to ? sizeBytes : 0) - (disk.number === from ? sizeBytes : 0);
      if (delta === 0) return disk;
      const { heldBytes, freeBytes } = disk;
      return { ...disk, heldBytes: heldBytes + delta, freeBytes: Math.max(0, freeBytes - delta) };
    });
  }
}
