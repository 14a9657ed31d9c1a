/** SeaweedFS: a master, three volume servers and a filer, spoken to over HTTP. */
import { mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { goProgram } from "./install.ts";
import { freePort, Processes, runTool } from "./processes.ts";
import type { Candidate, Pace, PeerSystem, Tree } from "./system.ts";
import type { Pair, Work } from "./work.ts";
import { pairsOf, wholeWork, workThrough } from "./work.ts";

const MODULE = "github.com/seaweedfs/seaweedfs/weed";
/** A release by its tag, which carries no "v". */
const VERSION = "3.97";
const SERVERS = [1, 2, 3];
/** Two more copies in the same rack: three in all. */
const REPLICATION = "002";
const PAGE = 10_000;
const VOLUME_MB = 1024;

export const seaweedSynced = candidate(true);
export const seaweedUnsynced = candidate(false);

function candidate(synced: boolean): Candidate {
  const copies = "3 copies (replication 002); answered when all 3 volume servers have written them";
  return {
    setting: {
      system: "seaweedfs",
      title: synced ? "SeaweedFS, fsync" : "SeaweedFS",
      synced,
      durability: synced
        ? `${copies} and the one that was asked has fsynced (fsync=true)`
        : `${copies}; nothing is fsynced`,
    },
    async prepare() {
      const path = await goProgram("weed", MODULE, VERSION);
      return (await runTool([path, "version"])).trim();
    },
    create: (directory) => new Seaweed(directory, synced),
  };
}

class Seaweed implements PeerSystem {
  readonly processes: Processes;
  readonly #directory: string;
  readonly #synced: boolean;
  readonly #master = freePort();
  readonly #filer = freePort();
  readonly #volumes = SERVERS.map(() => freePort());
  #program = "";

  constructor(directory: string, synced: boolean) {
    this.#directory = directory;
    this.#synced = synced;
    this.processes = new Processes(directory);
  }

  async start(): Promise<void> {
    this.#program = await goProgram("weed", MODULE, VERSION);
    const data = join(this.#directory, "master");
    mkdirSync(data);
    this.#run("master", [
      ...["master", "-ip=127.0.0.1", `-port=${this.#master}`, `-mdir=${data}`],
      ...[`-defaultReplication=${REPLICATION}`, `-volumeSizeLimitMB=${VOLUME_MB}`],
    ]);
    for (const n of SERVERS) this.#startServer(n);
    this.#run("filer", [
      ...["filer", "-ip=127.0.0.1", `-port=${this.#filer}`, `-master=127.0.0.1:${this.#master}`],
      ...[`-defaultReplicaPlacement=${REPLICATION}`],
    ]);
    await this.processes.until("the filer answers", async () => (await fetch(this.#url(""))).ok);
  }

  async putLarge(files: Pair[]): Promise<void> {
    await Promise.all(files.map((file) => this.#put(file)));
  }

  async getLarge(files: Pair[]): Promise<void> {
    await Promise.all(
      files.map(({ local, remote }) =>
        runTool(["curl", "-sS", "--fail", "-o", local, this.#url(remote)])
      ),
    );
  }

  putTree(tree: Tree, pace: Pace): Promise<Work> {
    return this.putSingles(pairsOf(tree), pace);
  }

  getTree(tree: Tree, pace: Pace): Promise<Work> {
    return this.getSingles(pairsOf(tree), pace);
  }

  putSingles(files: Pair[], pace: Pace): Promise<Work> {
    return workThrough(files, pace, (file) => this.#put(file));
  }

  getSingles(files: Pair[], pace: Pace): Promise<Work> {
    return workThrough(files, pace, async ({ local, remote }) => {
      await Bun.write(local, await (await answered(fetch(this.#url(remote)))).bytes());
    });
  }

  statSingles(remotes: string[], pace: Pace): Promise<Work> {
    return workThrough(
      remotes,
      pace,
      (remote) => answered(fetch(this.#url(remote), { method: "HEAD" })),
    );
  }

  fillNames(remotes: string[], pace: Pace): Promise<Work> {
    return workThrough(
      remotes,
      pace,
      (remote) => answered(fetch(this.#url(remote), { method: "PUT", body: "" })),
    );
  }

  async list(remote: string): Promise<number> {
    const headers = { Accept: "application/json" };
    const url = `${this.#url(remote)}/?limit=${PAGE}`;
    const page = await (await answered(fetch(url, { headers }))).json() as { Entries: unknown[] };
    return page.Entries.length;
  }

  removeTree(remote: string, files: string[]): Promise<Work> {
    const url = `${this.#url(remote)}?recursive=true`;
    return wholeWork(files.length, () => answered(fetch(url, { method: "DELETE" })));
  }

  async replaceServer(): Promise<void> {
    const lost = SERVERS.length;
    await this.processes.stop(`volume-${lost}`, "SIGKILL");
    rmSync(this.#data(lost), { recursive: true });
    this.#startServer(lost);
  }

  /** It repairs when it is told to. */
  async isWhole(bytes: number): Promise<boolean> {
    const shell = [this.#program, "shell", `-master=127.0.0.1:${this.#master}`];
    const script = 'printf "lock\\nvolume.fix.replication\\nunlock\\n" | "$@"';
    await runTool(["sh", "-c", script, "sh", ...shell]);
    const told = await runTool(["du", "-sb", this.#data(SERVERS.length)], { allow: 1 });
    return Number(told.split("\t")[0]) >= bytes;
  }

  async stop(): Promise<void> {
    await this.processes.stopAll("SIGKILL");
  }

  #url(remote: string): string {
    return `http://127.0.0.1:${this.#filer}/${remote}`;
  }

  #data(n: number): string {
    return join(this.#directory, `volume-${n}`);
  }

  #startServer(n: number): void {
    mkdirSync(this.#data(n));
    this.#run(`volume-${n}`, [
      ...["volume", "-ip=127.0.0.1", `-port=${this.#volumes[n - 1]}`, `-dir=${this.#data(n)}`],
      ...[`-mserver=127.0.0.1:${this.#master}`, "-max=32"],
    ]);
  }

  #run(name: string, args: string[]): void {
    this.processes.start(name, [this.#program, "-v=0", ...args]);
  }

  async #put({ local, remote }: Pair): Promise<void> {
    const query = this.#synced ? "?fsync=true" : "";
    const url = `${this.#url(remote)}${query}`;
    await answered(fetch(url, { method: "PUT", body: Bun.file(local) }));
  }
}

async function answered(answer: Promise<Response>): Promise<Response> {
  const response = await answer;
  if (response.ok) return response;
  throw new Error(`${response.url} answered ${response.status}`);
}
