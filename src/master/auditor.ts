/**
 * The auditor: tells which files are in danger (`audit.risk`), and compares the catalog with the
 * keepers' disks (`fsck.check`). Both come page by page, each page bounded in what it looks at, in
 * what it names and in time; in between, others of this thread have their turns. It keeps nothing.
 */
import type { Clock } from "../base/clock.ts";
import type { Log } from "../base/log.ts";
import type { AuditChunk, AuditReader } from "../catalog/audit_reader.ts";
import type { Journal } from "../catalog/operation.ts";
import type { FileAtRisk, Finding, FsckPage, RiskPage } from "../wire/audit.ts";
import { auditRisk, fsckCheck } from "../wire/audit.ts";
import type { Bus, Subscription } from "../wire/bus.ts";
import { serve } from "../wire/bus.ts";
import type { Rpc } from "../wire/rpc.ts";
import type { Subjects } from "../wire/subjects.ts";
import { subjectsOf } from "../wire/subjects.ts";
import { findKeeper } from "../wire/keeper_word.ts";
import type { AuditPlace } from "./danger.ts";
import { cutChunks, decideDanger, FIRST_CHUNK, formatPlace, parsePlace } from "./danger.ts";
import type { DiskPicture, Fault } from "./disk_check.ts";
import { describeFault, lookAtDisks, repairCopies } from "./disk_check.ts";
import { noteFailure } from "./failures.ts";
import { FileRisks } from "./file_risks.ts";
import { type KeeperReader, Roster } from "./roster.ts";
import { nextTurn } from "./turns.ts";
import type { Tables } from "./wiring.ts";

export interface AuditorOptions {
  cluster: string;
  clock: Clock;
  log: Log;
  bus: Bus;
  journal: Journal;
  reader: KeeperReader;
  auditReader: AuditReader;
  tables: Pick<Tables, "keepers">;
  masterEpoch: number;
}

/** The queue group in which auditors answer. */
const AUDITOR_QUEUE = "auditors";
/** Pages that are worked on at once; more of them wait. */
const PAGES_AT_ONCE = 2;
/** A page is told when so much time has gone, or so many chunks were looked at. */
const PAGE_MS = 1_000;
const CHUNKS_MAX = 16_384;
const CHUNKS_AT_ONCE = 1_024;
/** Chunks whose copies the keepers are asked for at once: a slow disk seeks for each. */
const CHECKED_AT_ONCE = 256;
/** Findings of one page: far below what one message may have. */
const FINDINGS_MAX = 2_000;

interface FaultyCopy {
  chunk: AuditChunk;
  keeper: number;
  fault: Fault;
}

export class Auditor {
  readonly #options: AuditorOptions;
  readonly #subjects: Subjects;
  readonly #roster: Roster;
  readonly #subscriptions: Subscription[] = [];

  constructor(options: AuditorOptions) {
    this.#options = options;
    this.#subjects = subjectsOf(options.cluster);
    this.#roster = new Roster(options.reader);
  }

  /** Begins to answer. */
  start(): void {
    this.#serve(auditRisk, (request) => this.risk(request));
    this.#serve(fsckCheck, (request) => this.check(request));
  }

  /** Answers no more, and waits for the pages under way. */
  async stop(): Promise<void> {
    await Promise.all(this.#subscriptions.splice(0).map((subscription) => subscription.stop()));
  }

  /** `audit.risk`. */
  async risk({ without, after }: { without: string[]; after: number }): Promise<RiskPage> {
    const { auditReader, clock } = this.#options;
    const away = new Set(
      without.map((word) => findKeeper(this.#roster.all(), word, "tell of a loss without").number),
    );
    const isLive = (keeper: number) => !away.has(keeper) && this.#isLive(keeper);
    const page = new FileRisks(auditReader, isLive);
    const startMs = clock.monotonicMs();
    let place: AuditPlace = parsePlace(after);
    for (let chunks = 0;;) {
      const { numbers, more } = this.#doubtful(place.no, isLive);
      for (const no of numbers) {
        const skip = no === place.no ? place.skip : 0;
        const left = this.#isShort(no, isLive) ? await page.add(no, skip) : undefined;
        if (left !== undefined) {
          return { files: page.files, chunks, next: formatPlace({ no, skip: left }) };
        }
        chunks++;
      }
      if (!more) return { files: page.files, chunks };
      place = { no: (numbers.at(-1) ?? 0) + 1, skip: 0 };
      const isLong = clock.monotonicMs() - startMs > PAGE_MS || chunks >= CHUNKS_MAX;
      if (isLong) return { files: page.files, chunks, next: formatPlace(place) };
      await nextTurn();
    }
  }

  /** `fsck.check`. */
  async check({ after, repair }: { after: number; repair: boolean }): Promise<FsckPage> {
    const chunksTotal = this.#options.auditReader.chunksTotal();
    if (after < FIRST_CHUNK) {
      const { findings, next } = await this.#checkCatalog(after);
      return { findings, files: [], chunks: 0, chunksTotal, next };
    }
    const place = parsePlace(after);
    const page = this.#options.auditReader.chunks(place.no, CHECKED_AT_ONCE + 1);
    const chunks = cutChunks(page.slice(0, CHECKED_AT_ONCE), FINDINGS_MAX);
    const picture = await lookAtDisks(this.#diskCheck(), chunks);
    const { files, stop } = await this.#tellFiles(chunks, picture, place);
    const done = stop === undefined ? chunks : chunks.filter(({ no }) => no < stop.no);
    const more = page.length > chunks.length;
    const behind = more ? { no: (chunks.at(-1)?.no ?? 0) + 1, skip: 0 } : undefined;
    const next = stop ?? behind;
    return {
      findings: await this.#conclude(done, picture, repair),
      files,
      chunks: done.filter(({ refs }) => refs > 0).length,
      chunksTotal,
      ...(next === undefined ? {} : { next: formatPlace(next) }),
    };
  }

  /** Steps of the check of the catalog itself, as many as fit into the time of a page. */
  async #checkCatalog(from: number): Promise<{ findings: Finding[]; next: number }> {
    const { auditReader, clock } = this.#options;
    const startMs = clock.monotonicMs();
    const findings: Finding[] = [];
    let step = from;
    for (const broken of auditReader.checkFrom(from)) {
      for (const detail of broken) findings.push({ kind: "catalog", detail, repaired: false });
      step++;
      if (clock.monotonicMs() - startMs > PAGE_MS) return { findings, next: step };
      await nextTurn();
    }
    return { findings, next: FIRST_CHUNK };
  }

  /** The files of the chunks that have too few good copies, up to where the page is full. */
  async #tellFiles(
    chunks: readonly AuditChunk[],
    { faults }: DiskPicture,
    from: AuditPlace,
  ): Promise<{ files: FileAtRisk[]; stop?: AuditPlace }> {
    const isLive = (keeper: number, no: number) =>
      this.#isLive(keeper) && faults.get(no)?.get(keeper) === undefined;
    const page = new FileRisks(this.#options.auditReader, isLive);
    for (const { no, refs, goal, keepers } of chunks) {
      const live = keepers.filter((keeper) => isLive(keeper, no)).length;
      if (refs === 0 || decideDanger(live, goal) === undefined) continue;
      const skip = await page.add(no, no === from.no ? from.skip : 0);
      if (skip !== undefined) return { files: page.files, stop: { no, skip } };
    }
    return { files: page.files };
  }

  /** The findings of these chunks; those that can be are mended first where it is asked for. */
  async #conclude(
    chunks: readonly AuditChunk[],
    { faults, unreachable }: DiskPicture,
    repair: boolean,
  ): Promise<Finding[]> {
    const faulty = chunks.flatMap((chunk): FaultyCopy[] =>
      [...faults.get(chunk.no) ?? []].map(([keeper, fault]) => ({ chunk, keeper, fault }))
    );
    if (repair) await repairCopies(this.#diskCheck(), faulty);
    const ofUnused = chunks.filter(({ refs }) => refs === 0).flatMap((chunk) =>
      this.#describeUnused(chunk)
    );
    const silent = [...unreachable].flatMap(([number, reason]): Finding[] => {
      const copies = chunks.filter(({ refs, keepers }) => refs > 0 && keepers.includes(number));
      if (copies.length === 0) return [];
      const finding = { kind: "unreachable", keeper: this.#nameOf(number) } as const;
      return [{ ...finding, detail: reason, copies: copies.length, repaired: false }];
    });
    const wrong = faulty.map(({ chunk, keeper, fault }) =>
      describeFault(chunk, this.#nameOf(keeper), fault, repair)
    );
    return [...wrong, ...silent, ...ofUnused];
  }

  /** Chunks that nothing refers to are removed by the sweeper, when their time has come. */
  #describeUnused({ id: chunk, keepers, stray, sizeBytes }: AuditChunk): Finding[] {
    const copies = keepers.length;
    if (copies === 0) return [];
    if (!stray) {
      const detail = `nothing refers to it (${sizeBytes} bytes)`;
      return [{ kind: "orphan", chunk, detail, copies, repaired: false }];
    }
    return keepers.map((number) => ({
      kind: "unrecorded",
      chunk,
      keeper: this.#nameOf(number),
      detail: `the keeper has it, the catalog knows nothing of it (${sizeBytes} bytes)`,
      repaired: false,
    }));
  }

  /**
   * Numbers of chunks, from `fromNo` on, that may have too few live copies, in order: short ones on
   * record, and those of keepers that don't count.
   */
  #doubtful(
    fromNo: number,
    isLive: (keeper: number) => boolean,
  ): { numbers: number[]; more: boolean } {
    const { auditReader } = this.#options;
    const found = new Set(auditReader.shortChunks(fromNo, CHUNKS_AT_ONCE));
    let full = found.size === CHUNKS_AT_ONCE;
    for (const { number } of this.#roster.all().filter((keeper) => !isLive(keeper.number))) {
      const chunks = auditReader.chunksOfKeeper(number, fromNo, CHUNKS_AT_ONCE);
      full ||= chunks.length === CHUNKS_AT_ONCE;
      for (const no of chunks) found.add(no);
    }
    // The first of all lists together are among the first of each.
    const numbers = [...found].sort((left, right) => left - right);
    const more = full || numbers.length > CHUNKS_AT_ONCE;
    return { numbers: numbers.slice(0, CHUNKS_AT_ONCE), more };
  }

  #isShort(no: number, isLive: (keeper: number) => boolean): boolean {
    const chunk = this.#options.auditReader.chunk(no);
    if (chunk === undefined || chunk.refs === 0) return false;
    return decideDanger(chunk.keepers.filter(isLive).length, chunk.goal) !== undefined;
  }

  /** As repair judges: a keeper counts until it is found dead. */
  #isLive(keeper: number): boolean {
    return (this.#options.tables.keepers.find(keeper)?.state ?? "DEAD") !== "DEAD";
  }

  #nameOf(keeper: number): string {
    return this.#roster.byNumber(keeper)?.name ?? `number ${keeper}`;
  }

  #diskCheck() {
    const { bus, clock, log, journal, auditReader, tables, masterEpoch } = this.#options;
    const subjects = this.#subjects;
    const roster = this.#roster;
    const { keepers } = tables;
    return {
      bus,
      subjects,
      clock,
      log,
      journal,
      roster,
      reader: auditReader,
      keepers,
      masterEpoch,
    };
  }

  #serve<Request, Reply>(
    procedure: Rpc<Request, Reply>,
    handler: (request: Request) => Promise<Reply>,
  ): void {
    const { bus, log } = this.#options;
    const onFailure = (name: string, error: unknown) =>
      noteFailure(log, "Refused a request", error, { name });
    const options = { queue: AUDITOR_QUEUE, concurrency: PAGES_AT_ONCE, onFailure };
    const subject = this.#subjects.rpc(procedure.name);
    this.#subscriptions.push(serve(bus, subject, procedure, options, handler));
  }
}
