/** Watches what safe mode depends on, over time; says so when it changes. */
import type { Clock } from "../base/clock.ts";
import type { Log } from "../base/log.ts";
import type { CatalogReader } from "../catalog/reader.ts";
import type { ArchiveTable } from "../tables/archive_table.ts";
import type { KeeperTable } from "../tables/keeper_table.ts";
import type { KeeperState } from "../wire/cluster.ts";
import type { PassCounts } from "./repair_scan.ts";
import type { Roster } from "./roster.ts";
import { allowsRepairs, decideSafeMode, describeSafeMode, type SafeMode } from "./safe_mode.ts";

export interface SafetyWatchOptions {
  clock: Clock;
  log: Log;
  roster: Roster;
  reader: Pick<CatalogReader, "counts">;
  keepers: KeeperTable;
  archive: ArchiveTable;
  safeShare: number;
  /** How long the picture must have stood before copies are given up. */
  settleMs: number;
}

export class SafetyWatch {
  readonly #options: SafetyWatchOptions;
  #mode: SafeMode = { kind: "starting" };
  /** Since when all keepers are heard or dead, and enough of them alive. */
  #settledSinceMs: number | undefined;
  /** Since when all living keepers have told what they have. */
  #listedSinceMs: number | undefined;
  #passed = false;
  #members: ReadonlySet<number> = new Set();
  /** Chunks of which the catalog knew no copy: at the start, or when a keeper was removed. */
  #knownLost: number;

  constructor(options: SafetyWatchOptions) {
    this.#options = options;
    this.#knownLost = options.reader.counts().chunksLost;
  }

  /** As it was decided last. */
  get mode(): SafeMode {
    return this.#mode;
  }

  /** Every known keeper was heard or is dead. */
  get isDecided(): boolean {
    return this.#mode.kind !== "starting" && this.#mode.kind !== "unheard";
  }

  /** Decides anew; `pass` is the latest whole count. */
  look(pass: PassCounts): void {
    const { clock, roster, reader, archive, safeShare, settleMs } = this.#options;
    const nowMs = clock.monotonicMs();
    const keepers = roster.all().map(({ number }) => this.#keeper(number));
    this.#noteMembers();
    const isHeard = keepers.every(({ state }) => state !== "JOINING");
    const alive = keepers.filter(({ state }) => state === "ALIVE");
    const isSettling = isHeard && alive.length * 100 >= keepers.length * safeShare;
    this.#settledSinceMs = isSettling ? this.#settledSinceMs ?? nowMs : undefined;
    const isListed = isHeard && alive.every(({ listed }) => listed);
    this.#listedSinceMs = isListed ? this.#listedSinceMs ?? nowMs : undefined;
    const isCounted = this.#listedSinceMs !== undefined && pass.startedMs >= this.#listedSinceMs;
    const next = decideSafeMode({
      ...{ keepers, safeShare, settleMs, chunks: reader.counts().chunks, passed: this.#passed },
      newer: archive.readSnapshot().newer,
      settledForMs: nowMs - (this.#settledSinceMs ?? nowMs),
      missing: isCounted ? Math.max(0, pass.lost - this.#knownLost) : undefined,
    });
    if (next.kind === "off") this.#passed = true;
    const isNew = next.kind !== this.#mode.kind;
    this.#mode = next;
    if (isNew) this.#tell();
  }

  /** Who was removed takes the chunks along that only it had: the operator knows. */
  #noteMembers(): void {
    const { roster, reader } = this.#options;
    const members = new Set(roster.all().map(({ number }) => number));
    if (!this.#members.isSubsetOf(members)) this.#knownLost = reader.counts().chunksLost;
    this.#members = members;
  }

  #tell(): void {
    const { log } = this.#options;
    const reason = describeSafeMode(this.#mode);
    if (reason === undefined) {
      log.info("Safe mode is over: chunks may be deleted, moved and repaired");
    } else log.warn("Safe mode", { reason, holdsRepairs: !allowsRepairs(this.#mode) });
  }

  /** A keeper that the sentinel has not come to yet is about to be JOINING. */
  #keeper(number: number): { state: KeeperState; listed: boolean } {
    const row = this.#options.keepers.find(number);
    const listed = this.#options.keepers.hasListed(number, row?.epoch ?? 0);
    return { state: row?.state ?? "JOINING", listed };
  }
}
