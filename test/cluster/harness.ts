/**
 * A real cluster of processes from the compiled binary, on free ports, in a temporary directory of
 * its own. Everything that it starts it ends, by the process it holds.
 */
import {
  closeSync,
  existsSync,
  ftruncateSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  writeSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import type { ClusterStatus } from "../../src/wire/cluster.ts";

export const BINARY = resolve(process.env["TYDFS_BINARY"] ?? "dist/tydfs");
export const MIB = 2 ** 20;

/** The outcome of one command. */
export interface Outcome {
  exit: number;
  stdout: string;
  stderr: string;
}

export interface ClusterOptions {
  keepers?: number;
  /** Further arguments of the master. */
  masterArgs?: string[];
  /** Environment of every role: settings as TYDFS_<KEY>. */
  env?: Record<string, string>;
  /** Where "master", "keeper-K" and "client" run; all on this machine's loopback unless given. */
  place?: (who: string) => Place;
}

/** A host of its own: the words that go before a command that is to run there, and its address. */
export interface Place {
  enter: string[];
  address: string;
}

export interface RunOptions {
  env?: Record<string, string>;
  stdin?: Uint8Array | Blob | ReadableStream<Uint8Array>;
  cwd?: string;
  timeoutMs?: number;
}

type Process = Bun.Subprocess<"ignore", number, number>;
type Command = Bun.Subprocess<Bun.Spawn.Writable, "pipe", "pipe">;

/** Short times, so that a test sees in seconds what takes minutes in life. */
const FAST: Record<string, string> = {
  TYDFS_SUSPECT_AFTER: "1500ms",
  TYDFS_DEAD_AFTER: "3s",
  TYDFS_REPAIR_DELAY: "1s",
  TYDFS_MAINTENANCE_WINDOW: "1s",
  TYDFS_TRASH_TTL: "1s",
  TYDFS_GRACE: "1s",
  TYDFS_UPLOAD_LEASE: "3s",
  TYDFS_RESERVE: "64MiB",
};

export class TestCluster {
  readonly dir = mkdtempSync(join(tmpdir(), "tydfs-test-"));
  readonly #env: Record<string, string>;
  readonly #masterArgs: string[];
  readonly #place: (who: string) => Place;
  readonly #keepers = new Map<number, Process>();
  readonly #others = new Set<Command>();
  #master: Process | undefined;
  #clientUrl = "";
  #port = "0";

  /** A cluster of which nothing runs yet. */
  constructor(options: ClusterOptions = {}) {
    this.#env = { ...FAST, ...options.env };
    this.#masterArgs = options.masterArgs ?? [];
    this.#place = options.place ?? (() => ({ enter: [], address: "127.0.0.1" }));
  }

  /** Starts a master and `keepers` keepers (3), all registered and alive. */
  static async start(options: ClusterOptions = {}): Promise<TestCluster> {
    const cluster = new TestCluster(options);
    try {
      await cluster.startMaster();
      const keepers = options.keepers ?? 3;
      await Promise.all(Array.from({ length: keepers }, (_, n) => cluster.startKeeper(n + 1)));
      await cluster.untilAlive(keepers);
      return cluster;
    } catch (error) {
      await cluster.stop();
      throw error;
    }
  }

  /** The URL of clients; while the master is away, the one that it had. */
  get clientUrl(): string {
    const path = join(this.masterDir, "join.client");
    if (existsSync(path)) this.#clientUrl = readFileSync(path, "utf8").trim() || this.#clientUrl;
    return this.#clientUrl;
  }

  get keeperUrl(): string {
    return readFileSync(join(this.masterDir, "join.keeper"), "utf8").trim();
  }

  get masterDir(): string {
    return join(this.dir, "master");
  }

  get masterPid(): number {
    return this.#master?.pid ?? 0;
  }

  keeperPid(k: number): number {
    return this.#keepers.get(k)?.pid ?? 0;
  }

  keeperDir(k: number): string {
    return join(this.dir, `keeper-${k}`);
  }

  /** The text of a role's log so far. */
  log(role: string): string {
    return readFileSync(join(this.dir, `${role}.log`), "utf8");
  }

  async startMaster(env: Record<string, string> = {}, more: string[] = []): Promise<void> {
    const fixed = ["master", "--data", this.masterDir, "--port", this.#port];
    const args = [...fixed, ...this.#masterArgs, ...more];
    const master = this.#spawnRole("master", args, env);
    this.#master = master;
    const join_ = join(this.masterDir, "join.client");
    rmSync(join_, { force: true });
    await until("the master is ready", () => {
      this.#mustLive("master", master);
      return existsSync(join_);
    });
    this.#port = new URL(this.clientUrl.replace("tydfs:", "http:")).port;
  }

  async startKeeper(k: number, env: Record<string, string> = {}): Promise<void> {
    const ready = join(this.keeperDir(k), "ready");
    rmSync(ready, { force: true });
    const args = ["keeper", "--data", this.keeperDir(k), "--name", `keeper-${k}`, "--port", "0"];
    const keeper = this.#spawnRole(`keeper-${k}`, args, { TYDFS_URL: this.keeperUrl, ...env });
    this.#keepers.set(k, keeper);
    await until(`keeper ${k} is ready`, () => {
      this.#mustLive(`keeper-${k}`, keeper);
      return existsSync(ready);
    });
  }

  /** Ends the master; resolves when it is gone. */
  async killMaster(signal: NodeJS.Signals = "SIGKILL"): Promise<number> {
    return await end(this.#master, signal);
  }

  /** Ends keeper `k`; resolves when it is gone. */
  async killKeeper(k: number, signal: NodeJS.Signals = "SIGKILL"): Promise<number> {
    const exit = await end(this.#keepers.get(k), signal);
    this.#keepers.delete(k);
    return exit;
  }

  /** Sends a signal to the master without waiting for its end. */
  signalMaster(signal: NodeJS.Signals): void {
    this.#master?.kill(signal);
  }

  /** Resolves with the exit status when the master has ended, by itself or not. */
  async masterEnd(): Promise<number> {
    return await this.#master?.exited ?? 0;
  }

  /** Resolves with the exit status when keeper `k` has ended, by itself or not. */
  async keeperEnd(k: number): Promise<number> {
    return await this.#keepers.get(k)?.exited ?? 0;
  }

  /** Sends a signal to keeper `k` without waiting for its end (SIGSTOP, SIGCONT). */
  signalKeeper(k: number, signal: NodeJS.Signals): void {
    this.#keepers.get(k)?.kill(signal);
  }

  /** Runs one command to its end. */
  async run(args: string[], options: RunOptions = {}): Promise<Outcome> {
    return await this.#outcome(this.spawn(args, options), options.timeoutMs ?? 120_000);
  }

  async #outcome(
    child: Bun.Subprocess<Bun.Spawn.Writable, "pipe", "pipe">,
    timeoutMs: number,
  ): Promise<Outcome> {
    const timer = setTimeout(() => child.kill("SIGKILL"), timeoutMs);
    const [stdout, stderr, exit] = await Promise.all([
      new Response(child.stdout).text(),
      new Response(child.stderr).text(),
      child.exited,
    ]);
    clearTimeout(timer);
    return { exit, stdout, stderr };
  }

  /** Runs a role that is to end by itself. */
  async role(args: string[]): Promise<Outcome> {
    const child = Bun.spawn([BINARY, ...args], {
      cwd: this.dir,
      env: { ...process.env, ...this.#env },
      stdin: "ignore",
      stdout: "pipe",
      stderr: "pipe",
    });
    return await this.#outcome(child, 20_000);
  }

  /** Runs one command that must succeed; returns its stdout. */
  async ok(...args: string[]): Promise<string> {
    const outcome = await this.run(args);
    if (outcome.exit !== 0) {
      throw new Error(`tydfs ${args.join(" ")} → ${outcome.exit}: ${outcome.stderr}`);
    }
    return outcome.stdout;
  }

  /** Starts one command and leaves it running. */
  spawn(args: string[], options: RunOptions = {}): Command {
    const child = Bun.spawn([...this.#place("client").enter, BINARY, ...args], {
      cwd: options.cwd ?? this.dir,
      env: { ...process.env, TYDFS_URL: this.clientUrl, ...options.env },
      stdin: options.stdin ?? "ignore",
      stdout: "pipe",
      stderr: "pipe",
    });
    this.#others.add(child);
    void child.exited.then(() => this.#others.delete(child));
    return child;
  }

  async status(): Promise<ClusterStatus> {
    return JSON.parse(await this.ok("status", "--json")) as ClusterStatus;
  }

  /** Waits until `count` keepers are ALIVE. */
  async untilAlive(count: number): Promise<void> {
    await this.untilStatus(
      `${count} keepers are alive`,
      (status) => status.keepers.filter((keeper) => keeper.state === "ALIVE").length === count,
    );
  }

  async untilStatus(what: string, test: (status: ClusterStatus) => boolean): Promise<void> {
    await until(what, async () => test(await this.status()));
  }

  /** A file of `sizeBytes` random bytes in the cluster's directory; returns its path. */
  file(name: string, sizeBytes: number): string {
    const path = join(this.dir, name);
    const fd = openSync(path, "w");
    for (let at = 0; at < sizeBytes; at += 65_536) {
      writeSync(fd, crypto.getRandomValues(new Uint8Array(65_536)));
    }
    ftruncateSync(fd, sizeBytes);
    closeSync(fd);
    return path;
  }

  /** Paths of the replicas of all chunks on keeper `k`'s disk. */
  replicas(k: number): string[] {
    const root = join(this.keeperDir(k), "chunks");
    if (!existsSync(root)) return [];
    const names = [...new Bun.Glob("*/*/*").scanSync({ cwd: root })];
    return names.filter((name) => /\/[0-9a-f]{32}$/.test(name)).map((name) => join(root, name));
  }

  /** Ends all that runs and removes the directory. */
  async stop(): Promise<void> {
    for (const child of this.#others) await end(child, "SIGKILL");
    for (const k of [...this.#keepers.keys()]) {
      this.signalKeeper(k, "SIGCONT");
      await this.killKeeper(k);
    }
    // The master goes in good order, so that its nats-server goes with it.
    if (this.#master?.exitCode === null) await end(this.#master, "SIGTERM");
    rmSync(this.dir, { recursive: true, force: true });
  }

  #spawnRole(role: string, args: string[], env: Record<string, string>): Process {
    mkdirSync(this.dir, { recursive: true });
    const log = openSync(join(this.dir, `${role}.log`), "a");
    const { enter, address } = this.#place(role);
    return Bun.spawn([...enter, BINARY, ...args, "--host", address], {
      cwd: this.dir,
      env: { ...process.env, ...this.#env, ...env },
      stdin: "ignore",
      stdout: log,
      stderr: log,
    });
  }

  #mustLive(role: string, child: Process): void {
    if (child.exitCode === null && child.signalCode === null) return;
    throw new Error(`${role} ended with ${child.exitCode}: ${this.log(role).slice(-2000)}`);
  }
}

/** Waits until `condition` holds; fails by name when it does not within `withinMs`. */
export async function until(
  what: string,
  condition: () => boolean | Promise<boolean>,
  withinMs = 30_000,
): Promise<void> {
  const endMs = performance.now() + withinMs;
  while (!(await condition())) {
    if (performance.now() > endMs) throw new Error(`Waited ${withinMs} ms in vain: ${what}`);
    await Bun.sleep(50);
  }
}

/** Whether two files have the same bytes. */
export async function sameBytes(left: string, right: string): Promise<boolean> {
  const [a, b] = [Bun.file(left), Bun.file(right)];
  if (a.size !== b.size) return false;
  for (let at = 0; at < a.size; at += 16 * MIB) {
    const [x, y] = await Promise.all([a, b].map((file) => file.slice(at, at + 16 * MIB).bytes()));
    if (x === undefined || y === undefined || Buffer.compare(x, y) !== 0) return false;
  }
  return true;
}

async function end(child: Process | Command | undefined, signal: NodeJS.Signals): Promise<number> {
  if (child === undefined) return 0;
  if (child.exitCode === null && child.signalCode === null) child.kill(signal);
  const timer = setTimeout(() => child.kill("SIGKILL"), 15_000);
  const exit = await child.exited;
  clearTimeout(timer);
  return exit;
}
