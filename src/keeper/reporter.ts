/**
 * What a keeper tells the master's writer: reports are requests, repeated until they are answered
 * or their time is up. Late ones go on in the background, bounded in number; one that is lost is
 * made good by the next inventory.
 */
import type { Clock } from "../base/clock.ts";
import type { Log } from "../base/log.ts";
import { retry } from "../base/limit.ts";
import type { Random } from "../base/random.ts";
import type { ChunkFacts } from "../chunks/sidecar.ts";
import type { Bus } from "../wire/bus.ts";
import { call } from "../wire/bus.ts";
import { mayPass } from "../wire/errors.ts";
import type { StoredRequest } from "../wire/report.ts";
import {
  reportAside,
  reportInventory,
  reportLost,
  reportStored,
  reportStoredMany,
} from "../wire/report.ts";
import type { AsideChunk, InventoryRequest } from "../wire/report.ts";
import type { Rpc } from "../wire/rpc.ts";
import type { Subjects } from "../wire/subjects.ts";
import type { Committed } from "../wire/upload.ts";
import { LateReports } from "./late_reports.ts";

/** The facts of a copy that lies in its place, durably; undefined when none does. */
export type FindCopy = () => Promise<ChunkFacts | undefined>;

export interface ReporterOptions {
  bus: Bus;
  subjects: Subjects;
  keeperId: string;
  clock: Clock;
  random: Random;
  log: Log;
}

const TRY_MS = 5_000;
const FOR_MS = 20_000;
const LATER_FOR_MS = 120_000;
/** Reports under way in the background. */
const LATER_MAX = 256;
/** Lost chunks that are remembered as reported, and for how long they are not reported again. */
const TOLD_MAX = 4096;
const TOLD_MS = 60_000;

export class Reporter {
  readonly #options: ReporterOptions;
  readonly #later = new Set<Promise<void>>();
  readonly #told = new Map<string, number>();
  readonly #late: LateReports;

  constructor(options: ReporterOptions) {
    this.#options = options;
    this.#late = new LateReports(options.clock, (reports) => {
      this.#start("stored", () => this.#reportMany(reports));
    });
  }

  /**
   * Reports copies that are durable; throws what the master says, or the last failure after 20 s.
   * No new try begins once `signal` is aborted.
   */
  async stored(report: StoredRequest, signal?: AbortSignal): Promise<Committed | undefined> {
    return (await this.#report(reportStored, report, FOR_MS, signal)).committed;
  }

  /** The same in the background; it may wait a moment, to be told together with others. */
  storedLater(report: StoredRequest): void {
    this.#late.add(report);
  }

  /**
   * Reports, in the background and not again for a minute, that a chunk is not here or was put
   * aside. `find` tells the facts of a durable copy that has come since: then nothing is said, or
   * taken back what was.
   */
  lostLater(chunk: string, reason: "missing" | "corrupt", find: FindCopy): void {
    const key = `${reason}:${chunk}`;
    const nowMs = this.#options.clock.monotonicMs();
    if (nowMs - (this.#told.get(key) ?? -Infinity) < TOLD_MS) return;
    if (this.#told.size >= TOLD_MAX) this.#told.clear();
    this.#told.set(key, nowMs);
    this.#start("lost", () => this.#reportLost(chunk, reason, find));
  }

  /** Sends one page of the inventory; returns how it differs from the record. */
  async inventory(
    page: InventoryRequest,
    signal?: AbortSignal,
  ): Promise<{ unknown: number; missing: number; wrongSize: string[] }> {
    return await this.#report(reportInventory, page, FOR_MS, signal);
  }

  /** Tells of chunks that lie aside; returns which may go or are wanted, and who says so. */
  async aside(
    request: { chunks: AsideChunk[] },
  ): Promise<{ masterEpoch: number; discard: string[]; wanted: string[] }> {
    return await this.#report(reportAside, request, FOR_MS);
  }

  /** Waits for the reports in the background. */
  async idle(): Promise<void> {
    this.#late.flush();
    while (this.#later.size > 0) await Promise.all(this.#later);
  }

  /** Each that is not recorded with the others is reported by itself. */
  async #reportMany(reports: readonly StoredRequest[]): Promise<void> {
    const { bus, subjects, keeperId } = this.#options;
    let rest = reports;
    if (reports.length > 1) {
      const subject = subjects.report(keeperId, reportStoredMany.name);
      const request = { reports: [...reports] };
      const answer = await call(bus, subject, reportStoredMany, request, { timeoutMs: TRY_MS })
        .catch(() => undefined);
      rest = reports.filter(({ chunk }) => answer?.failed.includes(chunk) ?? true);
    }
    const told = rest.map((report) => this.#report(reportStored, report, LATER_FOR_MS));
    const failed = (await Promise.allSettled(told)).find(({ status }) => status === "rejected");
    if (failed?.status === "rejected") throw failed.reason;
  }

  /** A report that comes late must not take a copy off the record that has landed meanwhile. */
  async #reportLost(
    chunk: string,
    reason: "missing" | "corrupt",
    find: FindCopy,
  ): Promise<void> {
    const { bus, subjects, keeperId } = this.#options;
    const subject = subjects.report(keeperId, reportLost.name);
    // What can't be looked up now counts as gone.
    const look = () => find().catch(() => undefined);
    await this.#again(async () => {
      if (await look() !== undefined) return;
      await call(bus, subject, reportLost, { chunks: [chunk], reason }, { timeoutMs: TRY_MS });
    }, LATER_FOR_MS);
    const found = await look();
    if (found === undefined) return;
    // A try that is given up may still be heard, and it may have been heard behind the landing's.
    this.#forget(chunk);
    const { sizeBytes, sums } = found;
    const report = { chunk, sizeBytes, sums, keepers: [keeperId], head: false };
    await this.#report(reportStored, report, LATER_FOR_MS);
  }

  /** A copy is here: that it gets lost again is news. */
  #forget(chunk: string): void {
    for (const reason of ["missing", "corrupt"]) this.#told.delete(`${reason}:${chunk}`);
  }

  #start(what: string, task: () => Promise<unknown>): void {
    const { log } = this.#options;
    if (this.#later.size >= LATER_MAX) return log.warn("Dropped a report: too many wait", { what });
    const running = task().then(
      () => {},
      (error) => log.warn("Cannot report to the master", { what, error }),
    ).finally(() => this.#later.delete(running));
    this.#later.add(running);
  }

  #report<Request, Reply>(
    procedure: Rpc<Request, Reply>,
    request: Request,
    forMs: number,
    signal?: AbortSignal,
  ): Promise<Reply> {
    const { bus, subjects, keeperId } = this.#options;
    const subject = subjects.report(keeperId, procedure.name);
    return this.#again(
      // A try under way is not given up: it may be done already, and its answer tells.
      () => call(bus, subject, procedure, request, { timeoutMs: TRY_MS }),
      forMs,
      signal,
    );
  }

  #again<T>(task: () => Promise<T>, forMs: number, signal?: AbortSignal): Promise<T> {
    const { clock, random } = this.#options;
    const pace = { firstMs: 100, maxMs: 2_000, forMs, ...signal === undefined ? {} : { signal } };
    return retry(task, { clock, random, ...pace, retryable: mayPass });
  }
}
