/**
 * The archivist: makes snapshots of the catalog, stores them on keepers, and removes what newer
 * ones have made needless. A snapshot is made soon after the start, since what an earlier master
 * has left of the journal may lack its end; then each `snapshot_period`, or sooner where the
 * journal says so. Where keepers know more of this catalog than it does itself, nothing is stored
 * and nothing removed.
 */
import type { Clock, Timer } from "../base/clock.ts";
import type { Log } from "../base/log.ts";
import type { CatalogReader, KeeperRecord } from "../catalog/reader.ts";
import { snapshotCatalog } from "../catalog/snapshot.ts";
import type { Settings } from "../config/options.ts";
import type { ArchiveFile, SnapshotHead } from "../wire/archive.ts";
import { archiveName, commandArchive, commandPrune, parseArchiveName } from "../wire/archive.ts";
import type { ArchiveTransport } from "../wire/archive_http.ts";
import type { Bus } from "../wire/bus.ts";
import { call } from "../wire/bus.ts";
import { TydfsError } from "../wire/errors.ts";
import type { Subjects } from "../wire/subjects.ts";
import { subjectsOf } from "../wire/subjects.ts";
import { signTicket } from "../wire/ticket.ts";
import { bodyOf, DraftFile, dropFiles } from "./archive_files.ts";
import {
  archiveKeepers,
  chooseArchiveKeepers,
  decideSnapshot,
  findNewer,
  isAnyLeaving,
  planPrune,
} from "./archive_plan.ts";
import { type KeeperReader, Roster } from "./roster.ts";
import { writeSnapshot } from "./snapshot_file.ts";
import type { Tables } from "./wiring.ts";

export interface ArchivistOptions {
  settings: Pick<Settings, "snapshot_period">;
  cluster: string;
  masterEpoch: number;
  catalogPath: string;
  ticketKey: string;
  /** The cluster's key as `sealKey` makes it. */
  sealedKey: string;
  bus: Bus;
  reader: KeeperReader & Pick<CatalogReader, "catalogId" | "sequence" | "givenUpSequence">;
  tables: Pick<Tables, "keepers" | "archive">;
  transport: ArchiveTransport;
  clock: Clock;
  log: Log;
  /** How a file becomes a body; `bodyOf` unless a simulator takes its place. */
  openBody?: (path: string) => Blob;
}

const LOOK_MS = 500;
/** Keepers that a snapshot is stored on, and those that it takes to count. */
const COPIES = 3;
const ENOUGH = 2;
/** After a start, time for further keepers to come before the first snapshot is made. */
const GATHER_MS = 5_000;
const COMMAND_MS = 30_000;
/** Snapshots that are remembered: more than are ever kept. */
const MADE_MAX = 8;
/** While keepers know more than this catalog, they are asked again so often. */
const NEWER_MS = 60_000;
/** Time for a snapshot's PUT, besides what it takes at the least pace. */
const PUT_MS = 60_000;
const BYTES_PER_MS = 1024;

export class Archivist {
  readonly #options: ArchivistOptions;
  readonly #subjects: Subjects;
  readonly #roster: Roster;
  readonly #startSequence: number;
  readonly #openBody: (path: string) => Blob;
  /** What the keepers' archives held when they were last asked, by keeper. */
  #listing = new Map<string, readonly ArchiveFile[]>();
  #timer: Timer | undefined;
  #running: Promise<void> | undefined;
  #firstSeenMs: number | undefined;
  #madeMs = -Infinity;
  #failedMs = -Infinity;
  /** The snapshots that were stored, by their last operation: the latest ones. */
  readonly #made = new Set<number>();
  /** The keepers that may have a part of what was archived since the newest snapshot, with it. */
  #holders: ReadonlySet<string> = new Set();
  #listedMs = -Infinity;
  /** Bytes of journal when the newest snapshot was made. */
  #bytesBefore = 0;
  #stopping = new AbortController();

  constructor(options: ArchivistOptions) {
    this.#options = options;
    this.#subjects = subjectsOf(options.cluster);
    this.#roster = new Roster(options.reader);
    const { reader } = options;
    this.#startSequence = Math.max(reader.sequence(), reader.givenUpSequence());
    this.#openBody = options.openBody ?? bodyOf;
  }

  start(): void {
    const { clock, catalogPath } = this.#options;
    // What a master left that was killed over a snapshot.
    for (const ending of [".snapshot", ".snapshot.zst"]) dropFiles(catalogPath + ending);
    this.#timer = clock.every(LOOK_MS, () => {
      this.#running ??= this.tick().finally(() => this.#running = undefined);
    });
  }

  async stop(): Promise<void> {
    this.#timer?.stop();
    this.#stopping.abort(new TydfsError("interrupted", "The master stops"));
    await this.#running;
  }

  /** Looks what is due, and does it. Never rejects. */
  async tick(): Promise<void> {
    const { clock, log, reader, tables } = this.#options;
    const keepers = archiveKeepers(this.#roster.all(), tables.keepers);
    if (keepers.length === 0) return;
    this.#firstSeenMs ??= clock.monotonicMs();
    try {
      const isOld = tables.archive.readSnapshot().newer > 0 &&
        clock.monotonicMs() - this.#listedMs >= NEWER_MS;
      if (isOld || keepers.some(({ id }) => !this.#listing.has(id))) await this.#list(keepers);
      if (tables.archive.readSnapshot().newer > 0) return;
      const nowMs = clock.monotonicMs();
      const isGathering = keepers.length < Math.min(COPIES, this.#roster.all().length) &&
        nowMs - this.#firstSeenMs < GATHER_MS;
      if (this.#madeMs === -Infinity && isGathering) return;
      const journal = tables.archive.readJournal();
      const { sequence: snapshotSequence, copies } = tables.archive.readSnapshot();
      const reason = decideSnapshot({
        ...{ nowMs, snapshotSequence, sequence: reader.sequence(), copies },
        ...{ madeMs: this.#madeMs, failedMs: this.#failedMs },
        keepers: keepers.length,
        journalBytes: journal.bytes - this.#bytesBefore,
        isLeaving: isAnyLeaving(this.#holders, this.#roster.all(), tables.keepers),
        isBroken: journal.lost > snapshotSequence,
        journals: this.#countJournals(),
        periodMs: this.#options.settings.snapshot_period,
      });
      if (reason === undefined) return;
      await this.#make(keepers, reason);
      await this.#list(keepers);
      await this.#prune(keepers);
    } catch (error) {
      this.#failedMs = clock.monotonicMs();
      if (!this.#stopping.signal.aborted) log.error("Cannot archive the catalog", { error });
    }
  }

  /** Makes a snapshot, and stores it. Throws `no-keepers` when too few have taken it. */
  async #make(keepers: readonly KeeperRecord[], reason: string): Promise<void> {
    const { catalogPath, clock, log, tables, cluster, sealedKey } = this.#options;
    const startMs = clock.monotonicMs();
    const { bytes } = tables.archive.readJournal();
    const database = `${catalogPath}.snapshot`;
    const packed = new DraftFile(`${catalogPath}.snapshot.zst`);
    try {
      const facts = snapshotCatalog(catalogPath, database);
      const body = this.#openBody(database);
      const madeMs = clock.wallMs();
      const head: SnapshotHead = {
        ...facts,
        ...{ format: 1, cluster, key: sealedKey, sizeBytes: body.size, madeMs },
      };
      const { sizeBytes, checksum } = await writeSnapshot(head, body, packed);
      packed.close();
      const name = archiveName("snapshot", facts.catalog, facts.sequence);
      const copies = await this.#store(keepers, { name, sizeBytes, checksum }, packed.path);
      if (copies < Math.min(ENOUGH, keepers.length)) {
        const message = `Cannot store a snapshot of the catalog: ${copies} keepers have taken it`;
        throw new TydfsError("no-keepers", message);
      }
      this.#bytesBefore = bytes;
      this.#holders = new Set(keepers.map(({ id }) => id));
      this.#made.add(facts.sequence);
      if (this.#made.size > MADE_MAX) this.#made.delete(Math.min(...this.#made));
      this.#madeMs = clock.monotonicMs();
      tables.archive.putSnapshot({ sequence: facts.sequence, madeMs, copies, newer: 0 });
      const spentMs = Math.round(this.#madeMs - startMs);
      log.info("Stored a snapshot of the catalog", {
        ...{ reason, sequence: facts.sequence, copies, sizeBytes, spentMs },
      });
    } finally {
      dropFiles(database);
      packed.drop();
    }
  }

  /** Stores a file on `COPIES` keepers, trying others for those that fail. Returns their number. */
  async #store(
    keepers: readonly KeeperRecord[],
    file: ArchiveFile,
    path: string,
  ): Promise<number> {
    const candidates = keepers.map(({ id, labels }) => ({ id, zone: labels["zone"] ?? "" }));
    const held = new Set<string>();
    const failed = new Set<string>();
    for (;;) {
      const left = candidates.filter(({ id }) => !failed.has(id));
      const [next] = chooseArchiveKeepers(left, held, COPIES).filter((id) => !held.has(id));
      const keeper = keepers.find(({ id }) => id === next);
      if (keeper === undefined) return held.size;
      try {
        await this.#put(keeper, file, path);
        held.add(keeper.id);
      } catch (error) {
        if (this.#stopping.signal.aborted) throw error;
        failed.add(keeper.id);
        this.#options.log.warn("A keeper does not take a snapshot", { keeper: keeper.name, error });
      }
    }
  }

  async #put({ host, ports }: KeeperRecord, file: ArchiveFile, path: string): Promise<void> {
    const { transport, ticketKey, clock } = this.#options;
    const { name, sizeBytes, checksum } = file;
    const withinMs = PUT_MS + sizeBytes / BYTES_PER_MS;
    const expiresMs = Math.round(clock.wallMs() + withinMs);
    const ticket = signTicket(ticketKey, { op: "archive", name, sizeBytes, checksum, expiresMs });
    const late = new AbortController();
    const timer = clock.after(withinMs, () => {
      late.abort(new TydfsError("timeout", `Cannot store "${name}": it takes too long`));
    });
    const signal = AbortSignal.any([late.signal, this.#stopping.signal]);
    try {
      const address = { host, port: ports[0] ?? 0 };
      await transport.put(address, { name, ticket, body: this.#openBody(path), signal });
    } finally {
      timer.stop();
    }
  }

  /** Asks keepers what they have, and looks whether they know more than this catalog. */
  async #list(keepers: readonly KeeperRecord[]): Promise<void> {
    const { bus, log, reader, tables } = this.#options;
    const listing = new Map<string, readonly ArchiveFile[]>();
    await Promise.all(keepers.map(async ({ id, name }) => {
      const subject = this.#subjects.command(id, commandArchive.name);
      const within = { timeoutMs: COMMAND_MS, signal: this.#stopping.signal };
      try {
        listing.set(id, (await call(bus, subject, commandArchive, {}, within)).files);
      } catch (error) {
        // It counts as asked: it is asked again with the next snapshot.
        listing.set(id, this.#listing.get(id) ?? []);
        log.warn("A keeper does not tell what its archive holds", { keeper: name, error });
      }
    }));
    this.#listing = listing;
    this.#listedMs = this.#options.clock.monotonicMs();
    const newer = findNewer(listing, {
      ...{ catalog: reader.catalogId(), epoch: this.#options.masterEpoch },
      ...{ sequence: reader.sequence(), startSequence: this.#startSequence },
    });
    const before = tables.archive.readSnapshot();
    if (newer === before.newer) return;
    tables.archive.putSnapshot({ ...before, newer });
    if (newer === 0) return;
    const message = "Keepers have a newer state of this catalog: this one is an old copy; no " +
      "snapshot of it is stored; stop this master, and rebuild the newer one into an empty data " +
      "directory with: tydfs master --recover";
    log.error(message, { sequence: reader.sequence(), newer });
  }

  async #prune(keepers: readonly KeeperRecord[]): Promise<void> {
    const { bus, log, reader, masterEpoch } = this.#options;
    const [catalog, sequence] = [reader.catalogId(), reader.sequence()];
    const enough = Math.min(ENOUGH, keepers.length);
    const facts = { catalog, sequence, enough, made: this.#made };
    for (const [id, remove] of planPrune(this.#listing, facts)) {
      const subject = this.#subjects.command(id, commandPrune.name);
      const request = { epoch: masterEpoch, remove };
      const within = { timeoutMs: COMMAND_MS, signal: this.#stopping.signal };
      try {
        await call(bus, subject, commandPrune, request, within);
      } catch (error) {
        log.warn("A keeper does not remove old archives", { keeper: id, error });
      }
    }
  }

  #countJournals(): number {
    const names = [...this.#listing.values()].flat().map(({ name }) => name);
    return new Set(names.filter((name) => parseArchiveName(name).kind === "journal")).size;
  }
}
