/** tydfs itself: a master, three keepers, the compiled binary and the client library. */
import { existsSync, mkdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { silentLog } from "../../src/base/log.ts";
import { CatalogWriter } from "../../src/catalog/writer.ts";
import { TydfsClient } from "../../src/client/client.ts";
import type { ClusterStatus } from "../../src/wire/cluster.ts";
import { BINARY } from "../../test/cluster/harness.ts";
import { Processes, runTool } from "./processes.ts";
import type { Candidate, Pace, PeerSystem, Tree } from "./system.ts";
import type { Pair, Work } from "./work.ts";
import { wholeWork, workThrough } from "./work.ts";

const KEEPERS = [1, 2, 3];
const FILL_BATCH = 10_000;
/** Chunks that the library has in transfer at once. */
const STREAMS = 16;
const ROLE_SETTINGS = {
  TYDFS_SUSPECT_AFTER: "1500ms",
  TYDFS_DEAD_AFTER: "3s",
  TYDFS_REPAIR_DELAY: "1s",
  // By default repairs leave room for clients: 200 MiB/s to one keeper.
  TYDFS_REPAIR_BANDWIDTH: "0",
  TYDFS_TRASH_TTL: "1s",
  TYDFS_GRACE: "30s",
  TYDFS_RESERVE: "64MiB",
};

export const tydfs: Candidate = {
  setting: {
    system: "tydfs",
    title: "tydfs",
    synced: true,
    durability: "3 copies; answered when 2 of them are fsynced with their directory entries (the " +
      "default), and the name is committed to the synced catalog and its journal; the third copy " +
      "is on its way then",
  },
  async prepare() {
    if (!existsSync(BINARY)) throw new Error("dist/tydfs is missing: run ./cluster.sh build");
    return (await runTool([BINARY, "--version"])).trim().split("\n")[0] ?? "";
  },
  create: (directory) => new Tydfs(directory),
};

class Tydfs implements PeerSystem {
  readonly processes: Processes;
  readonly #directory: string;
  #connected: TydfsClient | undefined;
  #port = "0";
  /** The keeper that is lost next, and those that were. */
  #last = `keeper-${KEEPERS.length}`;
  readonly #lost = new Set<string>();

  constructor(directory: string) {
    this.#directory = directory;
    this.processes = new Processes(directory);
  }

  async start(): Promise<void> {
    await this.#startMaster();
    for (const k of KEEPERS) this.#startKeeper(`keeper-${k}`);
    this.#connected = await connect(this.#url("client"));
  }

  /** One file by the command; several by one program, as a client with many files is. */
  async putLarge(files: Pair[]): Promise<void> {
    await Promise.all(
      files.map(({ local, remote }) =>
        files.length === 1 ? this.#run("put", "-q", local, remote) : this.#client.put(local, remote)
      ),
    );
  }

  async getLarge(files: Pair[]): Promise<void> {
    await Promise.all(
      files.map(({ local, remote }) =>
        files.length === 1 ? this.#run("get", "-q", remote, local) : this.#client.get(remote, local)
      ),
    );
  }

  putTree(tree: Tree): Promise<Work> {
    const command = ["put", "-r", "-q", "--transfers", "32", tree.local, tree.remote];
    return wholeWork(tree.names.length, () => this.#run(...command));
  }

  getTree(tree: Tree): Promise<Work> {
    const command = ["get", "-r", "-q", "--transfers", "32", tree.remote, tree.local];
    return wholeWork(tree.names.length, () => this.#run(...command));
  }

  putSingles(files: Pair[], pace: Pace): Promise<Work> {
    return workThrough(files, pace, ({ local, remote }) => this.#client.put(local, remote));
  }

  getSingles(files: Pair[], pace: Pace): Promise<Work> {
    return workThrough(files, pace, ({ local, remote }) => this.#client.get(remote, local));
  }

  statSingles(remotes: string[], pace: Pace): Promise<Work> {
    return workThrough(remotes, pace, (remote) => this.#client.stat(remote));
  }

  async list(remote: string): Promise<number> {
    let entries = 0;
    for await (const _ of this.#client.list(remote)) entries++;
    return entries;
  }

  removeTree(remote: string, files: string[]): Promise<Work> {
    return wholeWork(files.length, () => this.#client.remove(remote, { recursive: true }));
  }

  /** Straight into the catalog while the master is away, as copies of one file. */
  async fillNames(remotes: string[]): Promise<Work> {
    const startMs = performance.now();
    const from = "/names-from";
    await this.#client.putMemory(new Uint8Array(1), from);
    await this.#client.close();
    await this.processes.stop("master");
    const writer = new CatalogWriter({
      path: join(this.#masterDirectory, "catalog.db"),
      log: silentLog,
      onFatal: (error) => {
        throw error;
      },
    });
    for (let first = 0; first < remotes.length; first += FILL_BATCH) {
      await Promise.all(
        remotes.slice(first, first + FILL_BATCH).map((to) =>
          writer.submit({
            kind: "file.copy",
            from,
            to: `/${to}`,
            replace: false,
            owner: "",
            atMs: 0,
          })
        ),
      );
    }
    await writer.close();
    await this.#startMaster();
    this.#connected = await connect(this.#url("client"));
    return { done: remotes.length, wanted: remotes.length, ms: performance.now() - startMs };
  }

  async replaceServer(): Promise<void> {
    await this.processes.stop(this.#last, "SIGKILL");
    rmSync(join(this.#directory, this.#last), { recursive: true });
    this.#lost.add(this.#last);
    this.#last = `spare-${this.#lost.size}`;
    this.#startKeeper(this.#last);
  }

  /** The third copy of what was put last is made behind the answer. */
  async settle(): Promise<void> {
    await this.processes.until("all copies are made", async () => {
      const { chunks } = await this.#client.status();
      return chunks.atGoal === chunks.total;
    });
  }

  /** The lost keeper is known to be dead, none of its chunks lacks a copy, and the bytes are there. */
  async isWhole(bytes: number): Promise<boolean> {
    const status = JSON.parse(await this.#run("status", "--json")) as ClusterStatus;
    const { chunks, keepers } = status;
    const alive = keepers.filter(({ state }) => state === "ALIVE").map(({ name }) => name);
    const isKnown = alive.length === KEEPERS.length && alive.includes(this.#last) &&
      !alive.some((name) => this.#lost.has(name));
    if (!isKnown || chunks.atGoal !== chunks.total || chunks.total === 0) return false;
    const told = await runTool(["du", "-sb", join(this.#directory, this.#last)], { allow: 1 });
    return Number(told.split("\t")[0]) >= bytes;
  }

  async stop(): Promise<void> {
    await this.#connected?.close();
    await this.processes.stopAll();
  }

  get #client(): TydfsClient {
    if (this.#connected === undefined) throw new Error("tydfs is not started");
    return this.#connected;
  }

  get #masterDirectory(): string {
    return join(this.#directory, "master");
  }

  #url(role: "client" | "keeper"): string {
    return readFileSync(join(this.#masterDirectory, `join.${role}`), "utf8").trim();
  }

  async #startMaster(): Promise<void> {
    const ready = join(this.#masterDirectory, "join.client");
    rmSync(ready, { force: true });
    const args = ["master", "--data", this.#masterDirectory, "--port", this.#port];
    this.processes.start("master", [BINARY, ...args], { env: ROLE_SETTINGS });
    await this.processes.until("the master is ready", () => existsSync(ready));
    this.#port = new URL(this.#url("client").replace("tydfs:", "http:")).port;
  }

  #startKeeper(name: string): void {
    const data = join(this.#directory, name);
    mkdirSync(data, { recursive: true });
    const args = ["keeper", "--data", data, "--name", name, "--port", "0"];
    const env = { ...ROLE_SETTINGS, TYDFS_URL: this.#url("keeper") };
    this.processes.start(name, [BINARY, ...args], { env });
  }

  #run(...args: string[]): Promise<string> {
    return runTool([BINARY, ...args], { env: { TYDFS_URL: this.#url("client") } });
  }
}

function connect(url: string): Promise<TydfsClient> {
  return TydfsClient.connect({ url, parallel: STREAMS });
}
