/** Streamers on real ports and disks, a master that only listens, and tickets for all of it. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { AssertionError } from "../../src/base/assert.ts";
import { systemClock } from "../../src/base/clock.ts";
import { silentLog } from "../../src/base/log.ts";
import { randomHex, seededRandom } from "../../src/base/random.ts";
import { Archive } from "../../src/chunks/archive.ts";
import { ChunkStore } from "../../src/chunks/chunk_store.ts";
import type { Disk } from "../../src/chunks/disk.ts";
import { systemDisk } from "../../src/chunks/disk.ts";
import { StoreShare } from "../../src/chunks/store_share.ts";
import type { ChainLimits } from "../../src/keeper/chain.ts";
import { serveArchive } from "../../src/keeper/archive_commands.ts";
import { serveCommands } from "../../src/keeper/commands.ts";
import { MasterEpoch } from "../../src/keeper/master_epoch.ts";
import { Reporter } from "../../src/keeper/reporter.ts";
import type { StallLimits } from "../../src/keeper/stall_watch.ts";
import { Streamer } from "../../src/keeper/streamer.ts";
import { PortTable } from "../../src/tables/port_table.ts";
import { serve } from "../../src/wire/bus.ts";
import type { ChunkTransport } from "../../src/wire/chunk_http.ts";
import { httpTransport, TICKET_HEADER } from "../../src/wire/chunk_http.ts";
import type { InventoryRequest, StoredRequest } from "../../src/wire/report.ts";
import {
  reportInventory,
  reportLost,
  reportStored,
  reportStoredMany,
} from "../../src/wire/report.ts";
import { subjectsOf } from "../../src/wire/subjects.ts";
import { sumsOf } from "../../src/wire/sums.ts";
import type { Hop, PutTicket } from "../../src/wire/ticket.ts";
import { signTicket } from "../../src/wire/ticket.ts";
import { MemoryBus } from "./memory_bus.ts";

export const KEY = "the cluster's ticket key";
export const random = seededRandom(7);
export const subjects = subjectsOf("main");

export interface WorldOptions {
  disk?: (disk: Disk) => Partial<Disk>;
  transport?: Partial<ChunkTransport>;
  stallLimits?: StallLimits;
  chainLimits?: ChainLimits;
  slots?: number;
}

/** One keeper with one streamer. */
export interface TestKeeper {
  id: string;
  directory: string;
  port: number;
  base: string;
  disk: Disk;
  store: ChunkStore;
  ports: PortTable;
  streamer: Streamer;
  masterEpoch: MasterEpoch;
  broken: AssertionError[];
  hop: Hop;
  stop(): Promise<void>;
}

/** What the keepers have told the master. */
export class World {
  readonly bus = new MemoryBus();
  readonly stored: StoredRequest[] = [];
  readonly lost: { keeper: string; chunks: string[]; reason: string }[] = [];
  readonly inventories: InventoryRequest[] = [];
  readonly keepers: TestKeeper[] = [];
  /** What the master answers to `stored`; it may throw. */
  onStored: (report: StoredRequest) => void | Promise<void> = () => {};
  #grants = 0;

  /** Starts a keeper. */
  async keeper(options: WorldOptions = {}): Promise<TestKeeper> {
    const id = randomHex(random, 16);
    const directory = mkdtempSync(join(tmpdir(), "tydfs-keeper-"));
    const plain = systemDisk(directory);
    const disk = { ...plain, ...options.disk?.(plain) };
    const effects = { clock: systemClock, random, log: silentLog };
    const store = new ChunkStore({ ...effects, disk, share: new StoreShare(), reserveBytes: 0 });
    await store.prepare();
    const ports = new PortTable(1);
    const reporter = new Reporter({ ...effects, bus: this.bus, subjects, keeperId: id });
    const transport = { ...httpTransport, ...options.transport };
    const masterEpoch = await MasterEpoch.open({ ...effects, disk }, directory);
    const archive = new Archive(disk, random);
    await archive.prepare();
    const parts = { ...effects, keeperId: id, store, disk, archive, transport, reporter };
    const broken: AssertionError[] = [];
    const streamer = new Streamer({
      ...parts,
      ...{ ticketKey: KEY, row: 0, slots: options.slots ?? 8, ports },
      onBroken: (error) => broken.push(error),
      ...options.stallLimits === undefined ? {} : { stallLimits: options.stallLimits },
      ...options.chainLimits === undefined ? {} : { chainLimits: options.chainLimits },
    });
    const port = streamer.listen("127.0.0.1", 0);
    const ends = { bus: this.bus, subjects, masterEpoch };
    const commands = [
      ...serveCommands({ ...parts, ...ends }),
      ...serveArchive({ ...parts, ...ends }),
    ];
    this.#listen(id);
    const keeper: TestKeeper = {
      ...{ id, directory, port, disk, store, ports, streamer, masterEpoch, broken },
      base: `http://127.0.0.1:${port}`,
      hop: { keeper: id, host: "127.0.0.1", port, grant: ++this.#grants },
      async stop() {
        await Promise.all(commands.map((command) => command.stop()));
        await streamer.stop(0);
      },
    };
    this.keepers.push(keeper);
    return keeper;
  }

  /** Waits until something has come about; fails after a few seconds. */
  async until(what: () => boolean): Promise<void> {
    const endMs = systemClock.monotonicMs() + 5_000;
    while (!what()) {
      if (systemClock.monotonicMs() > endMs) throw new Error(`In vain: ${what}`);
      await systemClock.sleep(5);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.keepers.map((keeper) => keeper.stop()));
    for (const { directory } of this.keepers) rmSync(directory, { recursive: true, force: true });
  }

  #listen(id: string): void {
    const on = { onFailure: () => {} };
    const record = async (report: StoredRequest) => {
      await this.onStored(report);
      this.stored.push(report);
    };
    serve(this.bus, subjects.report(id, "stored-many"), reportStoredMany, on, async (request) => {
      await Promise.all(request.reports.map(record));
      return { failed: [] };
    });
    serve(this.bus, subjects.report(id, "stored"), reportStored, on, async (report) => {
      await record(report);
      if (!report.head) return {};
      const { sizeBytes, keepers } = report;
      const file = { path: "/x", version: 1, sizeBytes, checksum: "" };
      return { committed: { ...file, copies: keepers.length, goal: 3 } };
    });
    serve(this.bus, subjects.report(id, "lost"), reportLost, on, ({ chunks, reason }) => {
      this.lost.push({ keeper: id, chunks, reason });
      return {};
    });
    serve(this.bus, subjects.report(id, "inventory"), reportInventory, on, (page) => {
      this.inventories.push(page);
      return { unknown: 0, missing: 0, wrongSize: [] };
    });
  }
}

/** A ticket for these bytes along these hops. */
export function putTicket(
  bytes: Uint8Array,
  hops: Hop[],
  changes: Partial<PutTicket> = {},
): PutTicket {
  return {
    op: "put",
    chunk: randomHex(random, 16),
    sizeBytes: bytes.length,
    sums: sumsOf(bytes),
    origin: {
      ...{ path: "/x", upload: randomHex(random, 16), seq: 0, offset: 0 },
      ...{ fileBytes: bytes.length, mode: 0o600, mtimeMs: -5, owner: "ann", placedMs: 7 },
    },
    hops,
    minCopies: hops.length,
    goal: 3,
    expiresMs: systemClock.wallMs() + 60_000,
    ...changes,
  };
}

export interface Answer {
  status: number;
  code: string;
  keepers: string[];
  committed?: { copies: number };
  data?: { copies: number; need: number; keepers: string[] };
}

/** PUTs bytes as a client does. */
export async function put(
  keeper: TestKeeper,
  ticket: PutTicket,
  bytes: Uint8Array,
  options: {
    key?: string;
    id?: string;
    headers?: Record<string, string>;
    signal?: AbortSignal;
  } = {},
): Promise<Answer> {
  const response = await fetch(`${keeper.base}/chunk/${options.id ?? ticket.chunk}`, {
    method: "PUT",
    headers: { [TICKET_HEADER]: signTicket(options.key ?? KEY, ticket), ...options.headers },
    body: new Uint8Array(bytes),
    ...options.signal === undefined ? {} : { signal: options.signal },
  });
  const answer = await response.json() as Omit<Answer, "status">;
  return { ...answer, status: response.status, code: answer.code ?? "ok" };
}

/** The text of a ticket to read a chunk. */
export function getTicket(chunk: string): string {
  return signTicket(KEY, { op: "get", chunk, expiresMs: systemClock.wallMs() + 60_000 });
}

/** GETs a chunk with a good ticket. */
export function get(
  keeper: TestKeeper,
  chunk: string,
  init: RequestInit & { headers?: Record<string, string> } = {},
): Promise<Response> {
  const headers = { [TICKET_HEADER]: getTicket(chunk), ...init.headers };
  return fetch(`${keeper.base}/chunk/${chunk}`, { ...init, headers });
}
