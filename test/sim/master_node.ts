/**
 * The simulated master: the real writer, trackers, sentinel, replicator, archivist and compactor
 * over a real catalog, in one process. It is wired as `workers/` and `src/master/master.ts` wire
 * them; the ports between its threads are simulated, so that it can die between an operation and
 * its answer.
 */
import { readFileSync } from "node:fs";
import type { Clock } from "../../src/base/clock.ts";
import type { Log } from "../../src/base/log.ts";
import type { Journal, Operation, OperationKind, ResultOf } from "../../src/catalog/operation.ts";
import { CatalogReader } from "../../src/catalog/reader.ts";
import { CatalogWriter } from "../../src/catalog/writer.ts";
import { TailFile } from "../../src/master/archive_files.ts";
import { Archivist } from "../../src/master/archivist.ts";
import { Compactor } from "../../src/master/compactor.ts";
import { JournalShipper } from "../../src/master/journal_shipper.ts";
import { JournalTail } from "../../src/master/journal_tail.ts";
import { LateInventory } from "../../src/master/late_inventory.ts";
import { recoverCatalog } from "../../src/master/recovery.ts";
import { Replicator } from "../../src/master/replicator.ts";
import { Reports } from "../../src/master/reports.ts";
import { Roster } from "../../src/master/roster.ts";
import { Sentinel } from "../../src/master/sentinel.ts";
import { Tracker } from "../../src/master/tracker.ts";
import type { Tables } from "../../src/master/wiring.ts";
import { ArchiveTable } from "../../src/tables/archive_table.ts";
import { KeeperTable } from "../../src/tables/keeper_table.ts";
import { PORTS_MAX, PortTable } from "../../src/tables/port_table.ts";
import { RepairTable } from "../../src/tables/repair_table.ts";
import { decodeError, encodeError } from "../../src/wire/errors.ts";
import { sealKey } from "../../src/wire/secrets.ts";
import { subjectsOf } from "../../src/wire/subjects.ts";
import type { SimBus } from "./bus.ts";
import { differences } from "./catalog_copy.ts";
import { CLUSTER, type Cluster, CLUSTER_KEY, KEEPER_SECRET, TICKET_KEY } from "./cluster.ts";
import { DeadProcess, type SimProcess } from "./process.ts";
import { SimTransport } from "./transport.ts";

export const MASTER = "master";
const TRACKERS = 2;
const KEEPERS_MAX = 16;
const HOP_MS = 0.2;
const RECOVERY_WAIT_MS = 3_000;
const SEALED_KEY = sealKey(CLUSTER_KEY);

export class MasterNode {
  readonly #cluster: Cluster;
  readonly #closing: (() => void)[] = [];
  #path: string;
  /** The last operation that a caller waits for the archive with. */
  #awaited = 0;
  /** What the disk that was lost had, and how far the keepers can give it back. */
  #lost: { path: string; recoverable: number } | undefined;
  /** Hears where the catalog is when it is another one. */
  onCatalog: (path: string) => void = () => {};
  /** Hears into which pack files were moved just now. */
  onMoved: (pack: string) => void = () => {};
  process: SimProcess | undefined;
  tables: Tables | undefined;
  starts = 0;

  constructor(cluster: Cluster, catalogPath: string) {
    this.#cluster = cluster;
    this.#path = catalogPath;
  }

  /** Its disk is lost, and not recovered yet. */
  get recovering(): boolean {
    return this.#lost !== undefined;
  }

  /** The keepers have all that anybody was, or is about to be, answered for. */
  get archived(): boolean {
    return this.process?.alive === true && this.tables !== undefined && !this.recovering &&
      this.#awaited > 0 && this.tables.archive.archived() >= this.#awaited;
  }

  /** Starts it, unless it runs. */
  start(): void {
    if (this.process?.alive === true) return;
    const process = this.#cluster.process(MASTER, MASTER);
    this.process = process;
    this.starts++;
    this.#cluster.trace.note(MASTER, "START", String(this.starts));
    this.#boot(process).catch((error) => {
      if (process.alive && !(error instanceof DeadProcess)) {
        this.#cluster.violate(`the master does not start: ${String(error)}`);
      }
    });
  }

  /** Ends it as `kill -9` does: the catalog's file stays as it is. */
  kill(): void {
    if (this.process?.alive !== true) return;
    this.#cluster.trace.note(MASTER, "KILL");
    this.process.kill();
  }

  /** Ends it and loses its disk: what it knew is on the keepers only. To be called when `archived`. */
  wipe(): void {
    const recoverable = this.tables?.archive.archived() ?? 0;
    this.kill();
    this.#cluster.trace.note(MASTER, "WIPE", `the keepers have ${recoverable}`);
    this.#cluster.wiped = true;
    this.#lost = { path: this.#path, recoverable };
    this.#path = `${this.#path}.new`;
    this.tables = undefined;
  }

  /** Closes the catalog's files when all is over. */
  close(): void {
    for (const close of this.#closing.splice(0)) close();
  }

  async #boot(process: SimProcess): Promise<void> {
    if (this.#lost !== undefined) await this.#recover(process, this.#lost);
    const { settings, nats, ports } = this.#cluster;
    const { clock } = process;
    const log = (part: string) => this.#cluster.log(process, part);
    const random = (part: string) => this.#cluster.random(`master ${this.starts} ${part}`);
    const tables: Tables = {
      ports: new PortTable(KEEPERS_MAX * PORTS_MAX),
      keepers: new KeeperTable(),
      repairs: new RepairTable(),
      archive: new ArchiveTable(),
    };
    const part = (name: string) => ({
      ...{ bus: nats.connect(process), log: log(name), random: random(name) },
    });
    const writerPart = part("writer");
    const { writer, shipper, reader } = this.#openWriter({ ...writerPart, clock, tables });
    const journal = this.#watched(new LateInventory(writer, clock));
    const { epoch } = await journal.submit({ kind: "master.start", atMs: clock.wallMs() });
    shipper.start(epoch);
    const common = {
      ...{ settings, clock, reader, tables, cluster: CLUSTER, masterEpoch: epoch },
      ...{ ticketKey: TICKET_KEY, version: "0.0.0", natsVersion: "2.0.0" },
      startedMs: clock.monotonicMs(),
    };
    const dice = random("hops");
    const distant = (): Journal => distantJournal(journal, process, () => HOP_MS * dice.next());
    this.tables = tables;
    new Reports({ ...common, ...writerPart, journal }).start();
    new Sentinel({ ...common, ...part("sentinel") }).start();
    for (let index = 0; index < TRACKERS; index++) {
      new Tracker({ ...common, ...part(`tracker-${index}`), journal: distant() }).start();
    }
    new Replicator({ ...common, ...part("replicator"), journal: distant() }).start();
    const archivist = { ...common, ...part("archivist") };
    const transport = new SimTransport(ports, process);
    new Archivist({
      ...{ ...archivist, catalogPath: this.#path, sealedKey: SEALED_KEY },
      transport: transport.archive,
      openBody: (path) => new Blob([readFileSync(path)]),
    }).start();
    new Compactor({ ...archivist, journal: distant(), transport }).start();
  }

  /** A journal of which moves are heard. */
  #watched(journal: Journal): Journal {
    return {
      submit: async <K extends OperationKind>(operation: Extract<Operation, { kind: K }>) => {
        const result = await journal.submit<K>(operation);
        if ("to" in operation && operation.kind === "pack.move") this.onMoved(operation.to);
        return result;
      },
    };
  }

  /** As `openShippedWriter` in `src/master/wiring.ts`. */
  #openWriter({ bus, log, clock, tables }: WriterParts) {
    const path = this.#path;
    const writer = new CatalogWriter({
      ...{ path, log },
      onFatal: (error) => this.#cluster.violate(`the writer gave up: ${String(error)}`),
      ship: (batch, awaited) => {
        if (awaited) this.#awaited = batch.to;
        return shipper.ship(batch, awaited);
      },
    });
    const reader = new CatalogReader(path);
    const tail = new TailFile(`${path}.journal`);
    this.#closing.push(() => void writer.close(), () => reader.close(), () => tail.close());
    const shipper: JournalShipper = new JournalShipper({
      ...{ copies: this.#cluster.settings.journal_copies, cluster: CLUSTER, bus, log, clock },
      ...{ sealedKey: SEALED_KEY, subjects: subjectsOf(CLUSTER), table: tables.archive },
      ...{ catalog: writer.catalogId, mark: writer.mark, tail: new JournalTail(tail, log) },
      ...{ roster: new Roster(reader), keepers: tables.keepers },
    });
    return { writer, shipper, reader };
  }

  /** As `recoverFirst` in `src/master/recovery_start.ts`; what comes out is compared. */
  async #recover(
    process: SimProcess,
    { path, recoverable }: { path: string; recoverable: number },
  ): Promise<void> {
    const { nats, ports } = this.#cluster;
    const bus = nats.connect(process);
    const { rebuilt } = await recoverCatalog({
      ...{ bus, clock: process.clock, log: this.#cluster.log(process, "recovery") },
      ...{ waitMs: RECOVERY_WAIT_MS, dryRun: false, catalogPath: this.#path },
      url: { role: "keeper", secret: KEEPER_SECRET, host: MASTER, port: 4222, cluster: CLUSTER },
      keepKey: (key) => {
        if (key !== CLUSTER_KEY) this.#cluster.violate("another cluster's key was recovered");
      },
      transport: new SimTransport(ports, process).archive,
      signal: new AbortController().signal,
    });
    await bus.close();
    this.#cluster.trace.note(MASTER, "RECOVERED", `up to ${rebuilt.sequence}`);
    if (rebuilt.sequence < Math.max(recoverable, this.#awaited)) {
      const words = `operation ${Math.max(recoverable, this.#awaited)} was safe on the keepers`;
      this.#cluster.violate(`${words}, and the recovery ends at ${rebuilt.sequence}`);
    }
    for (const words of differences(path, this.#path)) {
      this.#cluster.violate(`the recovered catalog differs: ${words}`);
    }
    this.#lost = undefined;
    this.onCatalog(this.#path);
  }
}

interface WriterParts {
  bus: SimBus;
  log: Log;
  clock: Clock;
  tables: Tables;
}

/** The journal at the other end of a MessagePort. */
function distantJournal(journal: Journal, process: SimProcess, hopMs: () => number): Journal {
  return {
    async submit<K extends OperationKind>(operation: Extract<Operation, { kind: K }>) {
      await process.later(hopMs(), () => {});
      const answer = await journal.submit<K>(operation).then(
        (value: ResultOf<K>) => ({ ok: true, value }) as const,
        (error: unknown) => ({ ok: false, error: encodeError(error) }) as const,
      );
      await process.later(hopMs(), () => {});
      if (answer.ok) return answer.value;
      throw decodeError(answer.error);
    },
  };
}
