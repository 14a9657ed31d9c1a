/**
 * A keeper as the master sees it: registers, beats, reports, obeys. It stores no bytes, only which
 * chunks it has.
 */
import { GIB } from "../../src/base/bytes.ts";
import { call, serve } from "../../src/wire/bus.ts";
import { encode } from "../../src/wire/codec.ts";
import {
  commandCheck,
  commandDelete,
  commandInventory,
  commandRegister,
  commandReplicate,
  commandRetire,
  commandScrub,
  commandVerify,
} from "../../src/wire/command.ts";
import { TydfsError } from "../../src/wire/errors.ts";
import type { Heartbeat } from "../../src/wire/heartbeat.ts";
import type { JoinedReply, JoinedRequest, StoredRequest } from "../../src/wire/report.ts";
import {
  reportInventory,
  reportJoined,
  reportLost,
  reportStored,
  reportStoredMany,
} from "../../src/wire/report.ts";
import type { Rpc } from "../../src/wire/rpc.ts";
import { subjectsOf } from "../../src/wire/subjects.ts";
import type { Committed } from "../../src/wire/upload.ts";
import type { FakeBus } from "./fake_bus.ts";
import { QUIET_SCRUB } from "../quiet_status.ts";
import { PROTOCOL_VERSION } from "../../src/wire/version.ts";

const subjects = subjectsOf("main");
const within = { timeoutMs: 5_000 };

export interface FakeKeeperOptions {
  zone?: string;
  labels?: Record<string, string>;
  freeBytes?: number;
  slots?: number;
  ports?: number[];
}

export class FakeKeeper {
  readonly id: string;
  readonly name: string;
  /** Registers again when it is told to. */
  obeysRegister = false;
  /** Sizes by id. */
  readonly chunks = new Map<string, number>();
  /** What it answers when it is to read these chunks again. */
  readonly bad = new Map<string, "corrupt" | "missing">();
  /** Commands as they came: `replicate <chunk>`, `delete <chunk>,…`, `register`, … */
  readonly commands: string[] = [];
  /** The pace of each copy that it was to make, as told. */
  readonly paces: (number | undefined)[] = [];
  epoch = 1;
  beats = 0;
  number = -1;
  ports: number[];
  slots: number;
  freeBytes: number;
  readOnly = false;
  /** Takes commands, but does not answer. */
  hangs = false;
  /** The code with which it refuses to replicate. */
  refuses: "corrupt" | "unavailable" | undefined;
  readonly #bus: FakeBus;
  labels: Record<string, string>;

  constructor(bus: FakeBus, label: string, options: FakeKeeperOptions = {}) {
    this.#bus = bus;
    this.id = Buffer.from(label).toString("hex").padEnd(32, "0");
    this.name = label;
    this.ports = options.ports ?? [7000, 7001];
    this.slots = options.slots ?? 8;
    this.freeBytes = options.freeBytes ?? 100 * GIB;
    this.labels = { ...options.labels, ...(options.zone && { zone: options.zone }) };
    this.#obey();
  }

  /** Registers with the master. */
  async join(more: Partial<JoinedRequest> = {}): Promise<JoinedReply> {
    const request: JoinedRequest = {
      keeper: this.id,
      name: this.name,
      epoch: this.epoch,
      instance: this.epoch.toString(16).padStart(32, "0"),
      protocol: PROTOCOL_VERSION,
      version: "0.0.0",
      host: "127.0.0.1",
      ports: this.ports,
      slots: this.slots,
      labels: this.labels,
      totalBytes: 2 * this.freeBytes,
      freeBytes: this.freeBytes,
      ...more,
    };
    const subject = subjects.report(this.id, "joined");
    const reply = await call(this.#bus, subject, reportJoined, request, within);
    this.number = reply.number;
    await this.list();
    return reply;
  }

  /** Sends the whole inventory. */
  async list(): Promise<void> {
    const chunks = [...this.chunks].sort(([a], [b]) => a < b ? -1 : 1);
    const subject = subjects.report(this.id, "inventory");
    await call(this.#bus, subject, reportInventory, { after: "", chunks, last: true }, within);
  }

  /** Publishes a heartbeat; `grants` and `inUse` by the index of the port. */
  beat(more: Partial<Heartbeat> & { grants?: number[][]; inUse?: number[] } = {}): void {
    const { grants = [], inUse = [], ...fields } = more;
    const beat: Heartbeat = {
      keeper: this.id,
      epoch: this.epoch,
      beat: ++this.beats,
      ports: this.ports.map((port, index) => ({
        port,
        slots: this.slots,
        inUse: inUse[index] ?? 0,
        bytesIn: 0,
        bytesOut: 0,
        grants: grants[index] ?? [],
      })),
      totalBytes: 2 * this.freeBytes,
      freeBytes: this.freeBytes,
      chunks: this.chunks.size,
      readOnly: this.readOnly,
      leaving: false,
      aside: 0,
      scrub: QUIET_SCRUB,
      ...fields,
    };
    this.#bus.publish(subjects.heartbeat(this.id), encode(beat));
  }

  /** Reports a chunk as stored. */
  async stored(report: StoredRequest): Promise<{ committed?: Committed | undefined }> {
    this.chunks.set(report.chunk, report.sizeBytes);
    return await call(this.#bus, subjects.report(this.id, "stored"), reportStored, report, within);
  }

  /** Reports chunks as stored, in one message. */
  async storedMany(reports: StoredRequest[]): Promise<{ failed: string[] }> {
    const subject = subjects.report(this.id, reportStoredMany.name);
    return await call(this.#bus, subject, reportStoredMany, { reports }, within);
  }

  /** Reports chunks as lost. */
  async lost(chunks: string[]): Promise<void> {
    const request = { chunks, reason: "missing" as const };
    await call(this.#bus, subjects.report(this.id, "lost"), reportLost, request, within);
  }

  #obey(): void {
    this.#on(commandReplicate, async ({ chunk, sizeBytes, sums, bytesPerSecond }) => {
      this.commands.push(`replicate ${chunk}`);
      this.paces.push(bytesPerSecond);
      if (this.refuses !== undefined) throw new RefusalError(this.refuses);
      await this.stored({ chunk, sizeBytes, sums, keepers: [this.id], head: false });
      return {};
    });
    this.#on(commandDelete, ({ chunks }) => {
      this.commands.push(`delete ${chunks.join(",")}`);
      for (const chunk of chunks) this.chunks.delete(chunk);
      return { gone: chunks };
    });
    this.#on(commandVerify, ({ chunk }) => {
      this.commands.push(`verify ${chunk}`);
      return { state: this.bad.get(chunk) ?? "good" };
    });
    this.#on(commandCheck, ({ chunks }) => {
      const missing = chunks.filter(([id]) => !this.chunks.has(id)).map(([id]) => id);
      const wrongSize = chunks.filter(([id, size]) => (this.chunks.get(id) ?? size) !== size)
        .map(([id]) => id);
      return { missing, wrongSize };
    });
    this.#on(commandRegister, () => {
      this.commands.push(commandRegister.name);
      // Like a keeper, which answers first and registers then.
      if (this.obeysRegister) queueMicrotask(() => void this.join().catch(() => {}));
      return {};
    });
    const simple = [commandInventory, commandRetire, commandScrub] as const;
    for (const command of simple) {
      this.#on(command as Rpc<unknown, Record<string, never>>, () => {
        this.commands.push(command.name);
        return {};
      });
    }
  }

  #on<Request, Reply>(
    command: Rpc<Request, Reply>,
    handler: (request: Request) => Reply | Promise<Reply>,
  ): void {
    const subject = subjects.command(this.id, command.name);
    serve(this.#bus, subject, command, { onFailure: () => {} }, (request) => {
      const answer = handler(request);
      return this.hangs ? new Promise<Reply>(() => {}) : answer;
    });
  }
}

class RefusalError extends TydfsError {
  constructor(code: "corrupt" | "unavailable") {
    super(code, "Cannot replicate");
  }
}
