/**
 * A master of the size that is measured: its real classes and tables over a catalog that exists, in
 * one thread, and a bus in memory that carries encoded messages as NATS would. Keepers exist in the
 * catalog, and as far as they beat.
 */
import { type Clock, systemClock } from "../../src/base/clock.ts";
import { silentLog } from "../../src/base/log.ts";
import { seededRandom } from "../../src/base/random.ts";
import type { KeeperFacts } from "../../src/catalog/operation.ts";
import { CatalogReader } from "../../src/catalog/reader.ts";
import type { CatalogWriter } from "../../src/catalog/writer.ts";
import { loadConfig } from "../../src/config/load.ts";
import { LateInventory } from "../../src/master/late_inventory.ts";
import type { TrackerOptions } from "../../src/master/tracker.ts";
import { Sentinel } from "../../src/master/sentinel.ts";
import { openTables } from "../../src/master/wiring.ts";
import { portRow, PORTS_MAX } from "../../src/tables/port_table.ts";
import type { Heartbeat } from "../../src/wire/heartbeat.ts";
import { subjectsOf } from "../../src/wire/subjects.ts";
import { FakeBus } from "../../test/master/fake_bus.ts";
import { beatOf } from "./beat.ts";
import { openWriter } from "./grow.ts";

const LEASE_MS = 60_000;

export class ScaleWorld {
  /** The machine's time; what is to happen each so often is done by hand. */
  readonly clock: Clock = { ...systemClock, every: () => ({ stop() {} }) };
  readonly random = seededRandom(9);
  readonly settings = loadConfig({ flags: {}, env: {} }).settings;
  readonly bus = new FakeBus(this.clock);
  readonly subjects = subjectsOf("main");
  readonly tables = openTables();
  readonly keepers: readonly KeeperFacts[];
  readonly files: number;
  readonly path: string;
  readonly writer: CatalogWriter;
  readonly reader: CatalogReader;
  /** The grants of a stream on each port, by keeper. */
  readonly #grants = new Map<number, number[]>();
  #beat = 0;

  constructor(path: string, files: number, keepers: readonly KeeperFacts[]) {
    this.path = path;
    this.files = files;
    this.keepers = keepers;
    this.writer = openWriter(path);
    this.reader = new CatalogReader(path);
  }

  /** What every role is made of. */
  get parts(): TrackerOptions {
    const { clock, random, settings, bus, tables, reader } = this;
    const journal = new LateInventory(this.writer, clock);
    return {
      ...{ clock, random, settings, bus, tables, reader, journal, log: silentLog },
      ...{ cluster: "main", ticketKey: "5e".repeat(32), masterEpoch: 1, version: "0.0.0" },
      ...{ natsVersion: "2.0.0", startedMs: clock.monotonicMs() },
    };
  }

  /** Marks all keepers as joined and listed, as they are some time after a start. */
  settle(): void {
    for (const [number, { epoch }] of this.keepers.entries()) {
      this.tables.keepers.markJoined(number, epoch);
      this.tables.keepers.markListed(number, epoch);
    }
  }

  /** Has a sentinel hear a beat of each keeper: all are alive from then on. */
  hearAll(): void {
    const sentinel = new Sentinel(this.parts);
    sentinel.tick();
    this.settle();
    for (const beat of this.beats()) sentinel.hear(beat, beat.keeper);
  }

  /** Takes a slot on each port: their beats tell of a stream each. */
  load(): void {
    const nowMs = this.clock.monotonicMs();
    for (const number of this.keepers.keys()) {
      const grants = Array.from(
        { length: PORTS_MAX },
        (_, index) => this.tables.ports.take(portRow(number, index), nowMs, LEASE_MS) ?? 0,
      );
      this.#grants.set(number, grants.filter((grant) => grant !== 0));
    }
  }

  /** The next beat of each keeper. */
  beats(): Heartbeat[] {
    this.#beat++;
    return this.keepers.map((keeper, number) =>
      beatOf(keeper, { number, beat: this.#beat, grants: this.#grants.get(number) ?? [] })
    );
  }

  async close(): Promise<void> {
    this.reader.close();
    await this.writer.close();
  }
}
