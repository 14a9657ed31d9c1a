/**
 * What an operator asks of a cluster: keepers drained and removed, disks balanced and scrubbed, the
 * trash, and which files are in danger. Long answers come page by page.
 */
import type { FileAtRisk, FsckPage, RiskPage } from "../wire/audit.ts";
import { auditRisk, fsckCheck } from "../wire/audit.ts";
import { TydfsError } from "../wire/errors.ts";
import { parsePath } from "../wire/names.ts";
import type { DrainReply, RebalanceReply, ScrubPage } from "../wire/operator.ts";
import {
  clusterRebalance,
  fileScrub,
  keeperDrain,
  keeperRemove,
  keeperScrub,
} from "../wire/operator.ts";
import type { Rpc } from "../wire/rpc.ts";
import type { TrashEntry } from "../wire/trash.ts";
import { TRASH_PAGE_MAX, trashEmpty, trashList, trashRestore } from "../wire/trash.ts";
import type { OperationOptions } from "./api.ts";
import { signalOf } from "./context.ts";
import type { Trackers } from "./trackers.ts";

export type { DrainReply, FileAtRisk, FsckPage, RebalanceReply, RiskPage, ScrubPage, TrashEntry };

export class Operator {
  readonly #trackers: Trackers;

  constructor(trackers: Trackers) {
    this.#trackers = trackers;
  }

  /** Begins or ends to move everything off a keeper; asked again it tells how far that is. */
  drain(keeper: string, on: boolean, options: OperationOptions = {}): Promise<DrainReply> {
    return this.#ask(keeperDrain, { keeper, on }, options);
  }

  /** Forgets a keeper. Throws `conflict` while chunks need its copies, unless `force`. */
  async removeKeeper(
    keeper: string,
    force: boolean,
    options: OperationOptions = {},
  ): Promise<{ keeper: string; name: string; short: number; lost: number }> {
    let { more, ...sum } = await this.#ask(keeperRemove, { keeper, force }, options);
    while (more) {
      // By its id, which it keeps.
      const next = await this.#ask(keeperRemove, { keeper: sum.keeper, force }, options);
      const { short, lost } = next;
      sum = { ...sum, short: sum.short + short, lost: sum.lost + lost };
      more = next.more;
    }
    return sum;
  }

  /** Plans, begins or ends the balancing of the keepers' disks. */
  rebalance(
    action: "plan" | "start" | "stop",
    options: OperationOptions = {},
  ): Promise<RebalanceReply> {
    return this.#ask(clusterRebalance, { action }, options);
  }

  /** Has a keeper read all its chunks again. */
  async scrubKeeper(keeper: string, options: OperationOptions = {}): Promise<void> {
    await this.#ask(keeperScrub, { keeper }, options);
  }

  /** Has all copies of a file read again; tells after each page of them. */
  async *scrubFile(remote: string, options: OperationOptions = {}): AsyncGenerator<ScrubPage> {
    const path = parsePath(remote);
    let page = await this.#ask(fileScrub, { path, fromSeq: 0 }, options);
    for (;;) {
      yield page;
      const { inode, next } = page;
      if (next === undefined) return;
      page = await this.#ask(fileScrub, { path, inode, fromSeq: next }, options);
    }
  }

  /** What lies in the trash at a path or below it. */
  async *trash(remote: string, options: OperationOptions = {}): AsyncGenerator<TrashEntry> {
    const under = parsePath(remote);
    let after: Pick<TrashEntry, "path" | "removedMs" | "version"> | undefined;
    for (;;) {
      const request = { under, limit: TRASH_PAGE_MAX, ...(after === undefined ? {} : { after }) };
      const { entries, more } = await this.#ask(trashList, request, options);
      yield* entries;
      const last = entries.at(-1);
      if (!more || last === undefined) return;
      after = { path: last.path, removedMs: last.removedMs, version: last.version };
    }
  }

  /**
   * Brings back what was removed last at a path: a file, or all files of a directory. Returns how
   * many, and where. When it fails, files may be back already; asked again, it goes on.
   */
  async undelete(
    remote: string,
    wish: { version?: number; to?: string; replace: boolean },
    options: OperationOptions = {},
  ): Promise<{ files: number; bytes: number; path: string }> {
    const { version, to, replace } = wish;
    const request = {
      path: parsePath(remote),
      replace,
      ...(version === undefined ? {} : { version }),
      ...(to === undefined ? {} : { to: parsePath(to) }),
    };
    const total = { files: 0, bytes: 0 };
    let after: { path: string; removedMs: number } | undefined;
    for (;;) {
      const page = await this.#once(trashRestore, { ...request, ...(after && { after }) }, options)
        .catch((error) => {
          throw tellRestored(error, total.files);
        });
      total.files += page.files;
      total.bytes += page.bytes;
      if (page.next === undefined) return { ...total, path: page.path };
      after = page.next;
    }
  }

  /** Purges what lies in the trash at a path or below it; tells after each page. */
  async *emptyTrash(
    remote: string,
    options: OperationOptions = {},
  ): AsyncGenerator<{ files: number; bytes: number }> {
    const under = parsePath(remote);
    let untilMs: number | undefined;
    for (;;) {
      const request = { under, ...(untilMs === undefined ? {} : { untilMs }) };
      const page = await this.#ask(trashEmpty, request, options);
      yield { files: page.files, bytes: page.bytes };
      if (!page.more) return;
      untilMs = page.untilMs;
    }
  }

  /** The files that have too few copies, were the keepers `without` away; page by page. */
  async *risks(
    without: readonly string[],
    options: OperationOptions = {},
  ): AsyncGenerator<RiskPage> {
    for (let after: number | undefined = 0; after !== undefined;) {
      const page: RiskPage = await this.#ask(auditRisk, { without: [...without], after }, options);
      yield page;
      after = page.next;
    }
  }

  /** Compares the catalog with the keepers' disks; page by page. */
  async *fsck(repair: boolean, options: OperationOptions = {}): AsyncGenerator<FsckPage> {
    for (let after: number | undefined = 0; after !== undefined;) {
      const page: FsckPage = await this.#ask(fsckCheck, { after, repair }, options);
      yield page;
      after = page.next;
    }
  }

  #ask<Request, Reply>(
    procedure: Rpc<Request, Reply>,
    request: Request,
    options: OperationOptions,
  ): Promise<Reply> {
    return this.#trackers.ask(procedure, request, { signal: signalOf(options), repeatable: true });
  }

  #once<Request, Reply>(
    procedure: Rpc<Request, Reply>,
    request: Request,
    options: OperationOptions,
  ): Promise<Reply> {
    return this.#trackers.ask(procedure, request, { signal: signalOf(options), repeatable: false });
  }
}

/** The error, with what pages before it have brought back. */
function tellRestored(error: unknown, files: number): unknown {
  if (files === 0 || !(error instanceof TydfsError)) return error;
  const { code, message, data } = error;
  return new TydfsError(code, `${message} (${files} files are back already)`, {
    data,
    cause: error,
  });
}
