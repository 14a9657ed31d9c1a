/**
 * A whole master in one thread: real catalog, real tables, real roles, over a bus in memory and a
 * clock that the test moves.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { silentLog } from "../../src/base/log.ts";
import { seededRandom } from "../../src/base/random.ts";
import { checkCatalog } from "../../src/catalog/check.ts";
import { openCatalogForReading } from "../../src/catalog/open.ts";
import { CatalogReader } from "../../src/catalog/reader.ts";
import { CatalogWriter } from "../../src/catalog/writer.ts";
import { loadConfig } from "../../src/config/load.ts";
import type { Settings } from "../../src/config/options.ts";
import { Replicator } from "../../src/master/replicator.ts";
import { Reports } from "../../src/master/reports.ts";
import { Sentinel } from "../../src/master/sentinel.ts";
import { Tracker } from "../../src/master/tracker.ts";
import { openTables, type Tables } from "../../src/master/wiring.ts";
import { portRow } from "../../src/tables/port_table.ts";
import { call } from "../../src/wire/bus.ts";
import { decode } from "../../src/wire/codec.ts";
import type { ErrorCode } from "../../src/wire/errors.ts";
import { TydfsError } from "../../src/wire/errors.ts";
import type { ClusterEvent } from "../../src/wire/event.ts";
import { ClusterEvent as EventSchema } from "../../src/wire/event.ts";
import type { Rpc } from "../../src/wire/rpc.ts";
import { subjectsOf } from "../../src/wire/subjects.ts";
import { fileChecksum, sumsOf } from "../../src/wire/sums.ts";
import type { PutTicket } from "../../src/wire/ticket.ts";
import { openTicket } from "../../src/wire/ticket.ts";
import type {
  ChunkOffer,
  ChunkPlacement,
  Committed,
  UploadBeginRequest,
} from "../../src/wire/upload.ts";
import { uploadBegin, uploadCommit, uploadExtend } from "../../src/wire/upload.ts";
import { ManualClock } from "../manual_clock.ts";
import { FakeBus } from "./fake_bus.ts";
import { FakeKeeper, type FakeKeeperOptions } from "./fake_keeper.ts";

export const TICKET_KEY = "5e".repeat(32);
const subjects = subjectsOf("main");

export class World {
  readonly clock = new ManualClock();
  readonly bus = new FakeBus(this.clock);
  readonly settings: { -readonly [K in keyof Settings]: Settings[K] };
  readonly keepers: FakeKeeper[] = [];
  readonly writer: CatalogWriter;
  readonly reader: CatalogReader;
  tables: Tables = openTables();
  tracker!: Tracker;
  reports!: Reports;
  sentinel!: Sentinel;
  replicator!: Replicator;
  readonly #directory = mkdtempSync(join(tmpdir(), "tydfs-master-"));
  readonly #path = join(this.#directory, "catalog.db");

  /** The catalog's file. */
  get catalogPath(): string {
    return this.#path;
  }

  private constructor(flags: Record<string, string>) {
    this.settings = loadConfig({ flags, env: {} }).settings;
    const onFatal = (error: unknown) => {
      throw error;
    };
    this.writer = new CatalogWriter({ path: this.#path, log: silentLog, onFatal });
    this.reader = new CatalogReader(this.#path);
  }

  /** Starts a master without keepers; `flags` are settings as on the command line, by key. */
  static async start(flags: Record<string, string> = {}): Promise<World> {
    const world = new World(flags);
    await world.startRoles();
    return world;
  }

  /** Starts the roles, as after a restart of the master when they ran before. */
  async startRoles(): Promise<void> {
    const { epoch } = await this.writer.submit({
      kind: "master.start",
      atMs: this.clock.wallMs(),
    });
    this.tables = openTables();
    const { settings, clock, bus, reader, tables } = this;
    const common = {
      ...{ settings, clock, bus, reader, tables, cluster: "main", masterEpoch: epoch },
      ...{ log: silentLog, random: seededRandom(7), journal: this.writer, ticketKey: TICKET_KEY },
      ...{ version: "0.0.0", natsVersion: "2.0.0", startedMs: clock.monotonicMs() },
    };
    this.tracker = new Tracker(common);
    this.reports = new Reports(common);
    this.sentinel = new Sentinel(common);
    this.replicator = new Replicator(common);
    for (const role of [this.tracker, this.reports, this.sentinel, this.replicator]) role.start();
  }

  async stopRoles(): Promise<void> {
    for (const role of [this.tracker, this.reports, this.sentinel, this.replicator]) {
      await role.stop();
    }
  }

  /** Stops everything, and checks every invariant of the catalog. */
  async stop(): Promise<void> {
    await this.stopRoles();
    this.reader.close();
    await this.writer.close();
    const database = openCatalogForReading(this.#path);
    const problems = checkCatalog(database);
    database.close();
    rmSync(this.#directory, { recursive: true, force: true });
    if (problems.length > 0) throw new Error(`The catalog is broken: ${problems.join("; ")}`);
  }

  /** Adds keepers that have joined and beat. */
  async addKeepers(labels: string[], options: FakeKeeperOptions = {}): Promise<FakeKeeper[]> {
    const added = labels.map((label) => new FakeKeeper(this.bus, label, options));
    for (const keeper of added) {
      await keeper.join();
      keeper.beat();
    }
    this.keepers.push(...added);
    await this.clock.advance(0);
    return added;
  }

  /** Lets time pass while all keepers but `silent` beat each second. */
  async live(ms: number, silent: readonly FakeKeeper[] = []): Promise<void> {
    for (let passed = 0; passed < ms; passed += 500) {
      await this.clock.advance(500);
      if (passed % 1000 === 0) continue;
      for (const keeper of this.keepers) if (!silent.includes(keeper)) keeper.beat();
    }
    for (let turns = 0; turns < 5; turns++) await this.clock.advance(0);
  }

  /** Asks a tracker. */
  ask<Request, Reply>(procedure: Rpc<Request, Reply>, request: Request): Promise<Reply> {
    const within = { timeoutMs: 5_000 };
    return call(this.bus, subjects.rpc(procedure.name), procedure, request, within);
  }

  /** Begins the upload of a file of one chunk. */
  async beginOnly(
    path: string,
    bytes: Uint8Array,
    more: Partial<UploadBeginRequest> = {},
  ): Promise<ChunkPlacement> {
    const { placement } = await this.ask(uploadBegin, {
      ...beginRequest(path, bytes.length),
      only: offerOf(bytes),
      ...more,
    });
    if (placement === undefined) throw new Error("The chunk was not placed");
    return placement;
  }

  /**
   * Has the keepers of a placement store its chunk: the first `copies` durably, as the head
   * reports; without `head` it tells of them only, since its client has gone.
   */
  async store(
    placement: ChunkPlacement,
    copies?: number,
    head = true,
  ): Promise<{ committed?: Committed | undefined }> {
    const ticket = this.open(placement);
    const keepers = ticket.hops.map(({ keeper }) => keeper).slice(0, copies);
    for (const id of keepers) this.keeper(id).chunks.set(ticket.chunk, ticket.sizeBytes);
    const { chunk, sizeBytes, sums } = ticket;
    const report = { chunk, sizeBytes, sums, keepers, ticket: placement.ticket, head };
    return await this.keeper(keepers[0] ?? "").stored(report);
  }

  /** Puts a file of one chunk onto all keepers of its chain. Returns the chunk. */
  async put(path: string, more: Partial<UploadBeginRequest> = {}): Promise<string> {
    const placement = await this.beginOnly(path, new Uint8Array(10).fill(path.length), more);
    await this.store(placement);
    return placement.chunk;
  }

  /** Puts a file of several chunks. */
  async putLarge(path: string, pieces: Uint8Array[]): Promise<void> {
    const sizeBytes = pieces.reduce((sum, { length }) => sum + length, 0);
    const { upload } = await this.ask(uploadBegin, beginRequest(path, sizeBytes));
    let offset = 0;
    for (const [seq, piece] of pieces.entries()) {
      const offer = { ...offerOf(piece), seq, offset };
      const { placement } = await this.ask(uploadExtend, { upload, offer });
      if (placement === undefined) throw new Error("The chunk was not placed");
      await this.store(placement);
      offset += piece.length;
    }
    const checksum = fileChecksum(pieces.map(sumsOf));
    await this.ask(uploadCommit, { upload, sizeBytes, chunks: pieces.length, checksum });
  }

  /** What a placement's ticket allows. */
  open(placement: ChunkPlacement): PutTicket {
    const ticket = openTicket(TICKET_KEY, placement.ticket, this.clock.wallMs());
    if (ticket.op !== "put") throw new Error("No ticket to put");
    return ticket;
  }

  keeper(id: string): FakeKeeper {
    const keeper = this.keepers.find((each) => each.id === id || each.name === id);
    if (keeper === undefined) throw new Error(`No keeper ${id}`);
    return keeper;
  }

  /** The names of the keepers that have a chunk on record. */
  holders(chunk: string): string[] {
    const numbers = this.reader.chunk(chunk)?.keepers ?? [];
    return this.keepers.filter(({ number }) => numbers.includes(number)).map(({ name }) => name);
  }

  state(keeper: FakeKeeper): string | undefined {
    return this.tables.keepers.find(keeper.number)?.state;
  }

  /** Slots and readers in use, over all ports. */
  inUse(): number {
    const nowMs = this.clock.monotonicMs();
    return this.keepers.flatMap(({ number, ports }) =>
      ports.map((_, index) => this.tables.ports.inUse(portRow(number, index), nowMs))
    ).reduce((sum, inUse) => sum + inUse, 0);
  }

  /** Commands of one kind, as `keeper: command`. */
  commands(kind: string): string[] {
    return this.keepers.flatMap(({ name, commands }) =>
      commands.filter((command) => command.startsWith(kind)).map((command) => `${name}: ${command}`)
    );
  }

  events(kind: string): ClusterEvent[] {
    return this.bus.published.filter(({ subject }) => subject === subjects.event(kind))
      .map(({ payload }) => decode(EventSchema, payload, "an event"));
  }
}

export function beginRequest(path: string, sizeBytes: number): UploadBeginRequest {
  return {
    path,
    sizeBytes,
    mode: 0o644,
    mtimeMs: 7,
    owner: "ann",
    exclusive: false,
    resume: false,
  };
}

export function offerOf(bytes: Uint8Array): ChunkOffer {
  return { seq: 0, offset: 0, sizeBytes: bytes.length, sums: sumsOf(bytes), avoid: [] };
}

/** The error that `promise` rejects with. */
export async function failureOf(promise: Promise<unknown>): Promise<TydfsError> {
  try {
    await promise;
  } catch (error) {
    if (error instanceof TydfsError) return error;
    throw error;
  }
  throw new Error("It should have failed");
}

export async function codeOf(promise: Promise<unknown>): Promise<ErrorCode> {
  return (await failureOf(promise)).code;
}
