/**
 * The replicator: brings chunks to their goal and place, empties keepers and makes them even, gives
 * up surplus copies, removes what nobody needs. It keeps nothing that it could not find again: all
 * work follows from the catalog and the keepers' states, pass by pass. What it may do at all says
 * safe mode.
 */
import { dieOfBrokenInvariant } from "../base/assert.ts";
import type { Clock, Timer } from "../base/clock.ts";
import type { Log } from "../base/log.ts";
import type { Random } from "../base/random.ts";
import type { ChunkRecord } from "../catalog/chunk_reader.ts";
import type { Journal } from "../catalog/operation.ts";
import type { CatalogReader, KeeperRecord } from "../catalog/reader.ts";
import type { Settings } from "../config/options.ts";
import type { Bus } from "../wire/bus.ts";
import { hasLabels } from "../wire/labels.ts";
import { subjectsOf } from "../wire/subjects.ts";
import { Balancer } from "./balancer.ts";
import { type Copied, Copier, type CopyKind } from "./copier.ts";
import { CopyMeter } from "./copy_meter.ts";
import { announcer } from "./events.ts";
import { noteFailure } from "./failures.ts";
import type { Candidate } from "./placement.ts";
import { Policies } from "./policies.ts";
import type { HolderState, RepairVerdict } from "./repair.ts";
import { decideRepair, isStranded } from "./repair.ts";
import { type RepairJob, RepairQueue } from "./repair_queue.ts";
import { NONE, type PassCounts, RepairScan } from "./repair_scan.ts";
import { Roster } from "./roster.ts";
import { allowsDeletions, allowsRepairs, packSafeMode } from "./safe_mode.ts";
import { SafetyWatch } from "./safety_watch.ts";
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
/** Jobs that are passed over in one look since their keepers are busy. */
const BUSY_MAX = 64;

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
  readonly #balancer: Balancer;
  readonly #safety: SafetyWatch;
  readonly #meter = new CopyMeter();
  readonly #abort = new AbortController();
  #timer: Timer | undefined;
  #cleaning: Promise<void> | undefined;
  #counts: PassCounts = NONE;
  #candidates: readonly Candidate[] = [];
  /** Copies made since the latest pass began to count: chunks and bytes. */
  #done = { chunks: 0, bytes: 0 };
  /** Keepers whose emptying stands in the table. */
  #drains = new Set<number>();

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
    const settleMs = options.settleMs ?? options.settings.dead_after;
    const safeShare = options.settings.safe_share;
    this.#safety = new SafetyWatch({
      ...shared,
      keepers,
      archive: tables.archive,
      safeShare,
      settleMs,
    });
    const mayDelete = () => allowsDeletions(this.#safety.mode);
    this.#trimmer = new Trimmer({ ...shared, keepers, settleMs, mayDelete });
    this.#sweeper = new Sweeper({ ...shared, keepers });
    this.#balancer = new Balancer(shared);
    this.#scan = new RepairScan({
      clock,
      reader,
      deadKeepers: () => this.#keepersWhere(({ number }) => this.#stateOf(number).state === "DEAD"),
      drainingKeepers: () => this.#keepersWhere(({ draining }) => draining),
      judge: (chunk) => this.#judge(chunk),
      isStranded: (chunk) => isStranded(this.#holdersOf(chunk)),
      isSafe: (chunk) => this.#isSafe(chunk),
      hasRoom: (chunk) =>
        this.#copier.isCopying(chunk.id) || this.#copier.hasRoom(chunk, this.#candidates),
      onRepair: (job) => this.#offer(job),
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
      this.#safety.look(this.#counts);
      this.#balancer.look(allowsDeletions(this.#safety.mode));
      if (this.#safety.isDecided) this.#look();
      this.#publish();
      this.#cleaning ??= this.#clean().finally(() => this.#cleaning = undefined);
    } catch (error) {
      noteFailure(this.#options.log, "The replicator could not look", error);
    }
  }

  #look(): void {
    if (this.#scan.atStart) this.#queue.beginPass();
    this.#candidates = this.#slots.candidates();
    const counts = this.#scan.step(SCAN_ROWS);
    if (counts !== undefined) {
      this.#queue.endPass();
      this.#counts = counts;
      this.#done = { chunks: 0, bytes: 0 };
    }
    this.#dispatch();
  }

  /** Begins copies, as many as may run: of the most endangered chunks first, moves last. */
  #dispatch(): void {
    if (this.#abort.signal.aborted || !allowsRepairs(this.#safety.mode)) return;
    const busy: RepairJob[] = [];
    while (this.#copier.mayStart("repair") && busy.length < BUSY_MAX) {
      const job = this.#queue.take();
      if (job === undefined) break;
      if (this.#begin(job) === "busy") busy.push(job);
    }
    for (const job of busy) this.#queue.offer(job);
    if (this.#queue.size === 0 && allowsDeletions(this.#safety.mode)) this.#balance();
  }

  /** Begins what a job asks for, if that is still to be done, and if it can be done now. */
  #begin(job: RepairJob): "begun" | "busy" | "over" {
    const chunk = this.#options.reader.chunk(job.chunk);
    if (chunk === undefined || chunk.refs === 0) return "over";
    const { kind } = this.#judge(chunk);
    if (kind !== "repair" && kind !== "move") return "over";
    if (kind === "move" && !allowsDeletions(this.#safety.mode)) return "busy";
    const copying = this.#copier.start(chunk, kind);
    if (copying === undefined) return this.#copier.isCopying(chunk.id) ? "over" : "busy";
    void this.#follow(chunk, kind, copying);
    return "begun";
  }

  /** Moves chunks from full keepers to empty ones, as long as nothing else is to be copied. */
  #balance(): void {
    while (this.#copier.mayStart("balance")) {
      const move = this.#balancer.next((number) => this.#copier.mayJoin(number, "balance"));
      if (move === undefined) return;
      const copying = this.#copier.start(move.chunk, "balance", move.to);
      if (copying === undefined) return;
      this.#balancer.begin(move);
      void this.#follow(move.chunk, "balance", copying);
    }
  }

  /** Waits for a copy, and begins what can begin now that its keepers are free. */
  async #follow(chunk: ChunkRecord, kind: CopyKind, copying: Promise<Copied>): Promise<void> {
    const copied = await copying;
    try {
      this.#balancer.end(chunk.id);
      if (copied.kind === "failed") this.#queue.fail(chunk.id);
      else {
        this.#queue.succeed(chunk.id);
        this.#meter.note(chunk.sizeBytes, copied.tookMs);
        if (kind !== "balance") {
          this.#done.chunks++;
          this.#done.bytes += chunk.sizeBytes;
        }
      }
      this.#dispatch();
    } catch (error) {
      if (!this.#abort.signal.aborted) {
        noteFailure(this.#options.log, "The replicator could not go on", error);
      } else dieOfBrokenInvariant(error);
    }
  }

  async #clean(): Promise<void> {
    const { log } = this.#options;
    const mayDelete = allowsDeletions(this.#safety.mode);
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
    const { startedMs: scannedMs, due, dueBytes, waitUntilMs, drains, ...counts } = this.#counts;
    const { running, runningBytes, balancing: moving } = this.#copier;
    // What the queue has no room for is known from the pass that could not queue it.
    const isFull = due > QUEUE_MAX;
    const queued = Math.max(this.#queue.size, isFull ? due - this.#done.chunks : 0);
    const waitingBytes = Math.max(
      this.#queue.sizeBytes,
      isFull ? dueBytes - this.#done.bytes - runningBytes : 0,
    );
    const queuedBytes = waitingBytes + runningBytes;
    const etaMs = this.#meter.etaMs(queuedBytes, settings.repair_streams);
    tables.repairs.put({
      ...counts,
      ...{ running, queued, queuedBytes, bytesPerSecond: this.#meter.rate(running), scannedMs },
      ...{ balancing: this.#balancer.isRunning, moving, spread: this.#balancer.spread },
      safety: packSafeMode(this.#safety.mode),
      ...(etaMs === undefined ? {} : { etaMs }),
      ...(counts.waiting === 0 ? {} : { waitUntilMs }),
    });
    for (const number of this.#drains) {
      if (!drains.has(number)) tables.repairs.putDrain(number, undefined);
    }
    for (const [number, drain] of drains) tables.repairs.putDrain(number, drain);
    this.#drains = new Set(drains.keys());
  }

  #offer(job: RepairJob): void {
    if (!this.#copier.isCopying(job.chunk)) this.#queue.offer(job);
  }

  #judge(chunk: ChunkRecord): RepairVerdict {
    const { repair_delay, maintenance_window } = this.#options.settings;
    return decideRepair(chunk.goal, this.#holdersOf(chunk), {
      repairDelayMs: repair_delay,
      maintenanceWindowMs: maintenance_window,
    });
  }

  /**
   * The keepers that have a chunk: their states, and whether it must not stay there. A parted pack
   * is not moved as a whole to where only some of its files belong: compaction takes these out.
   */
  #holdersOf(chunk: ChunkRecord): HolderState[] {
    const stays = chunk.misplaced === 0 || (chunk.parted > 0 && chunk.packed === 1);
    const require = stays ? {} : this.#policies.of(chunk.policy)?.require ?? {};
    return chunk.keepers.map((number) => {
      const { labels = {}, draining = false } = this.#roster.byNumber(number) ?? {};
      const misplaced = draining || !hasLabels(labels, require);
      return { ...this.#stateOf(number), ...(misplaced ? { misplaced } : {}) };
    });
  }

  /** Whether a chunk has its goal of copies on keepers that are there, and stay. */
  #isSafe(chunk: ChunkRecord): boolean {
    const { keepers } = this.#options.tables;
    const stay = chunk.keepers.filter((number) =>
      keepers.alive(number) && this.#roster.byNumber(number)?.draining === false
    );
    return stay.length >= chunk.goal;
  }

  #keepersWhere(condition: (keeper: KeeperRecord) => boolean): number[] {
    return this.#roster.all().filter(condition).map(({ number }) => number);
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
