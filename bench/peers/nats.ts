/** NATS JetStream's object store: three servers in a cluster, streams of three replicas. */
import { jetstream, jetstreamManager, StorageType } from "@nats-io/jetstream";
import type { ObjectStore } from "@nats-io/obj";
import { Objm, setSha256Backend } from "@nats-io/obj";
import type { NatsConnection } from "@nats-io/transport-node";
import { connect } from "@nats-io/transport-node";
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { KIB } from "../../src/base/bytes.ts";
import { natsServer } from "./install.ts";
import { freePort, Processes, runTool } from "./processes.ts";
import type { Candidate, Pace, PeerSystem, Tree } from "./system.ts";
import type { Pair, Work } from "./work.ts";
import { pairsOf, workThrough } from "./work.ts";

const BUCKET = "bench";
const SERVERS = [1, 2, 3];
/** Fewer, larger messages than by its default of 128 KiB: each is answered before the next is sent. */
const CHUNK_BYTES = 512 * KIB;
const TIMEOUT_MS = 30_000;
const CREATE_MS = 1_000;

export const natsSynced = candidate(true);
export const natsUnsynced = candidate(false);

function candidate(synced: boolean): Candidate {
  const copies = "3 copies by Raft; answered when 2 of the 3 servers have written the message";
  return {
    setting: {
      system: "nats",
      title: synced ? "NATS, fsync" : "NATS",
      synced,
      durability: synced
        ? `${copies} and fsynced it (sync_interval: always)`
        : `${copies}, fsynced every 2 minutes (sync_interval: 2m, the default)`,
    },
    async prepare() {
      const version = await runTool([natsServer(), "--version"]);
      const client = await import("@nats-io/obj/package.json", { with: { type: "json" } });
      return `${version.trim()}, @nats-io/obj ${client.default.version}`;
    },
    create: (directory) => new NatsObjects(directory, synced),
  };
}

class NatsObjects implements PeerSystem {
  readonly processes: Processes;
  readonly #directory: string;
  readonly #synced: boolean;
  readonly #ports = SERVERS.map(() => ({ client: freePort(), route: freePort() }));
  #connection: NatsConnection | undefined;
  #opened: ObjectStore | undefined;

  constructor(directory: string, synced: boolean) {
    this.#directory = directory;
    this.#synced = synced;
    this.processes = new Processes(directory);
  }

  async start(): Promise<void> {
    // Its own choice is a JavaScript one, which is slower by far.
    setSha256Backend("native");
    for (const n of SERVERS) this.#startServer(n);
    const servers = this.#ports.map(({ client }) => `127.0.0.1:${client}`);
    await this.processes.until("NATS has a bucket", async () => {
      this.#connection ??= await connect({ servers, timeout: 2_000, maxReconnectAttempts: -1 });
      // Asked before there is a leader, nobody answers: rather ask again soon.
      const first = new Objm(jetstream(this.#connection, { timeout: CREATE_MS }));
      await first.create(BUCKET, { replicas: SERVERS.length, storage: StorageType.File });
      const objects = new Objm(jetstream(this.#connection, { timeout: TIMEOUT_MS }));
      this.#opened = await objects.open(BUCKET);
      return true;
    });
  }

  async putLarge(files: Pair[]): Promise<void> {
    await Promise.all(files.map((file) => this.#put(file)));
  }

  async getLarge(files: Pair[]): Promise<void> {
    // One after the other: of several at once its client loses messages, and starts anew.
    for (const file of files) await this.#get(file);
  }

  putTree(tree: Tree, pace: Pace): Promise<Work> {
    return workThrough(pairsOf(tree), pace, (file) => this.#put(file));
  }

  getTree(tree: Tree, pace: Pace): Promise<Work> {
    return workThrough(pairsOf(tree), pace, (file) => this.#get(file));
  }

  putSingles(files: Pair[], pace: Pace): Promise<Work> {
    return workThrough(files, pace, (file) => this.#put(file));
  }

  getSingles(files: Pair[], pace: Pace): Promise<Work> {
    return workThrough(files, pace, (file) => this.#get(file));
  }

  statSingles(remotes: string[], pace: Pace): Promise<Work> {
    return workThrough(remotes, pace, async (remote) => {
      if (await this.#store.info(remote) === null) throw new Error(`${remote} is not there`);
    });
  }

  fillNames(remotes: string[], pace: Pace): Promise<Work> {
    const none = new Uint8Array(0);
    return workThrough(remotes, pace, (name) => this.#store.putBlob({ name }, none));
  }

  /** There are no directories: the whole bucket is listed. */
  async list(remote: string): Promise<number> {
    const all = await this.#store.list();
    return all.filter(({ name }) => name.startsWith(`${remote}/`)).length;
  }

  removeTree(_remote: string, files: string[], pace: Pace): Promise<Work> {
    return workThrough(files, pace, (name) => this.#store.delete(name));
  }

  async replaceServer(): Promise<void> {
    const lost = await this.#follower();
    await this.processes.stop(`server-${lost}`, "SIGKILL");
    rmSync(this.#data(lost), { recursive: true });
    this.#startServer(lost);
  }

  /** All replicas are current and none lags, and as much lies on each disk. */
  async isWhole(bytes: number): Promise<boolean> {
    const manager = await jetstreamManager(this.#must());
    const { cluster } = await manager.streams.info(`OBJ_${BUCKET}`);
    const replicas = cluster?.replicas ?? [];
    const isCurrent = replicas.length === SERVERS.length - 1 &&
      replicas.every(({ current, lag, offline }) => current && !offline && (lag ?? 0) === 0);
    if (!isCurrent) return false;
    for (const n of SERVERS) if (await diskBytes(this.#data(n)) < bytes) return false;
    return true;
  }

  async stop(): Promise<void> {
    await this.#connection?.close();
    await this.processes.stopAll("SIGKILL");
  }

  get #store(): ObjectStore {
    if (this.#opened === undefined) throw new Error("NATS is not started");
    return this.#opened;
  }

  #must(): NatsConnection {
    if (this.#connection === undefined) throw new Error("NATS is not started");
    return this.#connection;
  }

  async #put({ local, remote }: Pair): Promise<void> {
    const file = Bun.file(local);
    const options = { max_chunk_size: CHUNK_BYTES };
    await this.#store.put({ name: remote, options }, file.stream(), { timeout: TIMEOUT_MS });
  }

  async #get({ local, remote }: Pair): Promise<void> {
    const result = await this.#store.get(remote);
    if (result === null) throw new Error(`${remote} is not there`);
    const sink = Bun.file(local).writer();
    for await (const bytes of result.data) {
      sink.write(bytes);
      await sink.flush();
    }
    await sink.end();
    // Documented as null when all was well; undefined is what comes.
    const error = await result.error as Error | null | undefined;
    if (error instanceof Error) throw error;
  }

  /** The number of a server that does not lead the bucket's stream, nor carries the connection. */
  async #follower(): Promise<number> {
    const manager = await jetstreamManager(this.#must());
    const { cluster } = await manager.streams.info(`OBJ_${BUCKET}`);
    const own = this.#must().info?.server_name;
    return SERVERS.find((n) => `n${n}` !== cluster?.leader && `n${n}` !== own) ?? 1;
  }

  #data(n: number): string {
    return join(this.#directory, `server-${n}`);
  }

  #startServer(n: number): void {
    const { client = 0, route = 0 } = this.#ports[n - 1] ?? {};
    const routes = this.#ports.map((port) => `nats://127.0.0.1:${port.route}`);
    const config = join(this.#directory, `server-${n}.conf`);
    mkdirSync(this.#data(n), { recursive: true });
    writeFileSync(
      config,
      [
        `server_name: n${n}`,
        `listen: 127.0.0.1:${client}`,
        `jetstream {`,
        `  store_dir: "${this.#data(n)}"`,
        `  sync_interval: ${this.#synced ? "always" : "2m"}`,
        `  max_memory_store: 0`,
        `}`,
        `cluster { name: bench, listen: "127.0.0.1:${route}", routes: [${routes.join(", ")}] }`,
      ].join("\n"),
    );
    this.processes.start(`server-${n}`, [natsServer(), "-c", config]);
  }
}

async function diskBytes(directory: string): Promise<number> {
  // A file may go between two looks: that is no failure.
  const told = await runTool(["du", "-sb", directory], { allow: 1 });
  return Number(told.split("\t")[0]);
}
