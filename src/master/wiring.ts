/**
 * How the master's threads are wired: their start messages, and the effects that each makes of its
 * own.
 */
import { isatty } from "node:tty";
import { throwUncaught } from "../base/assert.ts";
import { systemClock } from "../base/clock.ts";
import { retry } from "../base/limit.ts";
import type { Log, LogFormat, LogLevel } from "../base/log.ts";
import { stderrLog } from "../base/log.ts";
import { writePrivate } from "../base/private_file.ts";
import { systemRandom } from "../base/random.ts";
import { CatalogReader } from "../catalog/reader.ts";
import type { Journal, Operation, OperationKind, ResultOf } from "../catalog/operation.ts";
import type { CatalogWriterOptions, CommittedBatch } from "../catalog/writer.ts";
import { CatalogWriter } from "../catalog/writer.ts";
import type { Settings } from "../config/options.ts";
import { ArchiveTable } from "../tables/archive_table.ts";
import { KeeperTable } from "../tables/keeper_table.ts";
import { KEEPERS_MAX, PORTS_MAX, PortTable } from "../tables/port_table.ts";
import { RepairTable } from "../tables/repair_table.ts";
import type { Bus } from "../wire/bus.ts";
import { connectNats } from "../wire/bus_nats.ts";
import { subjectsOf } from "../wire/subjects.ts";
import { PortCaller } from "../wire/thread.ts";
import type { ClusterUrl } from "../wire/url.ts";
import { TailFile } from "./archive_files.ts";
import { isThere, owedCheck, removeFile } from "./data_dir.ts";
import { JournalShipper } from "./journal_shipper.ts";
import { JournalTail } from "./journal_tail.ts";
import { Roster } from "./roster.ts";

/** The tables' memory, shared by all threads. */
export interface TableBuffers {
  ports: SharedArrayBuffer;
  keepers: SharedArrayBuffer;
  repairs: SharedArrayBuffer;
  archive: SharedArrayBuffer;
}

export interface Tables {
  ports: PortTable;
  keepers: KeeperTable;
  repairs: RepairTable;
  archive: ArchiveTable;
}

/** What each thread of the master starts with. */
export interface MasterStart {
  /** The thread's name in the log and in NATS's listings, e.g. `tracker-0`. */
  name: string;
  settings: Settings;
  url: ClusterUrl;
  catalogPath: string;
  ticketKey: string;
  /** The cluster's key as it may lie on keepers: see `sealKey`. */
  sealedKey: string;
  tables: TableBuffers;
}

export interface WriterStart extends MasterStart {
  /** A port to each thread that changes the catalog. */
  callers: MessagePort[];
}

/** What the writer learned at its start. */
export interface WriterReady {
  /** This master's epoch: larger than that of any master before on this catalog. */
  epoch: number;
  /** Whether the catalog's file was checked before it was opened. */
  checked: boolean;
}

/** What the thread starts with that checks the catalog's file while the others work. */
export interface CheckStart {
  catalogPath: string;
}

/** A thread that starts after the writer. */
export interface RoleStart extends MasterStart {
  epoch: number;
  /** To the writer. */
  journal: MessagePort;
}

export interface TrackerStart extends RoleStart {
  natsVersion: string;
  /** Monotonic time of the master's start, in ms. */
  startedMs: number;
}

/** What every thread holds: its log, its connection, the tables. */
export interface ThreadParts {
  log: Log;
  bus: Bus;
  tables: Tables;
}

/** Time that the catalog may take to answer a thread. */
const JOURNAL_MS = 20_000;
/** Enough for a master that was held up for a while just when it started. */
const CONNECT_MS = 20_000;

/** Makes the tables, or joins them. */
export function openTables(buffers?: TableBuffers): Tables {
  return {
    ports: new PortTable(KEEPERS_MAX * PORTS_MAX, buffers?.ports),
    keepers: new KeeperTable(buffers?.keepers),
    repairs: new RepairTable(buffers?.repairs),
    archive: new ArchiveTable(buffers?.archive),
  };
}

/** The tables' memory, for the start message of a thread. */
export function buffersOf(tables: Tables): TableBuffers {
  const { ports, keepers, repairs, archive } = tables;
  return {
    ports: ports.buffer,
    keepers: keepers.buffer,
    repairs: repairs.buffer,
    archive: archive.buffer,
  };
}

/**
 * Makes a thread's log, connects it, and joins the tables. Throws `no-master` when the NATS server
 * does not answer.
 */
export async function openThread(start: MasterStart): Promise<ThreadParts> {
  const log = threadLog(start.settings, start.name);
  const { url, name } = start;
  // A connection that is gone for good is the thread's end, and the master's: no half-alive node.
  const connection = {
    ...{ url, name, log, connectMs: CONNECT_MS, onClosed: throwUncaught },
    // One that dies while the threads start is up again in a moment.
    retry: { onWait: (waitMs: number) => log.warn("The NATS server does not answer", { waitMs }) },
  };
  const bus = await connectNats(connection);
  return { log, bus, tables: openTables(start.tables) };
}

/**
 * Waits until the NATS server has a thread's subscriptions. A server that goes away meanwhile gets
 * them when it is back: that is no reason to end. Throws when it stays away.
 */
export async function untilHeard(bus: Bus): Promise<void> {
  await retry(() => bus.flush(), {
    ...{ clock: systemClock, random: systemRandom, retryable: () => true },
    ...{ firstMs: 100, maxMs: 500, forMs: CONNECT_MS },
  });
}

/** The log of a thread of the master. */
export function threadLog(settings: Settings, name: string): Log {
  const format: LogFormat = settings.log_format === "auto"
    ? (isatty(2) ? "text" : "json")
    : settings.log_format as LogFormat;
  return stderrLog(`master/${name}`, { level: settings.log_level as LogLevel, format });
}

/**
 * The catalog as a thread sees it: changes through the writer thread, reads over a connection of
 * its own.
 */
export function openCatalogEnds(start: RoleStart): { journal: Journal; reader: CatalogReader } {
  const caller = new PortCaller<Operation, ResultOf<OperationKind>>(
    start.journal,
    systemClock,
    JOURNAL_MS,
  );
  const journal: Journal = {
    async submit<K extends OperationKind>(operation: Extract<Operation, { kind: K }>) {
      return await caller.call(operation) as ResultOf<K>;
    },
  };
  return { journal, reader: new CatalogReader(start.catalogPath) };
}

/**
 * Opens the catalog; a large one without its check, but never twice in a row: the mark that says so
 * is on disk before anything is written, and the master removes it after the check.
 */
function openUnderMark(options: CatalogWriterOptions): CatalogWriter {
  const owed = owedCheck(options.path);
  const writer = new CatalogWriter({ ...options, checkLater: !isThere(owed) });
  if (writer.checked) removeFile(owed);
  else writePrivate(owed, "The catalog was opened before its check: the next start checks first\n");
  return writer;
}

/** Opens the catalog for writing, with what ships its history to keepers. */
export function openShippedWriter(
  start: WriterStart,
  { log, bus, tables }: ThreadParts,
  onFatal: (error: unknown) => void,
): { writer: CatalogWriter; shipper: JournalShipper; reader: CatalogReader } {
  const path = start.catalogPath;
  const ship = (batch: CommittedBatch, awaited: boolean): Promise<void> | undefined =>
    shipper.ship(batch, awaited);
  const writer = openUnderMark({ path, log, onFatal, ship });
  const reader = new CatalogReader(path);
  const { cluster } = start.url;
  const { sealedKey, settings: { journal_copies: copies } } = start;
  const shipper: JournalShipper = new JournalShipper({
    ...{ copies, cluster, sealedKey, bus, log, clock: systemClock },
    subjects: subjectsOf(cluster),
    catalog: writer.catalogId,
    mark: writer.mark,
    tail: new JournalTail(new TailFile(`${path}.journal`), log),
    roster: new Roster(reader),
    keepers: tables.keepers,
    table: tables.archive,
  });
  return { writer, shipper, reader };
}
