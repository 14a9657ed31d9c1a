/**
 * The simulated master: the real writer, trackers, sentinel and replicator over a real catalog, in
 * one process. It is wired as `workers/` and `src/master/master.ts` wire them; the ports between
 * its threads are simulated, so that it can die between an operation and its answer.
 */
import type { Journal, Operation, OperationKind, ResultOf } from "../../src/catalog/operation.ts";
import { CatalogReader } from "../../src/catalog/reader.ts";
import { CatalogWriter } from "../../src/catalog/writer.ts";
import { LateInventory } from "../../src/master/late_inventory.ts";
import { Replicator } from "../../src/master/replicator.ts";
import { Reports } from "../../src/master/reports.ts";
import { Sentinel } from "../../src/master/sentinel.ts";
import { Tracker } from "../../src/master/tracker.ts";
import type { Tables } from "../../src/master/wiring.ts";
import { KeeperTable } from "../../src/tables/keeper_table.ts";
import { PORTS_MAX, PortTable } from "../../src/tables/port_table.ts";
import { RepairTable } from "../../src/tables/repair_table.ts";
import { decodeError, encodeError } from "../../src/wire/errors.ts";
import { CLUSTER, type Cluster, TICKET_KEY } from "./cluster.ts";
import { DeadProcess, type SimProcess } from "./process.ts";
import { ArchiveTable } from "../../src/tables/archive_table.ts";

export const MASTER = "master";
const TRACKERS = 2;
const KEEPERS_MAX = 16;
const HOP_MS = 0.2;

export class MasterNode {
  readonly #cluster: Cluster;
  readonly #path: string;
  readonly #closing: (() => void)[] = [];
  process: SimProcess | undefined;
  tables: Tables | undefined;
  starts = 0;

  constructor(cluster: Cluster, catalogPath: string) {
    this.#cluster = cluster;
    this.#path = catalogPath;
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

  /** Closes the catalog's files when all is over. */
  close(): void {
    for (const close of this.#closing.splice(0)) close();
  }

  async #boot(process: SimProcess): Promise<void> {
    const { settings, nats } = this.#cluster;
    const { clock } = process;
    const log = (part: string) => this.#cluster.log(process, part);
    const random = (part: string) => this.#cluster.random(`master ${this.starts} ${part}`);
    const tables: Tables = {
      ports: new PortTable(KEEPERS_MAX * PORTS_MAX),
      keepers: new KeeperTable(),
      repairs: new RepairTable(),
      archive: new ArchiveTable(),
    };
    const writer = new CatalogWriter({
      path: this.#path,
      log: log("writer"),
      onFatal: (error) => this.#cluster.violate(`the writer gave up: ${String(error)}`),
    });
    this.#closing.push(() => void writer.close());
    const journal = new LateInventory(writer, clock);
    const { epoch } = await journal.submit({ kind: "master.start", atMs: clock.wallMs() });
    const reader = new CatalogReader(this.#path);
    this.#closing.push(() => reader.close());
    const common = {
      ...{ settings, clock, reader, tables, cluster: CLUSTER, masterEpoch: epoch },
      ...{ ticketKey: TICKET_KEY, version: "0.0.0", natsVersion: "2.0.0" },
      startedMs: clock.monotonicMs(),
    };
    const dice = random("hops");
    const distant = (): Journal => distantJournal(journal, process, () => HOP_MS * dice.next());
    const part = (name: string) => ({
      ...{ bus: nats.connect(process), log: log(name), random: random(name) },
    });
    this.tables = tables;
    new Reports({ ...common, ...part("writer"), journal }).start();
    new Sentinel({ ...common, ...part("sentinel") }).start();
    for (let index = 0; index < TRACKERS; index++) {
      new Tracker({ ...common, ...part(`tracker-${index}`), journal: distant() }).start();
    }
    new Replicator({ ...common, ...part("replicator"), journal: distant() }).start();
  }
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
