/**
 * MooseFS: a master, three chunkservers and a mount. It refuses loopback addresses, so all of it
 * lives in a network namespace of its own; the mount is seen by everyone.
 */
import { copyFileSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { forEachLimited } from "../../src/base/limit.ts";
import { byThreads } from "./file_crew.ts";
import { debianPackages } from "./install.ts";
import { Processes, runTool } from "./processes.ts";
import type { Candidate, Pace, PeerSystem, Tree } from "./system.ts";
import type { Pair, Work } from "./work.ts";
import { wholeWork } from "./work.ts";

const PACKAGES = ["moosefs-master", "moosefs-chunkserver", "moosefs-client", "libmfsio1"];
/** Any address that is not loopback: no packet of it leaves the namespace. */
const ADDRESS = "10.201.77.1";
const SERVERS = [1, 2, 3];
const CHUNKSERVER_PORT = 9430;
const COPIES_AT_ONCE = 16;
const START_MS = 60_000;
const TOOL_MS = 5_000;

export const mooseSynced = candidate(true);
export const mooseUnsynced = candidate(false);

function candidate(synced: boolean): Candidate {
  return {
    setting: {
      system: "moosefs",
      title: synced ? "MooseFS, fsync" : "MooseFS",
      synced,
      durability: synced
        ? "3 copies (goal 3); each file is fsynced through the mount: all 3 chunkservers have " +
          "written it, and fsync it when they close the chunk (HDD_FSYNC_BEFORE_CLOSE), which may " +
          "be after the answer; metadata is written behind (its changelog is not fsynced)"
        : "3 copies (goal 3); answered when all 3 chunkservers have written it; nothing is fsynced",
    },
    async prepare() {
      if (process.getuid?.() !== 0) throw new Error("only root can make a network namespace");
      for (const tool of ["ip", "nsenter"]) {
        if (Bun.which(tool) === null) throw new Error(`${tool} is not installed`);
      }
      const root = await packages();
      const env = { LD_LIBRARY_PATH: libraries(root) };
      const told = await runTool([join(root, "usr/sbin/mfsmaster"), "-v"], { env, allow: 1 });
      return `MooseFS ${/\d+\.\d+\.\d+[-\d]*/.exec(told)?.[0] ?? "of Debian"}`;
    },
    create: (directory) => new Moose(directory, synced),
  };
}

class Moose implements PeerSystem {
  readonly processes: Processes;
  readonly #directory: string;
  readonly #synced: boolean;
  readonly #namespace = `tydfs-peers-${process.pid}`;
  #root = "";
  #mounted = false;
  #hasNamespace = false;

  constructor(directory: string, synced: boolean) {
    this.#directory = directory;
    this.#synced = synced;
    this.processes = new Processes(directory);
  }

  async start(): Promise<void> {
    this.#root = await packages();
    await this.#makeNamespace();
    this.#startMaster();
    for (const n of SERVERS) this.#startServer(n);
    mkdirSync(this.#mount, { recursive: true });
    await this.#startMount();
    await this.#setGoal();
  }

  async putLarge(files: Pair[]): Promise<void> {
    await Promise.all(files.map(async ({ local, remote }) => {
      const target = await this.#placeFor(remote);
      await copyBy("cp", local, target, this.#synced);
    }));
  }

  async getLarge(files: Pair[]): Promise<void> {
    await Promise.all(
      files.map(({ local, remote }) => copyBy("cp", join(this.#mount, remote), local, false)),
    );
  }

  /** Copies in parallel, as `cp -r` alone waits for one file after the other. */
  async putTree(tree: Tree, pace: Pace): Promise<Work> {
    const startMs = performance.now();
    const pairs = tree.names.map((name) => ({
      local: join(tree.local, name),
      remote: `${tree.remote}/${name}`,
    }));
    const work = await this.putSingles(pairs, { ...pace, clients: COPIES_AT_ONCE });
    return { ...work, ms: performance.now() - startMs };
  }

  async getTree(tree: Tree, pace: Pace): Promise<Work> {
    const pairs = tree.names.map((name) => ({
      local: join(tree.local, name),
      remote: `${tree.remote}/${name}`,
    }));
    return await this.getSingles(pairs, { ...pace, clients: COPIES_AT_ONCE });
  }

  async putSingles(files: Pair[], pace: Pace): Promise<Work> {
    await this.#placesFor(files.map(({ remote }) => remote));
    return await byThreads(
      files.map(({ local, remote }) => ({
        kind: "copy",
        from: local,
        to: [join(this.#mount, remote)],
        sync: this.#synced,
      })),
      pace,
    );
  }

  async getSingles(files: Pair[], pace: Pace): Promise<Work> {
    return await byThreads(
      files.map(({ local, remote }) => ({
        kind: "copy",
        from: join(this.#mount, remote),
        to: [local],
        sync: false,
      })),
      pace,
    );
  }

  statSingles(remotes: string[], pace: Pace): Promise<Work> {
    return byThreads(remotes.map((remote) => ({ kind: "stat", path: this.#path(remote) })), pace);
  }

  async fillNames(remotes: string[], pace: Pace): Promise<Work> {
    await this.#placesFor(remotes);
    return await byThreads(
      remotes.map((remote) => ({ kind: "make", path: this.#path(remote) })),
      pace,
    );
  }

  async list(remote: string): Promise<number> {
    const told = await runTool(["ls", "-U", this.#path(remote)]);
    return told.split("\n").length - 1;
  }

  removeTree(remote: string, files: string[]): Promise<Work> {
    return wholeWork(files.length, () => runTool(["rm", "-r", this.#path(remote)]));
  }

  /** A new mount has nothing in its caches, nor has the kernel for it. */
  async forget(): Promise<void> {
    await this.#unmount();
    await this.#startMount();
  }

  async replaceServer(): Promise<void> {
    const lost = SERVERS.length;
    await this.processes.stop(`chunkserver-${lost}`, "SIGKILL");
    rmSync(this.#data(lost), { recursive: true });
    this.#startServer(lost);
  }

  async isWhole(bytes: number): Promise<boolean> {
    const told = await runTool(["du", "-sb", this.#data(SERVERS.length)], { allow: 1 });
    return Number(told.split("\t")[0]) >= bytes;
  }

  async stop(): Promise<void> {
    await this.#unmount();
    await this.processes.stopAll("SIGKILL");
    if (this.#hasNamespace) await runTool(["ip", "netns", "del", this.#namespace]);
    this.#hasNamespace = false;
  }

  get #mount(): string {
    return join(this.#directory, "mount");
  }

  /** Not "ip netns exec": it makes mounts of its own, which nobody else would see. */
  get #enter(): string[] {
    return ["nsenter", `--net=/run/netns/${this.#namespace}`];
  }

  #path(remote: string): string {
    return join(this.#mount, remote);
  }

  #data(n: number): string {
    return join(this.#directory, `disk-${n}`);
  }

  async #placeFor(remote: string): Promise<string> {
    await this.#placesFor([remote]);
    return this.#path(remote);
  }

  async #placesFor(remotes: string[]): Promise<void> {
    const directories = [...new Set(remotes.map((remote) => dirname(this.#path(remote))))];
    await forEachLimited(directories, COPIES_AT_ONCE, async (directory) => {
      await Bun.sleep(0);
      mkdirSync(directory, { recursive: true });
    });
  }

  async #makeNamespace(): Promise<void> {
    const name = this.#namespace;
    await runTool(["ip", "netns", "add", name]);
    this.#hasNamespace = true;
    const ip = (...args: string[]) => runTool(["ip", "-n", name, ...args]);
    await ip("link", "add", "inner", "type", "veth", "peer", "name", "outer");
    await ip("addr", "add", `${ADDRESS}/24`, "dev", "inner");
    for (const link of ["lo", "inner", "outer"]) await ip("link", "set", link, "up");
  }

  #run(name: string, command: string[]): void {
    const env = { LD_LIBRARY_PATH: libraries(this.#root) };
    this.processes.start(name, [...this.#enter, ...command], { env });
  }

  #startMaster(): void {
    const data = join(this.#directory, "master");
    mkdirSync(data);
    copyFileSync(
      join(this.#root, "var/lib/mfs/metadata.mfs.empty"),
      join(data, "metadata.mfs"),
    );
    const exports = join(this.#directory, "exports.cfg");
    writeFileSync(exports, "* / rw,alldirs,admin,maproot=0:0\n");
    const config = this.#config("master", {
      ...COMMON,
      DATA_PATH: data,
      EXPORTS_FILENAME: exports,
      // Repair begins at once, as soon as it is seen.
      REPLICATIONS_DELAY_INIT: "0",
      CHUNKS_LOOP_MIN_TIME: "60",
      CHUNKS_WRITE_REP_LIMIT: "40,20,20,20",
      CHUNKS_READ_REP_LIMIT: "40,20,20,20",
    });
    this.#run("master", [join(this.#root, "usr/sbin/mfsmaster"), "-f", "-c", config, "start"]);
  }

  #startServer(n: number): void {
    const disks = join(this.#directory, `disks-${n}.cfg`);
    const own = join(this.#directory, `chunkserver-${n}`);
    mkdirSync(this.#data(n));
    mkdirSync(own, { recursive: true });
    writeFileSync(disks, `${this.#data(n)}\n`);
    const config = this.#config(`chunkserver-${n}`, {
      ...COMMON,
      DATA_PATH: own,
      HDD_CONF_FILENAME: disks,
      HDD_LEAVE_SPACE_DEFAULT: "64MiB",
      HDD_FSYNC_BEFORE_CLOSE: this.#synced ? "1" : "0",
      MASTER_HOST: ADDRESS,
      MASTER_RECONNECTION_DELAY: "1",
      CSSERV_LISTEN_PORT: String(CHUNKSERVER_PORT + n),
    });
    const program = join(this.#root, "usr/sbin/mfschunkserver");
    this.#run(`chunkserver-${n}`, [program, "-f", "-c", config, "start"]);
  }

  async #startMount(): Promise<void> {
    const program = join(this.#root, "usr/bin/mfsmount");
    const options = ["-o", "mfsnice=0"];
    // It ends when the master does not answer yet.
    const endMs = performance.now() + START_MS;
    while (!await isMounted(this.#mount)) {
      if (performance.now() > endMs) throw new Error("the master takes no mount");
      if (!this.processes.lives("mount")) {
        await this.processes.stop("mount");
        this.processes.mustLive();
        this.#run("mount", [program, "-f", "-H", ADDRESS, ...options, this.#mount]);
      }
      await Bun.sleep(20);
    }
    this.#mounted = true;
  }

  async #unmount(): Promise<void> {
    if (!this.#mounted) return;
    this.#mounted = false;
    // Lazily: after a failure something may still be at work in it.
    await runTool(["umount", "--lazy", this.#mount]);
    await this.processes.stop("mount");
  }

  /** Three copies of all, and no trash; waits until a file gets them. */
  async #setGoal(): Promise<void> {
    const env = { LD_LIBRARY_PATH: libraries(this.#root) };
    // They speak with the mount through the loopback of the namespace.
    const tool = (name: string, ...args: string[]) => {
      const command = [...this.#enter, join(this.#root, "usr/bin", name), ...args];
      return runTool(command, { env, timeoutMs: TOOL_MS });
    };
    await tool("mfssetgoal", String(SERVERS.length), this.#mount);
    await tool("mfssettrashtime", "0", this.#mount);
    const probe = this.#path("probe");
    await this.processes.until("a file gets 3 copies", async () => {
      rmSync(probe, { force: true });
      writeFileSync(probe, "probe");
      const told = await tool("mfscheckfile", probe);
      return new RegExp(`chunks with ${SERVERS.length} copies: +1`).test(told);
    });
    rmSync(probe);
  }

  #config(name: string, values: Record<string, string>): string {
    const path = join(this.#directory, `${name}.cfg`);
    const lines = Object.entries(values).map(([key, value]) => `${key} = ${value}\n`);
    writeFileSync(path, lines.join(""));
    return path;
  }
}

/** Others run at an ordinary priority, too. */
const COMMON = { WORKING_USER: "root", WORKING_GROUP: "root", NICE_LEVEL: "0" };

async function packages(): Promise<string> {
  const own = Bun.which("fusermount3") === null ? ["libfuse3-3", "fuse3"] : ["libfuse3-3"];
  return await debianPackages("moosefs", [...PACKAGES, ...own]);
}

function libraries(root: string): string {
  return ["usr/lib/x86_64-linux-gnu", "lib/x86_64-linux-gnu"].map((path) => join(root, path))
    .join(":");
}

async function isMounted(path: string): Promise<boolean> {
  const text = await Bun.file("/proc/self/mounts").text();
  return text.split("\n").some((line) => line.split(" ")[1] === path);
}

async function copyBy(tool: string, from: string, to: string, sync: boolean): Promise<void> {
  const script = sync ? `${tool} "$1" "$2" && sync "$2"` : `${tool} "$1" "$2"`;
  await runTool(["sh", "-c", script, "sh", from, to]);
}
