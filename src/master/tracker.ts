/**
 * A tracker: answers clients. Any tracker answers any request (they share one queue); all of them
 * see the same tables and the same catalog, and none keeps a client's state. It decides and asks
 * the writer; it never changes the catalog itself.
 */
import type { Clock } from "../base/clock.ts";
import type { Log } from "../base/log.ts";
import type { Random } from "../base/random.ts";
import { randomHex } from "../base/random.ts";
import type { Journal } from "../catalog/operation.ts";
import type { CatalogReader } from "../catalog/reader.ts";
import type { Settings } from "../config/options.ts";
import type { Bus, Subscription } from "../wire/bus.ts";
import { serve } from "../wire/bus.ts";
import { clusterStatus } from "../wire/cluster.ts";
import { dirList, dirMake } from "../wire/dir.ts";
import {
  fileCopy,
  fileDoubt,
  fileLocate,
  fileRemove,
  fileRename,
  fileSet,
  fileStat,
} from "../wire/file.ts";
import { eventList } from "../wire/event.ts";
import { fileLocateMany } from "../wire/locate_many.ts";
import { fileStatMany } from "../wire/stat_many.ts";
import { clusterRebalance, keeperDrain, keeperRemove } from "../wire/operator.ts";
import { packBegin, packCommit } from "../wire/pack.ts";
import type { Rpc } from "../wire/rpc.ts";
import { fileScrub, keeperScrub } from "../wire/operator.ts";
import { ruleAdd, ruleApply, ruleList, ruleRemove } from "../wire/rule.ts";
import { trashEmpty, trashList, trashRestore } from "../wire/trash.ts";
import type { Subjects } from "../wire/subjects.ts";
import { subjectsOf, TRACKER_QUEUE } from "../wire/subjects.ts";
import { uploadAbort, uploadBegin, uploadCommit, uploadExtend } from "../wire/upload.ts";
import { ChunkIds } from "./chunk_ids.ts";
import { announcer } from "./events.ts";
import { noteFailure } from "./failures.ts";
import { Micro } from "./micro.ts";
import { Policies } from "./policies.ts";
import { RecentSet } from "./recent.ts";
import { Roster } from "./roster.ts";
import { status } from "./rpc/cluster.ts";
import type { Desk } from "./rpc/desk.ts";
import { list, make } from "./rpc/dir.ts";
import { list as listEvents } from "./rpc/event.ts";
import { copy, doubt, locate, remove, rename, set, stat } from "./rpc/file.ts";
import { locateMany } from "./rpc/locate_many.ts";
import { statMany } from "./rpc/stat_many.ts";
import { drain, rebalance, removeKeeper } from "./rpc/operator.ts";
import * as packs from "./rpc/pack.ts";
import * as rules from "./rpc/rule.ts";
import * as trash from "./rpc/trash.ts";
import { scrubFile, scrubKeeper } from "./rpc/scrub.ts";
import { abort, begin, commit, extend } from "./rpc/upload.ts";
import { Rulebook } from "./rulebook.ts";
import { Slots } from "./slots.ts";
import type { Tables } from "./wiring.ts";

export interface TrackerOptions {
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
  /** The version of tydfs, and of the NATS server. */
  version: string;
  natsVersion: string;
  /** Monotonic time of the master's start, in ms. */
  startedMs: number;
}

/** Requests of one kind that a tracker works on at once; most are done without waiting. */
const CONCURRENCY = 256;
const DOUBT_PERIOD_MS = 10_000;
const DOUBTS_MAX = 10_000;

const PROCEDURES = [
  ...[uploadBegin, uploadExtend, uploadCommit, uploadAbort],
  ...[packBegin, packCommit, fileLocateMany, fileStatMany],
  ...[fileLocate, fileStat, fileRemove, fileRename, fileCopy, fileSet, fileDoubt],
  ...[dirList, dirMake, eventList, clusterStatus],
  ...[ruleAdd, ruleRemove, ruleList, ruleApply],
  ...[trashList, trashRestore, trashEmpty],
  ...[keeperScrub, fileScrub],
  ...[keeperDrain, keeperRemove, clusterRebalance],
] as const;

export class Tracker {
  readonly #desk: Desk;
  readonly #subjects: Subjects;
  readonly #micro: Micro;
  readonly #subscriptions: Subscription[] = [];

  constructor(options: TrackerOptions) {
    const { cluster, bus, clock, random, reader, tables } = options;
    this.#subjects = subjectsOf(cluster);
    const roster = new Roster(reader);
    this.#desk = {
      ...options,
      subjects: this.#subjects,
      announce: announcer(bus, this.#subjects, clock),
      roster,
      rulebook: new Rulebook(options.settings.rules, reader),
      policies: new Policies(reader),
      slots: new Slots({ tables, roster, clock, random }),
      chunkIds: new ChunkIds(random),
      doubts: new RecentSet(clock, { periodMs: DOUBT_PERIOD_MS, max: DOUBTS_MAX }),
    };
    this.#micro = new Micro({
      name: "tydfs-tracker",
      id: randomHex(random, 11),
      version: options.version,
      description: `Answers the clients of the tydfs cluster "${cluster}"`,
      endpoints: PROCEDURES.map(({ name }) => ({
        name: name.replace(".", "-"),
        subject: this.#subjects.rpc(name),
        queue: TRACKER_QUEUE,
      })),
      bus,
      clock,
    });
  }

  /** Begins to answer. */
  start(): void {
    const desk = this.#desk;
    this.#serve(uploadBegin, (request) => begin(desk, request));
    this.#serve(uploadExtend, (request) => extend(desk, request));
    this.#serve(uploadCommit, (request) => commit(desk, request));
    this.#serve(uploadAbort, (request) => abort(desk, request));
    this.#serve(packBegin, (request) => packs.begin(desk, request));
    this.#serve(packCommit, (request) => packs.commit(desk, request));
    this.#serve(fileLocateMany, (request) => locateMany(desk, request));
    this.#serve(fileStatMany, (request) => statMany(desk, request));
    this.#serve(fileLocate, (request) => locate(desk, request));
    this.#serve(fileStat, (request) => stat(desk, request));
    this.#serve(fileRemove, (request) => remove(desk, request));
    this.#serve(fileRename, (request) => rename(desk, request));
    this.#serve(fileCopy, (request) => copy(desk, request));
    this.#serve(fileSet, (request) => set(desk, request));
    this.#serve(fileDoubt, (request) => doubt(desk, request));
    this.#serve(dirList, (request) => list(desk, request));
    this.#serve(dirMake, (request) => make(desk, request));
    this.#serve(eventList, (request) => listEvents(desk, request));
    this.#serve(clusterStatus, () => status(desk));
    this.#serve(ruleAdd, (request) => rules.add(desk, request));
    this.#serve(ruleRemove, (request) => rules.remove(desk, request));
    this.#serve(ruleList, () => rules.list(desk));
    this.#serve(ruleApply, (request) => rules.apply(desk, request));
    this.#serve(trashList, (request) => trash.list(desk, request));
    this.#serve(trashRestore, (request) => trash.restore(desk, request));
    this.#serve(trashEmpty, (request) => trash.empty(desk, request));
    this.#serve(keeperScrub, (request) => scrubKeeper(desk, request));
    this.#serve(fileScrub, (request) => scrubFile(desk, request));
    this.#serve(keeperDrain, (request) => drain(desk, request));
    this.#serve(keeperRemove, (request) => removeKeeper(desk, request));
    this.#serve(clusterRebalance, (request) => rebalance(desk, request));
    this.#micro.start();
  }

  /** Leaves the queue, and waits for the requests that it still works on. */
  async stop(): Promise<void> {
    const stops = this.#subscriptions.splice(0).map((subscription) => subscription.stop());
    await Promise.all([...stops, this.#micro.stop()]);
  }

  #serve<Request, Reply>(
    procedure: Rpc<Request, Reply>,
    handler: (request: Request) => Reply | Promise<Reply>,
  ): void {
    const { bus, clock } = this.#desk;
    const endpoint = procedure.name.replace(".", "-");
    const options = {
      queue: TRACKER_QUEUE,
      concurrency: CONCURRENCY,
      onFailure: (name: string, error: unknown) =>
        noteFailure(this.#desk.log, "Refused a request", error, { name }),
    };
    const subject = this.#subjects.rpc(procedure.name);
    const counted = async (request: Request) => {
      const startedMs = clock.monotonicMs();
      const spentMs = () => clock.monotonicMs() - startedMs;
      try {
        const reply = await handler(request);
        this.#micro.count(endpoint, spentMs());
        return reply;
      } catch (error) {
        this.#micro.count(endpoint, spentMs(), error);
        throw error;
      }
    };
    this.#subscriptions.push(serve(bus, subject, procedure, options, counted));
  }
}
