/**
 * The replicator: brings chunks to their goal and place, gives up surplus copies, removes what
 * nobody needs. It keeps nothing that it could not find again: all work follows from the catalog
 * and the keepers' states, pass by pass.
 */
import { dieOfBrokenInvariant } from "../base/assert.ts";
import type { Clock, Timer } from "../base/clock.ts";
import type { Log } from "../base/log.ts";
import type { Random } from "../base/random.ts";
import type { ChunkRecord } from "../catalog/chunk_reader.ts";
import type { Journal } from "../catalog/operation.ts";
import type { CatalogReader } from "../catalog/reader.ts";
import type { Settings } from "../config/options.ts";
import type { Bus } from "../wire/bus.ts";
import { hasLabels } from "../wire/labels.ts";
import { subjectsOf } from "../wire/subjects.ts";
import { Copier } from "./copier.ts";
import { announcer } from "./events.ts";
import { noteFailure } from "./failures.ts";
import type { Candidate } from "./placement.ts";
import { Policies } from "./policies.ts";
import type { HolderState, RepairVerdict, Safety } from "./repair.ts";
import { decideRepair, decideSafety, isStranded } from "./repair.ts";
import { type RepairJob, RepairQueue } from "./repair_queue.ts";
import { NONE, type PassCounts, RepairScan } from "./repair_scan.ts";
import { Roster } from "./roster.ts";
import { Slots } from "./slots.ts";
import { Sweeper } from "./sweeper.ts";
import { Trimmer } from "./trimmer.ts";
import type { Tables } from "./wiring.ts";

export interface ReplicatorOptions {
  settings: Settings;
  cluster: string;
  clock: Clock;
  random: Random;
  log: Log;
  bus: Bus;
  journal: Journal;
  reader: CatalogReader;
  tables: Tables;
  ticketKey: string;
  masterEpoch: number;
  /** Time between two looks. */
  tickMs?: number;
  /**
   * How long the cluster must have been settled before anything is deleted, and a surplus before it
   * is trimmed; as long as silence takes to mean death unless given.
   */
  settleMs?: number;
}

const TICK_MS = 500;
/** Copies of a chunk that is younger than this may still be on their way. */
const YOUNG_MS = 3_000;
/** Chunks looked at in one tick. */
const SCAN_ROWS = 4_096;
const QUEUE_MAX = 4_096;
/** Chunks of a keeper with other labels that are looked at in one tick. */
const RECOUNT_MAX = 2_048;
/** The weight of the latest copy in the mean time of a copy. */
const MEAN_WEIGHT = 0.2;

export class Replicator {
  readonly #options: ReplicatorOptions;
  readonly #roster: Roster;
  readonly #slots: Slots;
  readonly #policies: Policies;
  readonly #queue: RepairQueue;
  readonly #scan: RepairScan;
  readonly #copier: Copier;
  readonly #trimmer: Trimmer;
  readonly #sweeper: Sweeper;
  readonly #settleMs: number;
  readonly #abort = new AbortController();
  #timer: Timer | undefined;
  #cleaning: Promise<void> | undefined;
  #counts: PassCounts = NONE;
  #candidates: Candidate[] = [];
  /** Since when every known keeper has been heard or declared dead. */
  #decidedSinceMs: number | undefined;
  #safety: Safety = { kind: "unsafe", reason: "the master has just started" };
  #meanCopyMs: number | undefined;

  constructor(options: ReplicatorOptions) {
    this.#options = options;
    const { cluster, clock, random, reader, tables, bus } = options;
    const subjects = subjectsOf(cluster);
    const roster = new Roster(reader);
    const slots = new Slots({ tables, roster, clock, random });
    const announce = announcer(bus, subjects, clock);
    const { signal } = this.#abort;
    const policies = new Policies(reader);
    const shared = { ...options, subjects, roster, slots, policies, announce, signal };
    const keepers = tables.keepers;
    this.#roster = roster;
    this.#slots = slots;
    this.#policies = policies;
    this.#queue = new RepairQueue(clock, random, QUEUE_MAX);
    this.#copier = new Copier({ ...shared, keepers });
    this.#settleMs = options.settleMs ?? options.settings.dead_after;
    const settleMs = this.#settleMs;
    this.#trimmer = new Trimmer({
      ...shared,
      keepers,
      settleMs,
      mayDelete: () => this.#safety.kind === "safe",
    });
    this.#sweeper = new Sweeper({ ...shared, keepers });
    this.#scan = new RepairScan({
      clock,
      reader,
      deadKeepers: () => this.#deadKeepers(),
      judge: (chunk) => this.#judge(chunk),
      isStranded: (chunk) => isStranded(this.#holdersOf(chunk)),
      onRepair: (chunk, rank) => this.#offer(chunk, rank),
      youngMs: YOUNG_MS,
    });
  }

  start(): void {
    const { clock, tickMs = TICK_MS } = this.#options;
    this.#timer = clock.every(tickMs, () => this.tick());
  }

  /**
   * Begins nothing new, and waits for what must not be cut: answers from the catalog. Copies under
   * way go on at their keepers.
   */
  async stop(): Promise<void> {
    this.#timer?.stop();
    this.#abort.abort();
    await this.#cleaning;
  }

  /** One look: scans a part, begins copies that are due, and cleans up when it may. */
  tick(): void {
    try {
      this.#lookAround();
      if (this.#decidedSinceMs !== undefined) this.#look();
      this.#publish();
      this.#cleaning ??= this.#clean().finally(() => this.#cleaning = undefined);
    } catch (error) {
      noteFailure(this.#options.log, "The replicator could not look", error);
    }
  }

  /** Decides whether anything may be deleted now, and says so when that changes. */
  #lookAround(): void {
    const { clock, log } = this.#options;
    const nowMs = clock.monotonicMs();
    const { keepers } = this.#options.tables;
    const known = this.#roster.all().map(({ number }) => {
      const epoch = keepers.find(number)?.epoch ?? 0;
      return { state: this.#stateOf(number).state, listed: keepers.hasListed(number, epoch) };
    });
    if (known.some(({ state }) => state === "JOINING")) this.#decidedSinceMs = undefined;
    else this.#decidedSinceMs ??= nowMs;
    const decidedForMs = nowMs - (this.#decidedSinceMs ?? nowMs);
    const before = this.#safety;
    this.#safety = decideSafety(known, decidedForMs, this.#settleMs);
    if (this.#safety.kind === before.kind) return;
    if (this.#safety.kind === "safe") log.info("Replicas may be deleted now");
    else log.warn("No replica is deleted for now", { reason: this.#safety.reason });
  }

  #look(): void {
    // The queue is filled anew by each pass, so that nothing stays in it that has been settled
    // otherwise.
    if (this.#scan.atStart) this.#queue.clear();
    this.#candidates = this.#slots.candidates();
    const counts = this.#scan.step(SCAN_ROWS);
    if (counts !== undefined) this.#counts = counts;
    this.#dispatch();
  }

  /** Begins copies of the most endangered chunks, as many as may run. */
  #dispatch(): void {
    const { settings, reader } = this.#options;
    const putBack: RepairJob[] = [];
    while (this.#copier.running < settings.repair_streams) {
      const job = this.#queue.take();
      if (job === undefined) break;
      const chunk = reader.chunk(job.chunk);
      if (chunk === undefined || chunk.refs === 0) continue;
      const { kind } = this.#judge(chunk);
      if (kind !== "repair" && kind !== "move") continue;
      if (this.#copier.canStart(chunk)) void this.#copy(chunk);
      else if (!this.#copier.isCopying(job.chunk)) putBack.push(job);
      // Destinations are taken: the rest of the queue would hardly fare better.
      if (putBack.length > settings.repair_streams) break;
    }
    for (const job of putBack) this.#queue.offer(job);
  }

  async #copy(chunk: ChunkRecord): Promise<void> {
    const { clock } = this.#options;
    const startedMs = clock.monotonicMs();
    const { kind } = await this.#copier.copy(chunk);
    if (kind !== "copied") return this.#queue.fail(chunk.id);
    this.#queue.succeed(chunk.id);
    const tookMs = clock.monotonicMs() - startedMs;
    this.#meanCopyMs = (this.#meanCopyMs ?? tookMs) * (1 - MEAN_WEIGHT) + tookMs * MEAN_WEIGHT;
  }

  async #clean(): Promise<void> {
    const { log } = this.#options;
    const mayDelete = this.#safety.kind === "safe";
    await this.#sweeper.run(mayDelete);
    try {
      await this.#recount();
      if (mayDelete) await this.#trimmer.run();
    } catch (error) {
      if (!this.#abort.signal.aborted) noteFailure(log, "Cannot trim surplus copies", error);
      else dieOfBrokenInvariant(error);
    }
  }

  /** Has a part of the copies looked at anew whose keeper has come back with other labels. */
  async #recount(): Promise<void> {
    const { reader, journal } = this.#options;
    const keeper = reader.relabelledKeeper();
    if (keeper === undefined) return;
    await journal.submit({ kind: "keeper.recount", keeper, limit: RECOUNT_MAX });
  }

  #publish(): void {
    const { tables, settings } = this.#options;
    const running = this.#copier.running;
    const queued = this.#queue.size;
    const waiting = running + queued;
    const { startedMs: scannedMs, ...counts } = this.#counts;
    const etaMs = waiting === 0 || this.#meanCopyMs === undefined
      ? undefined
      : waiting * this.#meanCopyMs / settings.repair_streams;
    const eta = etaMs === undefined ? {} : { etaMs };
    tables.repairs.put({ running, queued, ...counts, scannedMs, ...eta });
  }

  /** Queues a chunk; whether any keeper could take it. */
  #offer(chunk: ChunkRecord, rank: number): boolean {
    // Without another keeper nothing can be done: it counts as under its goal, but waits in no
    // queue.
    if (this.#copier.isCopying(chunk.id)) return true;
    if (!this.#copier.hasRoom(chunk, this.#candidates)) return false;
    this.#queue.offer({ chunk: chunk.id, rank });
    return true;
  }

  #judge(chunk: ChunkRecord): RepairVerdict {
    const { repair_delay, maintenance_window } = this.#options.settings;
    return decideRepair(chunk.goal, this.#holdersOf(chunk), {
      repairDelayMs: repair_delay,
      maintenanceWindowMs: maintenance_window,
    });
  }

  /** The keepers that have a chunk: their states, and whether its policy forbids them. */
  #holdersOf(chunk: ChunkRecord): HolderState[] {
    const states = chunk.keepers.map((number) => this.#stateOf(number));
    if (chunk.misplaced === 0) return states;
    const require = this.#policies.of(chunk.policy)?.require ?? {};
    return chunk.keepers.map((number, index) => {
      const labels = this.#roster.byNumber(number)?.labels ?? {};
      return { ...states[index] as HolderState, misplaced: !hasLabels(labels, require) };
    });
  }

  #deadKeepers(): number[] {
    return this.#roster.all().map(({ number }) => number)
      .filter((number) => this.#stateOf(number).state === "DEAD");
  }

  /** A keeper that the sentinel has not come to yet is about to be JOINING. */
  #stateOf(number: number): HolderState {
    const row = this.#options.tables.keepers.find(number);
    if (row === undefined) return { state: "JOINING", deadForMs: 0, left: false };
    const dead = row.state === "DEAD";
    const deadForMs = dead ? this.#options.clock.monotonicMs() - row.deadSinceMs : 0;
    return { state: row.state, deadForMs, left: row.left };
  }
}
