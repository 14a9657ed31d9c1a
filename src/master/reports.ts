/**
 * Hears what keepers report and turns it into operations. A report can be repeated without harm,
 * and is answered only after its operation is durable. A keeper's word about sums is never enough:
 * a new chunk's sums come from the client, in the ticket; a copy's are compared with those on
 * record.
 */
import { AssertionError } from "../base/assert.ts";
import type { Clock } from "../base/clock.ts";
import { failpoint } from "../base/failpoint.ts";
import type { Log } from "../base/log.ts";
import type { Journal, Operation, PolicyFacts, ResultOf } from "../catalog/operation.ts";
import type { CatalogReader } from "../catalog/reader.ts";
import type { Settings } from "../config/options.ts";
import type { Bus, Subscription } from "../wire/bus.ts";
import { serve } from "../wire/bus.ts";
import { hasCode, TydfsError } from "../wire/errors.ts";
import type {
  AsideChunk,
  InventoryRequest,
  JoinedReply,
  JoinedRequest,
  StoredRequest,
} from "../wire/report.ts";
import {
  reportAside,
  reportInventory,
  reportJoined,
  reportLost,
  reportStored,
  reportStoredMany,
} from "../wire/report.ts";
import type { Rpc } from "../wire/rpc.ts";
import type { Subjects } from "../wire/subjects.ts";
import { subjectsOf } from "../wire/subjects.ts";
import { sameSums } from "../wire/sums.ts";
import type { PutTicket } from "../wire/ticket.ts";
import { openTicket } from "../wire/ticket.ts";
import type { Committed } from "../wire/upload.ts";
import { PROTOCOL_VERSION } from "../wire/version.ts";
import { decideDiscard, decideWanted, pictureOf } from "./discard.ts";
import type { Announce } from "./events.ts";
import { announceChange, announcer } from "./events.ts";
import { noteFailure } from "./failures.ts";
import { policyOf, Rulebook } from "./rulebook.ts";
import { Roster } from "./roster.ts";
import type { Tables } from "./wiring.ts";

type Stored = Extract<Operation, { kind: "chunk.stored" }>;

export interface ReportsOptions {
  settings: Settings;
  cluster: string;
  clock: Clock;
  log: Log;
  bus: Bus;
  journal: Journal;
  reader: CatalogReader;
  tables: Pick<Tables, "ports" | "keepers" | "archive">;
  /** Whether the catalog's file was found whole; it was unless given. */
  isChecked?: () => boolean;
  ticketKey: string;
  masterEpoch: number;
}

/** Keepers beat once in this time. */
export const BEAT_MS = 1_000;
/** Reports of one kind that wait for their transaction at once: they share it. */
const CONCURRENCY = 1_024;
/**
 * A PUT that began while its ticket was in force may be reported so much later. Less than removed
 * chunks are remembered: see `Sweeper`.
 */
const REPORT_LATE_MS = 3 * 60 * 60_000;
/** The goal of a chunk that nobody has told the master of. */
const STRAY_GOAL = 1;

export class Reports {
  readonly #options: ReportsOptions;
  readonly #subjects: Subjects;
  readonly #announce: Announce;
  readonly #rulebook: Rulebook;
  readonly #roster: Roster;
  readonly #subscriptions: Subscription[] = [];

  constructor(options: ReportsOptions) {
    this.#options = options;
    this.#subjects = subjectsOf(options.cluster);
    this.#announce = announcer(options.bus, this.#subjects, options.clock);
    this.#rulebook = new Rulebook(options.settings.rules, options.reader);
    this.#roster = new Roster(options.reader);
  }

  /** Begins to answer. */
  start(): void {
    this.#serve(reportJoined, (request, keeper) => this.joined(request, keeper));
    this.#serve(reportStored, (request, keeper) => this.stored(request, keeper));
    this.#serve(reportStoredMany, (request, keeper) => this.storedMany(request, keeper));
    this.#serve(reportLost, (request, keeper) => this.lost(request, keeper));
    this.#serve(reportInventory, (request, keeper) => this.inventory(request, keeper));
    this.#serve(reportAside, (request, keeper) => this.aside(request, keeper));
  }

  /** Takes no more reports, and waits for those it works on. */
  async stop(): Promise<void> {
    await Promise.all(this.#subscriptions.splice(0).map((subscription) => subscription.stop()));
  }

  /**
   * A keeper registers. Throws `denied`, `invalid` (another protocol), `stale-epoch`, `conflict`,
   * `limit`.
   */
  async joined(request: JoinedRequest, keeper: string): Promise<JoinedReply> {
    const { settings, journal, clock, tables, log, masterEpoch } = this.#options;
    const { name, epoch, instance, protocol, host, ports, slots, labels } = request;
    const cannot = `Cannot join keeper "${name}"`;
    if (request.keeper !== keeper) {
      throw new TydfsError("denied", `${cannot}: it speaks for another keeper`);
    }
    if (settings.keepers.length > 0 && !settings.keepers.includes(name)) {
      throw new TydfsError("denied", `${cannot}: the master's list of keepers does not name it`);
    }
    if (protocol !== PROTOCOL_VERSION) {
      const state = `it speaks protocol ${protocol}, the master ${PROTOCOL_VERSION}`;
      throw new TydfsError("invalid", `${cannot}: ${state}; run the same version of tydfs`);
    }
    const facts = { id: keeper, name, epoch, instance, host, ports, slots, labels };
    const atMs = clock.wallMs();
    const { number } = await journal.submit({ kind: "keeper.join", keeper: facts, atMs });
    tables.keepers.markJoined(number, epoch);
    log.info("A keeper has joined", { keeper: name, number, host, ports, epoch });
    const catalog = this.#options.reader.catalogId();
    return { number, masterEpoch, catalog, beatMs: BEAT_MS, chunkBytes: settings.chunk_size };
  }

  /**
   * Copies are durable. Throws `denied`, `corrupt` (other sums than the client's), and what the
   * operation throws.
   */
  async stored(request: StoredRequest, keeper: string): Promise<{ committed?: Committed }> {
    const { clock, settings } = this.#options;
    await failpoint("master.report.received");
    const ticket = this.#ticketOf(request);
    const known = ticket === undefined ? request.keepers : ticket.hops.map((hop) => hop.keeper);
    if (!request.keepers.includes(keeper) || !request.keepers.every((id) => known.includes(id))) {
      throw new TydfsError("denied", `Cannot record chunk "${request.chunk}": not its keepers`);
    }
    if (ticket === undefined) return this.#storedCopy(request, keeper);
    // The rules of now, whatever they were when the chunk was placed: what lies wrong is moved.
    const rule = this.#rulebook.find(ticket.origin.path);
    const { replicas = rule?.copies ?? settings.replicas } = ticket.commit ?? {};
    const goal = ticket.commit === undefined ? ticket.goal : replicas;
    const wish = { goal, policy: policyOf(rule) };
    const operation = storedOperation(request, ticket, { atMs: clock.wallMs(), ...wish });
    const { committed, event } = await this.#record(operation);
    this.#releaseGrants(request, ticket);
    announceChange(this.#announce, event);
    if (committed === undefined) return {};
    const { replaced: _replaced, ...file } = committed;
    return { committed: file };
  }

  /** Several reports in one message: they share a transaction. Answers those that failed. */
  async storedMany(
    request: { reports: StoredRequest[] },
    keeper: string,
  ): Promise<{ failed: string[] }> {
    const { log } = this.#options;
    const failed: string[] = [];
    await Promise.all(request.reports.map(async (report) => {
      try {
        await this.stored(report, keeper);
      } catch (error) {
        if (error instanceof AssertionError) throw error;
        noteFailure(log, "Refused a report", error, { name: reportStored.name });
        failed.push(report.chunk);
      }
    }));
    return { failed };
  }

  /** Replicas that a keeper does not have any more. */
  async lost(
    request: { chunks: string[]; reason: string },
    keeper: string,
  ): Promise<Record<string, never>> {
    const { journal, clock, log } = this.#options;
    const { chunks, reason } = request;
    log.warn("A keeper has lost replicas", { keeper, chunks: chunks.length, reason });
    await journal.submit({ kind: "replica.gone", keeper, chunks, atMs: clock.wallMs() });
    return {};
  }

  /** A page of a keeper's inventory. */
  async inventory(
    request: InventoryRequest,
    keeper: string,
  ): Promise<{ unknown: number; missing: number; wrongSize: string[] }> {
    const { journal, clock, log, reader, tables } = this.#options;
    const { after, chunks, last } = request;
    const atMs = clock.wallMs();
    const operation = { kind: "keeper.inventory", keeper, after, chunks, last, atMs } as const;
    const { unknown, missing, wrongSize } = await journal.submit(operation);
    if (unknown + missing + wrongSize.length > 0) {
      const counts = { unknown, missing, wrongSize: wrongSize.length };
      log.warn("An inventory differs", { keeper, ...counts });
    }
    const record = last ? reader.keepers().find(({ id }) => id === keeper) : undefined;
    if (record !== undefined) tables.keepers.markListed(record.number, record.epoch);
    return { unknown, missing, wrongSize };
  }

  /** What a keeper has put aside: what it may delete now, and what it is to look at again. */
  async aside(
    request: { chunks: AsideChunk[] },
    keeper: string,
  ): Promise<{ masterEpoch: number; discard: string[]; wanted: string[] }> {
    const { reader, settings, clock, tables, masterEpoch, isChecked = () => true } = this.#options;
    const picture = pictureOf(this.#roster.all(), tables.keepers, settings, clock.wallMs());
    const reporter = this.#roster.byId(keeper)?.number;
    const isDoubtful = tables.archive.readSnapshot().newer > 0 || !isChecked();
    const discard: string[] = [];
    const wanted: string[] = [];
    for (const aside of request.chunks) {
      const chunk = reader.chunk(aside.chunk);
      // What an older catalog does not need says nothing, and neither what a damaged one does.
      if (!isDoubtful && decideDiscard(aside, reporter, chunk, picture)) discard.push(aside.chunk);
      else if (decideWanted(aside, reporter, chunk, picture)) wanted.push(aside.chunk);
    }
    return { masterEpoch, discard, wanted };
  }

  /**
   * The client's ticket of a report. Throws `denied` for a forged one, `corrupt` when what is
   * stored is not what it allows.
   */
  #ticketOf(request: StoredRequest): PutTicket | undefined {
    if (request.ticket === undefined) return undefined;
    const { clock, ticketKey } = this.#options;
    const ticket = openTicket(ticketKey, request.ticket, clock.wallMs() - REPORT_LATE_MS);
    const cannot = `Cannot record chunk "${request.chunk}"`;
    if (ticket.op !== "put" || ticket.chunk !== request.chunk) {
      throw new TydfsError("denied", `${cannot}: the ticket is for something else`);
    }
    if (ticket.sizeBytes !== request.sizeBytes || !sameSums(ticket.sums, request.sums)) {
      throw new TydfsError("corrupt", `${cannot}: its bytes are not those that the client sent`);
    }
    return ticket;
  }

  /**
   * Records a stored chunk. When its path can't take the file any more, the copies are put on
   * record all the same, as unneeded ones: else nobody would ever remove them.
   */
  async #record(operation: Stored): Promise<ResultOf<"chunk.stored">> {
    const { journal } = this.#options;
    try {
      return await journal.submit(operation);
    } catch (error) {
      if (hasCode(error, "exists", "is-directory", "not-directory", "expired")) {
        const { commit: _commit, place: _place, ...copies } = operation;
        await journal.submit(copies);
      }
      throw error;
    }
  }

  /**
   * A copy that was made by command, or one that nobody asked for: it counts, but brings no sums of
   * its own.
   */
  async #storedCopy(request: StoredRequest, keeper: string): Promise<Record<string, never>> {
    const { journal, clock, reader, log } = this.#options;
    const { chunk: id, sizeBytes, sums } = request;
    const cannot = `Cannot record chunk "${id}"`;
    if (request.keepers.length > 1) {
      throw new TydfsError("denied", `${cannot}: without a ticket a keeper speaks for itself only`);
    }
    const known = reader.chunk(id);
    if (known === undefined) {
      log.warn("A keeper has a chunk that nobody knows", { keeper, chunk: id });
    }
    const differs = known !== undefined && known.sums.length > 0 &&
      (known.sizeBytes !== sizeBytes || !sameSums(known.sums, sums));
    if (differs) throw new TydfsError("corrupt", `${cannot}: its bytes are not those on record`);
    const chunk = { id, sizeBytes, sums, goal: known?.goal ?? STRAY_GOAL };
    const atMs = clock.wallMs();
    await journal.submit({ kind: "chunk.stored", chunk, keepers: [keeper], stray: true, atMs });
    return {};
  }

  /**
   * Frees the slots of the keepers whose copies are done. The others keep theirs until their own
   * report or beat.
   */
  #releaseGrants(request: StoredRequest, ticket: PutTicket): void {
    for (const { keeper, grant } of ticket.hops) {
      if (request.keepers.includes(keeper)) this.#options.tables.ports.release(grant);
    }
  }

  #serve<Request, Reply>(
    procedure: Rpc<Request, Reply>,
    handler: (request: Request, keeper: string) => Promise<Reply>,
  ): void {
    const { bus, log } = this.#options;
    const options = {
      concurrency: CONCURRENCY,
      onFailure: (name: string, error: unknown) =>
        noteFailure(log, "Refused a report", error, { name }),
    };
    const subject = this.#subjects.report("*", procedure.name);
    const answer = (request: Request, subject: string) => handler(request, keeperOf(subject));
    this.#subscriptions.push(serve(bus, subject, procedure, options, answer));
  }
}

/** The keeper's id in `tydfs.<cluster>.<area>.<keeper>…`; no part of a subject has dots. */
export function keeperOf(subject: string): string {
  return subject.split(".")[3] ?? "";
}

function storedOperation(
  request: StoredRequest,
  ticket: PutTicket,
  { atMs, goal, policy }: { atMs: number; goal: number; policy: PolicyFacts | undefined },
): Extract<Operation, { kind: "chunk.stored" }> {
  const { chunk: id, sizeBytes, sums, origin, commit, minCopies } = ticket;
  const { path, upload, seq, offset } = origin;
  const chunk = { id, sizeBytes, sums, goal, ...(policy === undefined ? {} : { policy }) };
  const stored = { kind: "chunk.stored", chunk, keepers: request.keepers, atMs } as const;
  // Its files are made by `pack.commit`; until then it is one that nothing refers to.
  if (origin.packed === true) return { ...stored, packed: true };
  const base = stored;
  if (request.keepers.length < minCopies) return base;
  // Only a head's report is surely of a client that waits for it. With others it may have gone, or
  // have sent the chunk elsewhere: it commits nothing then, and takes no other chunk's place.
  const late = request.head ? {} : { late: true };
  if (commit === undefined) return { ...base, place: { upload, seq, offset, ...late } };
  if (!request.head) return base;
  const { replicas, ...facts } = commit;
  const file = { path, ...facts, ...(replicas === undefined ? {} : { replicas }) };
  return { ...base, commit: { upload, file } };
}
