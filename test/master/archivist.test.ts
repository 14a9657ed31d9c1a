/** The archivist over a real catalog, with keepers in memory: what it stores, where, and removes. */
import { afterEach, beforeEach, expect, test } from "bun:test";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Log } from "../../src/base/log.ts";
import { CatalogReader, type KeeperRecord } from "../../src/catalog/reader.ts";
import { CatalogWriter } from "../../src/catalog/writer.ts";
import { Archivist } from "../../src/master/archivist.ts";
import { leapEpoch } from "../../src/catalog/rebuild.ts";
import { readSnapshot } from "../../src/master/snapshot_file.ts";
import { openTables } from "../../src/master/wiring.ts";
import type { ArchiveFile } from "../../src/wire/archive.ts";
import { archiveName, commandArchive, commandPrune } from "../../src/wire/archive.ts";
import type { ArchiveTransport } from "../../src/wire/archive_http.ts";
import { serve } from "../../src/wire/bus.ts";
import { TydfsError } from "../../src/wire/errors.ts";
import { subjectsOf } from "../../src/wire/subjects.ts";
import { openTicket } from "../../src/wire/ticket.ts";
import { ManualClock } from "../manual_clock.ts";
import { FakeBus } from "./fake_bus.ts";
import { QUIET_SCRUB } from "../quiet_status.ts";

const subjects = subjectsOf("main");
const idOf = (number: number) => String(number).padStart(32, "0");
const KEY = "the ticket key";

class Cluster {
  readonly directory = mkdtempSync(join(tmpdir(), "archivist-"));
  readonly catalogPath = join(this.directory, "catalog.db");
  readonly clock = new ManualClock();
  readonly bus = new FakeBus(this.clock);
  readonly tables = openTables();
  readonly writer: CatalogWriter;
  readonly reader: CatalogReader;
  archivist: Archivist;
  readonly log: Log;
  readonly transport: ArchiveTransport;
  readonly periodMs: number;
  /** Files by keeper, and by name there. */
  readonly files: Map<string, Blob>[] = [];
  /** What journals say of their masters, by name. */
  readonly ends = new Map<string, [number, number][]>();
  readonly refusing = new Set<number>();
  readonly lines: string[] = [];
  roster: KeeperRecord[];
  generation = 1;

  constructor(zones: string[], periodMs = 60_000) {
    const write = (line: string) => void this.lines.push(line);
    this.periodMs = periodMs;
    this.log = new Log("master", { level: "info", format: "text", nowMs: () => 0, write });
    const onFatal = (error: unknown) => {
      throw error;
    };
    const { log } = this;
    this.writer = new CatalogWriter({ path: this.catalogPath, log, onFatal });
    this.reader = new CatalogReader(this.catalogPath);
    this.roster = zones.map((zone, number) => ({
      ...{ number, id: idOf(number), name: `k${number}`, labels: { zone } },
      ...{ host: "10.0.0.1", ports: [number] },
    })) as unknown as KeeperRecord[];
    zones.forEach((_, number) => this.#keeper(number));
    this.transport = {
      put: async ({ port }, { name, ticket, body }) => {
        const order = openTicket(KEY, ticket, this.clock.wallMs());
        expect(order).toMatchObject({ op: "archive", name, sizeBytes: body.size });
        if (this.refusing.has(port)) throw new TydfsError("no-space", "It is full");
        this.files[port]?.set(name, new Blob([await body.bytes()]));
      },
      get: () => Promise.reject(new Error("The archivist reads nothing")),
    };
    this.archivist = this.makeArchivist();
  }

  makeArchivist(): Archivist {
    const { clock, bus, tables, catalogPath, transport, log, periodMs } = this;
    return new Archivist({
      ...{ clock, bus, tables, catalogPath, transport, log, cluster: "main", masterEpoch: 1 },
      ...{ ticketKey: KEY, sealedKey: "ab".repeat(32) },
      settings: { snapshot_period: periodMs },
      reader: {
        keepers: () => this.roster,
        keepersGeneration: () => this.generation,
        removedKeepers: () => [],
        catalogId: () => this.reader.catalogId(),
        sequence: () => this.reader.sequence(),
        givenUpSequence: () => this.reader.givenUpSequence(),
      },
    });
  }

  #keeper(number: number): void {
    const files = new Map<string, Blob>();
    this.files.push(files);
    this.beat(number);
    const on = { onFailure: () => {} };
    const command = (name: string) => subjects.command(idOf(number), name);
    serve(this.bus, command("archive"), commandArchive, on, () => {
      const list = [...files].map(([name, { size }]): ArchiveFile => {
        const ends = this.ends.get(name);
        return { name, sizeBytes: size, checksum: "", ...(ends && { ends }) };
      });
      return { files: list, masterEpoch: 1 };
    });
    serve(this.bus, command("prune"), commandPrune, on, ({ remove }) => {
      return { removed: remove.filter((name) => files.delete(name)).length };
    });
  }

  beat(number: number): void {
    this.tables.keepers.put(number, this.row);
  }

  get row() {
    return {
      state: "ALIVE",
      ...{ epoch: 1, lastBeatMs: 1 },
      ...{ freeBytes: 1e12, totalBytes: 1e12, chunks: 0 },
      ...{ readOnly: false, fault: undefined, left: false, deadSinceMs: 0 },
      ...{ aside: 0, scrub: QUIET_SCRUB },
    } as const;
  }

  /** Changes something, lets `ms` pass, and lets the archivist look. */
  async change(ms: number): Promise<void> {
    await this.writer.submit({ kind: "master.start", atMs: 1 });
    await this.clock.advance(ms);
    await this.archivist.tick();
  }

  names(number: number): string {
    return [...this.files[number]?.keys() ?? []].map((name) => {
      return `${name[0]}${name.split("-").at(-1)}`;
    }).sort().join(" ");
  }

  add(number: number, kind: "snapshot" | "journal", sequence: number): void {
    const name = archiveName(kind, this.reader.catalogId(), sequence);
    this.files[number]?.set(name, new Blob(["x"]));
  }

  async stop(): Promise<void> {
    this.reader.close();
    await this.writer.close();
    rmSync(this.directory, { recursive: true });
  }
}

let cluster: Cluster;
beforeEach(() => {
  cluster = new Cluster(["a", "a", "b", "c"]);
});
afterEach(() => cluster.stop());

test("Archivist stores the first snapshot at once, on three keepers in distinct zones", async () => {
  await cluster.change(0);
  expect([0, 1, 2, 3].map((number) => cluster.names(number))).toEqual(["s1", "", "s1", "s1"]);
  expect(cluster.tables.archive.readSnapshot()).toMatchObject({ sequence: 1, copies: 3 });
  const [file] = cluster.files[0]?.values() ?? [];
  const parts: Uint8Array[] = [];
  const bytes = await file?.bytes() ?? new Uint8Array(0);
  async function* source() {
    yield bytes;
  }
  const sink = { write: (part: Uint8Array) => void parts.push(part) };
  // The sum is the keeper's business here: what was stored is read with any.
  await readSnapshot(source(), "", sink).catch((error) => expect(error.code).toBe("corrupt"));
  expect(Buffer.concat(parts).subarray(0, 15).toString()).toBe("SQLite format 3");
  const left = readdirSync(cluster.directory).filter((name) => name.includes("snapshot"));
  expect(left).toEqual([]);
});

test("Archivist makes the next one in time, if something has changed, and keeps two", async () => {
  cluster.add(1, "journal", 1);
  await cluster.change(0);
  await cluster.clock.advance(100_000);
  await cluster.archivist.tick();
  expect(cluster.names(0)).toBe("s1");
  cluster.add(1, "journal", 2);
  await cluster.change(10);
  expect(cluster.names(0)).toBe("s1 s2");
  expect(cluster.names(1)).toBe("j2");
  await cluster.change(30_000);
  expect(cluster.names(0)).toBe("s1 s2");
  await cluster.change(30_000);
  expect(cluster.names(0)).toBe("s2 s4");
  expect(cluster.names(1)).toBe("j2");
});

test("Archivist passes over a keeper that refuses, and tries again when too few have taken it", async () => {
  cluster.refusing.add(0);
  await cluster.change(0);
  expect([0, 1, 2, 3].map((number) => cluster.names(number))).toEqual(["", "s1", "s1", "s1"]);
  for (const number of [1, 2]) cluster.refusing.add(number);
  await cluster.change(60_000);
  expect(cluster.tables.archive.readSnapshot().sequence).toBe(1);
  expect(cluster.lines.join("\n")).toContain("1 keepers have taken it");
  cluster.refusing.clear();
  await cluster.change(10_000);
  expect(cluster.tables.archive.readSnapshot()).toMatchObject({ sequence: 3, copies: 3 });
});

test("Archivist of an old copy of the catalog stores and removes nothing, and says so", async () => {
  cluster.add(2, "snapshot", 50);
  cluster.add(2, "journal", 1);
  await cluster.change(0);
  await cluster.change(120_000);
  expect([0, 1, 2, 3].map((number) => cluster.names(number))).toEqual(["", "", "j1 s50", ""]);
  expect(cluster.tables.archive.readSnapshot()).toMatchObject({ newer: 50, sequence: 0 });
  expect(cluster.lines.join("\n")).toContain("Keepers have a newer state of this catalog");
});

test("Archivist stores a snapshot elsewhere when those that have the newest are to go", async () => {
  await cluster.stop();
  cluster = new Cluster(["a", "b", "c", "d", "d"], 3_600_000);
  await cluster.change(0);
  expect(cluster.names(3)).toBe("");
  // Drained, dead and removed, one after the other, and nothing else changes.
  cluster.roster = cluster.roster.map((keeper, number) => ({ ...keeper, draining: number === 0 }));
  cluster.tables.keepers.put(1, { ...cluster.row, state: "DEAD" });
  cluster.roster.splice(2, 1);
  cluster.generation++;
  await cluster.clock.advance(61_000);
  await cluster.archivist.tick();
  expect([3, 4].map((number) => cluster.names(number))).toEqual(["s1", "s1"]);
  // Once is enough.
  for (const number of [3, 4]) cluster.files[number]?.clear();
  await cluster.clock.advance(120_000);
  await cluster.archivist.tick();
  expect(cluster.names(3)).toBe("");
});

test("Archivist sees an old copy of the catalog also when it has come further than what it lacks", async () => {
  cluster.add(2, "journal", 1);
  cluster.ends.set(archiveName("journal", cluster.reader.catalogId(), 1), [[0, 3]]);
  for (let n = 0; n < 5; n++) await cluster.writer.submit({ kind: "master.start", atMs: 1 });
  await cluster.change(0);
  expect([0, 1, 2, 3].map((number) => cluster.names(number))).toEqual(["", "", "j1", ""]);
  expect(cluster.tables.archive.readSnapshot()).toMatchObject({ newer: 3, sequence: 0 });
});

test("Archivist takes no offence at what a recovery has given up", async () => {
  cluster.add(2, "journal", 1);
  cluster.ends.set(archiveName("journal", cluster.reader.catalogId(), 1), [[0, 3]]);
  leapEpoch(cluster.catalogPath, 0, 3);
  await cluster.archivist.stop();
  cluster.archivist = cluster.makeArchivist();
  await cluster.change(0);
  expect(cluster.tables.archive.readSnapshot()).toMatchObject({ newer: 0, sequence: 1 });
});
