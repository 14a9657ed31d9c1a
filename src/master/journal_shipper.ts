/**
 * Ships the catalog's history to keepers while it is written: what is committed here goes to
 * `journal_copies` of them, and callers are answered when these have it on disk, or when they have
 * kept them waiting long enough. A keeper that is slow or fails is passed over for a while, and
 * another takes its place; what has reached too few is sent on in the background, as long as the
 * queue holds it. Lives in the writer's thread.
 */
import type { Clock, Timer } from "../base/clock.ts";
import type { Log } from "../base/log.ts";
import type { CommittedBatch, HistoryMark } from "../catalog/writer.ts";
import type { ArchiveTable } from "../tables/archive_table.ts";
import type { KeeperTable } from "../tables/keeper_table.ts";
import { archiveName, commandJournal, JOURNAL_PIECE_MAX } from "../wire/archive.ts";
import type { JournalPiece } from "../wire/archive.ts";
import type { Bus } from "../wire/bus.ts";
import { call } from "../wire/bus.ts";
import { encode } from "../wire/codec.ts";
import type { Subjects } from "../wire/subjects.ts";
import { archiveKeepers, chooseArchiveKeepers } from "./archive_plan.ts";
import type { Entry } from "./journal_queue.ts";
import { JournalQueue } from "./journal_queue.ts";
import type { JournalTail } from "./journal_tail.ts";
import type { Roster } from "./roster.ts";

export interface JournalShipperOptions {
  /** The setting `journal_copies`. */
  copies: number;
  cluster: string;
  subjects: Subjects;
  /** The cluster's key as `sealKey` makes it. */
  sealedKey: string;
  catalog: string;
  /** How far the catalog's history goes at this master's start. */
  mark: HistoryMark;
  /** Keeps what has not been shipped over a restart; undefined: nothing does. */
  tail?: JournalTail;
  bus: Bus;
  roster: Pick<Roster, "all">;
  keepers: Pick<KeeperTable, "find">;
  table: ArchiveTable;
  clock: Clock;
  log: Log;
  /** Bytes that wait for keepers, at most; for tests. */
  bufferMax?: number;
}

/** Time for which callers wait for keepers, and a keeper's time to answer. */
const WAIT_MS = 1_000;
/** Time for which a keeper that was slow or has failed gets nothing. */
const PASSED_OVER_MS = 10_000;
const LOOK_MS = 1_000;
/** Time for which a batch that nobody waits for may stay. */
const LAZY_MS = 100;
/** While there are too few keepers, each batch looks for more, but not sooner than this. */
const LOOK_SOON_MS = 50;
const BUFFER_MAX = 32 * 2 ** 20;
/** A journal's file on a keeper is followed by the next one at this size. */
const FILE_BYTES_MAX = 32 * 2 ** 20;

interface Waiter {
  to: number;
  resolve: () => void;
  timer: Timer;
}

export class JournalShipper {
  readonly #options: JournalShipperOptions;
  readonly #queue: JournalQueue;
  /** The keepers that get the journal; whether a piece is under way, and what has come so far. */
  readonly #lanes = new Map<string, { sending: boolean; sent: number }>();
  /** Until when keepers get nothing; as many as there are keepers. */
  readonly #passedOver = new Map<string, number>();
  readonly #waiters: Waiter[] = [];
  readonly #base: number;
  #epoch = 0;
  #lookedMs = -Infinity;
  /** Keepers of the cluster at that time: more of them get nothing before the next look. */
  #keepers = 0;
  #sequence: number;
  #shipped: number;
  #bytes = 0;
  /** The journal's file now: its first operation, its bytes, the snapshot before it. */
  #file: { from: number; bytes: number; snapshot: number };
  #timer: Timer | undefined;
  /** Runs when something waits that nobody waits for. */
  #lazy: Timer | undefined;

  constructor(options: JournalShipperOptions) {
    const { mark, bufferMax = BUFFER_MAX, tail, copies } = options;
    this.#options = options;
    this.#queue = new JournalQueue({ bytesMax: bufferMax, pieceMax: JOURNAL_PIECE_MAX });
    this.#sequence = mark.sequence;
    // What an earlier master may not have shipped goes first, into a file of this one.
    const rest = copies === 0 ? [] : tail?.open(mark) ?? [];
    for (const batch of rest) this.#queue.add(batch);
    this.#base = (rest[0]?.from ?? mark.sequence + 1) - 1;
    this.#shipped = this.#base;
    this.#file = { from: this.#base + 1, bytes: 0, snapshot: 0 };
  }

  /** Begins to ship, as the master of this epoch; what was given before goes first. */
  start(epoch: number): void {
    const { clock, copies, bus } = this.#options;
    this.#epoch = epoch;
    bus.onReconnect(() => this.#passedOver.clear());
    if (copies > 0) this.#timer = clock.every(LOOK_MS, () => this.look());
    this.look();
  }

  /** Ships no more; whoever waits is answered. */
  stop(): void {
    this.#timer?.stop();
    this.#lazy?.stop();
    this.#lanes.clear();
    this.#settle();
  }

  /**
   * Takes a batch on. Resolves when enough keepers have it durably, or the wait is over; undefined:
   * no keeper is there to wait for. What is not `awaited` may stay a moment, to go with what is.
   */
  ship(batch: CommittedBatch, awaited = true): Promise<void> | undefined {
    const { copies, clock, tail } = this.#options;
    this.#sequence = batch.to;
    if (copies === 0) {
      this.#tell();
      return undefined;
    }
    const lostBefore = this.#queue.lost;
    const entries = this.#queue.add(batch);
    for (const entry of entries) tail?.add(entry);
    const added = entries.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
    this.#bytes += added;
    this.#rollFile(added, batch.from);
    if (this.#queue.lost > lostBefore) this.#options.log.warn("A part of the journal is given up");
    const isDue = clock.monotonicMs() - this.#lookedMs >= LOOK_SOON_MS;
    if (this.#lanes.size < copies && isDue && this.#epoch > 0) this.look();
    if (this.#lanes.size === 0 || !awaited) {
      if (!awaited) this.#lazy ??= clock.after(LAZY_MS, () => this.#sendAll());
      this.#tell();
      return undefined;
    }
    const shipped = new Promise<void>((resolve) => {
      const timer = clock.after(WAIT_MS, () => this.#giveUp(batch.to));
      this.#waiters.push({ to: batch.to, resolve, timer });
    });
    this.#sendAll();
    return shipped;
  }

  /** Looks who is alive, and chooses anew where that is needed. */
  look(): void {
    const { roster, keepers, clock, copies, log, table } = this.#options;
    const nowMs = clock.monotonicMs();
    this.#lookedMs = nowMs;
    for (const [id, untilMs] of this.#passedOver) {
      if (untilMs <= nowMs) this.#passedOver.delete(id);
    }
    // An old copy of the catalog must not hide the newer history behind its own.
    const isOld = table.readSnapshot().newer > 0;
    const all = roster.all();
    this.#keepers = all.length;
    const candidates = (isOld ? [] : archiveKeepers(all, keepers))
      .filter(({ id }) => !this.#passedOver.has(id))
      .map(({ id, labels }) => ({ id, zone: labels["zone"] ?? "" }));
    const chosen = chooseArchiveKeepers(candidates, new Set(this.#lanes.keys()), copies);
    for (const id of this.#lanes.keys()) {
      if (!chosen.includes(id)) this.#lanes.delete(id);
    }
    for (const id of chosen) {
      if (this.#lanes.has(id)) continue;
      log.info("A keeper gets the catalog's journal", { keeper: id });
      this.#lanes.set(id, { sending: false, sent: 0 });
    }
    this.#dropDone();
    this.#settle();
    this.#sendAll();
  }

  #sendAll(): void {
    this.#lazy?.stop();
    this.#lazy = undefined;
    if (this.#epoch === 0) return;
    for (const id of this.#lanes.keys()) void this.#send(id);
  }

  /** Sends what this keeper lacks, a piece after the other, while it is one of the chosen. */
  async #send(id: string): Promise<void> {
    const lane = this.#lanes.get(id);
    if (lane === undefined || lane.sending) return;
    lane.sending = true;
    try {
      while (this.#lanes.get(id) === lane) {
        const run = this.#queue.next(id, lane.sent);
        if (run.length === 0) return;
        await this.#command(id, run);
        for (const { acks } of run) acks.add(id);
        lane.sent = run.at(-1)?.to ?? lane.sent;
        this.#dropDone();
        this.#settle();
      }
    } catch (error) {
      if (this.#lanes.get(id) === lane) this.#passOver(id, error);
    } finally {
      lane.sending = false;
    }
  }

  async #command(id: string, run: readonly Entry[]): Promise<void> {
    const { bus, subjects, catalog, cluster, sealedKey } = this.#options;
    const [first, last] = [run[0], run.at(-1)];
    if (first === undefined || last === undefined) return;
    const piece: JournalPiece = {
      ...{ catalog, cluster, epoch: this.#epoch, key: sealedKey },
      ...{ from: first.from, to: last.to, hashBefore: first.hashBefore },
      operations: encode(run.flatMap(({ operations }) => operations)),
    };
    const file = archiveName("journal", catalog, this.#file.from);
    const subject = subjects.command(id, commandJournal.name);
    const request = { epoch: this.#epoch, file, piece };
    await call(bus, subject, commandJournal, request, { timeoutMs: WAIT_MS });
  }

  #passOver(id: string, error: unknown): void {
    const { clock, log } = this.#options;
    log.warn("A keeper does not take the catalog's journal", { keeper: id, error });
    this.#lanes.delete(id);
    this.#passedOver.set(id, clock.monotonicMs() + PASSED_OVER_MS);
    this.look();
  }

  /** The wait for the batches up to `to` is over: who has not got them is too slow. */
  #giveUp(to: number): void {
    const entry = this.#queue.after(to - 1).next().value;
    for (const id of [...this.#lanes.keys()]) {
      if (entry !== undefined && !entry.acks.has(id)) this.#passOver(id, "It is too slow");
    }
    while (this.#waiters[0] !== undefined && this.#waiters[0].to <= to) this.#release();
  }

  /** Answers those whose batches enough keepers have. */
  #settle(): void {
    const need = Math.min(this.#options.copies, this.#lanes.size);
    for (const { to, acks } of this.#queue.after(this.#shipped)) {
      if (acks.size < need || acks.size === 0) break;
      this.#shipped = Math.max(this.#shipped, to);
    }
    while (this.#waiters[0] !== undefined) {
      if (need > 0 && this.#waiters[0].to > this.#shipped) break;
      this.#release();
    }
    this.#tell();
  }

  #release(): void {
    const waiter = this.#waiters.shift();
    waiter?.timer.stop();
    waiter?.resolve();
  }

  /** Lets go of what as many keepers have as ever will, and of what a snapshot has. */
  #dropDone(): void {
    const { copies, table, tail } = this.#options;
    const goal = Math.min(copies, Math.max(1, this.#keepers));
    const snapshot = table.readSnapshot().sequence;
    this.#queue.drop((entry) => {
      const isDone = entry.acks.size >= goal || entry.to <= snapshot;
      if (isDone) this.#shipped = Math.max(this.#shipped, entry.to);
      return isDone;
    });
    if (this.#queue.isEmpty) tail?.shipped(this.#shipped);
  }

  /** Begins another file where one is full, or a snapshot was made, so that the old one can go. */
  #rollFile(added: number, from: number): void {
    const { sequence } = this.#options.table.readSnapshot();
    this.#file.bytes += added;
    if (sequence === this.#file.snapshot && this.#file.bytes <= FILE_BYTES_MAX) return;
    this.#file = { from, bytes: added, snapshot: sequence };
  }

  #tell(): void {
    this.#options.table.putJournal({
      base: this.#base,
      sequence: this.#sequence,
      shipped: this.#shipped,
      lost: this.#queue.lost,
      bytes: this.#bytes,
      keepers: this.#lanes.size,
    });
  }
}
