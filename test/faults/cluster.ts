/**
 * A real cluster of processes from the compiled binary, each role on a host of its own, under a
 * supervisor: what is killed is started again after a short pause, as systemd would, and what ends
 * by itself is a violation (I16).
 */
import { existsSync, mkdirSync, openSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { Random } from "../../src/base/random.ts";
import type { EventLog } from "./event_log.ts";
import type { FakeClocks } from "./fake_clock.ts";
import type { Host, Hosts } from "./hosts.ts";
import { PATH } from "./hosts.ts";
import { Violation } from "./violation.ts";

type Process = Bun.Subprocess<"ignore", number, number>;

/** Short times, so that a minute holds what takes days in life. */
export const SETTINGS: Readonly<Record<string, string>> = {
  TYDFS_SUSPECT_AFTER: "1500ms",
  TYDFS_DEAD_AFTER: "4s",
  TYDFS_REPAIR_DELAY: "2s",
  TYDFS_MAINTENANCE_WINDOW: "2s",
  TYDFS_TRASH_TTL: "8s",
  TYDFS_GRACE: "5s",
  TYDFS_UPLOAD_LEASE: "5s",
  TYDFS_UPLOAD_TTL: "8s",
  TYDFS_UNKNOWN_GRACE: "5s",
  TYDFS_INVENTORY_PERIOD: "10s",
  TYDFS_SCRUB_PERIOD: "20s",
  TYDFS_SCRUB_BANDWIDTH: "0",
  TYDFS_SNAPSHOT_PERIOD: "5s",
  TYDFS_RESERVE: "16MiB",
  TYDFS_CHUNK_SIZE: "16MiB",
  TYDFS_LOG_FORMAT: "text",
};

/** Pauses before what has died is started again, at most. */
const PAUSE_MS = 1_500;
const NATS_PORT = 4222;
/** What a role may have open at rest, and take at any time. */
const DESCRIPTORS_MAX = 400;
const MEMORY_MAX = 2 ** 30;

/** A process that is kept running. */
export interface Role {
  readonly name: string;
  readonly host: Host;
  readonly dir: string;
  readonly args: string[];
  process: Process | undefined;
  /** It is not started again, however it ends. */
  held: boolean;
  /** Its end is what the nemesis wants. */
  doomed: boolean;
  /** Another keeper may have its directory: then it is refused. */
  contested: boolean;
  /** Failpoints of its present life. */
  armed: string;
  /** The most memory that was seen, bytes. */
  peakBytes: number;
  /** Files that it had open at each rest. */
  readonly descriptors: number[];
}

export interface ClusterOptions {
  binary: string;
  dir: string;
  hosts: Hosts;
  keepers: number;
  log: EventLog;
  random: Random;
  /** Clocks that can be set, where wanted. */
  clocks: FakeClocks | undefined;
  /** Failpoints for the next life of a role; empty: none. */
  chooseFailpoint(role: Role): string;
  /** A role has ended by itself. */
  onViolation(violation: Violation): void;
}

export class ChaosCluster {
  readonly options: ClusterOptions;
  readonly client: Host;
  readonly master: Role;
  readonly keepers: Role[];
  #port = "0";
  #replaced = 0;
  /** Nothing is started any more. */
  #ended = false;

  constructor(options: ClusterOptions) {
    this.options = options;
    this.client = options.hosts.add("c");
    this.master = this.#makeRole("master", "m", ["master"]);
    this.keepers = Array.from({ length: options.keepers }, (_, n) => this.#makeKeeper(n + 1));
  }

  get roles(): Role[] {
    return [this.master, ...this.keepers];
  }

  get clientUrl(): string {
    return this.#joinLine("client");
  }

  get keeperUrl(): string {
    return this.#joinLine("keeper");
  }

  /** Starts all; resolves when the master has written its join lines. */
  async start(): Promise<void> {
    this.startRole(this.master);
    const path = join(this.master.dir, "join.client");
    for (let tries = 0; !existsSync(path); tries++) {
      if (tries > 400) throw new Error("The master does not start");
      await Bun.sleep(50);
    }
    this.#port = new URL(this.clientUrl.replace("tydfs:", "http:")).port;
    for (const keeper of this.keepers) this.startRole(keeper);
  }

  /** Starts a role that does not run. */
  startRole(role: Role, armed = ""): void {
    if (this.#ended || role.process !== undefined) return;
    mkdirSync(role.dir, { recursive: true });
    const { binary, hosts, dir, log, clocks } = this.options;
    const fd = openSync(join(dir, `${role.name}.log`), "a");
    const isMaster = role === this.master;
    const before = [...hosts.enter(role.host), ...clocks?.enter(role.name) ?? []];
    const child = Bun.spawn([...before, binary, ...this.#argsOf(role)], {
      cwd: dir,
      env: {
        ...process.env,
        ...SETTINGS,
        PATH,
        TYDFS_FAILPOINTS: armed,
        // Only there each compaction is told of.
        ...(isMaster ? { TYDFS_LOG_LEVEL: "debug" } : {}),
        ...(isMaster ? {} : { TYDFS_URL: this.#joinLine("keeper") }),
      },
      stdin: "ignore",
      stdout: fd,
      stderr: fd,
    });
    Object.assign(role, { process: child, doomed: false, armed });
    log.note("start", { role: role.name, pid: child.pid, armed });
    void child.exited.then(() => this.#onEnd(role, child));
  }

  /** Kills a role; it comes back by itself after a pause unless it is held. */
  kill(role: Role, signal: NodeJS.Signals = "SIGKILL"): void {
    role.doomed = true;
    role.process?.kill(signal);
  }

  /** Ends a role and leaves it down until `release`. */
  async hold(role: Role, signal: NodeJS.Signals = "SIGKILL"): Promise<void> {
    role.held = true;
    const child = role.process;
    if (child === undefined) return;
    this.kill(role, signal);
    const timer = setTimeout(() => child.kill("SIGKILL"), 20_000);
    await child.exited;
    clearTimeout(timer);
  }

  /** Lets a held role run again, at once. */
  release(role: Role): void {
    role.held = false;
    this.startRole(role);
  }

  /** The process id of the nats-server, 0 while there is none. */
  get natsPid(): number {
    try {
      const pid = Number(readFileSync(join(this.master.dir, "nats.pid"), "utf8").trim());
      const words = readFileSync(`/proc/${pid}/cmdline`, "utf8");
      return words.includes("nats-server") && words.includes(this.master.dir) ? pid : 0;
    } catch {
      return 0;
    }
  }

  /** Starts a keeper of another name on the host and the directory of one that is down for good. */
  replaceKeeper(old: Role): Role {
    const name = `keeper-${this.options.keepers + ++this.#replaced}`;
    const role = { ...this.#makeRole(name, old.host.name, ["keeper"]), dir: old.dir };
    this.keepers.splice(this.keepers.indexOf(old), 1, role);
    this.startRole(role);
    return role;
  }

  /** Looks how much memory each role takes. */
  measure(): void {
    for (const role of this.roles) {
      const bytes = role.process === undefined ? 0 : residentBytes(role.process.pid);
      role.peakBytes = Math.max(role.peakBytes, bytes);
    }
  }

  /** Counts the files that each role has open now. Throws when these, or memory, have grown. */
  noteDescriptors(): void {
    for (const { name, process: child, descriptors, peakBytes } of this.roles) {
      const files = child === undefined ? 0 : openFiles(child.pid);
      descriptors.push(files);
      if (files <= DESCRIPTORS_MAX && peakBytes <= MEMORY_MAX) continue;
      const words = `"${name}" has ${files} files open, and had ${peakBytes} bytes of memory`;
      throw new Violation("I16", words);
    }
  }

  /** Ends all, the master in good order so that its nats-server goes with it. */
  async stop(): Promise<void> {
    this.#ended = true;
    for (const role of [...this.keepers, this.master]) {
      role.process?.kill("SIGCONT");
      await this.hold(role, role === this.master ? "SIGTERM" : "SIGKILL");
    }
    const pid = this.natsPid;
    if (pid > 0) process.kill(pid, "SIGKILL");
  }

  /** What the masters' log tells of compactions: how many, and of how many packs. */
  get compactions(): { times: number; packs: number } {
    const text = readFileSync(join(this.options.dir, `${this.master.name}.log`), "utf8");
    const packs = [...text.matchAll(/Compacted packs into one .*?packs=(\d+)/g)];
    return { times: packs.length, packs: packs.reduce((sum, [, n]) => sum + Number(n), 0) };
  }

  /** The last lines of a role's log. */
  tail(role: Role, chars = 1500): string {
    return readFileSync(join(this.options.dir, `${role.name}.log`), "utf8").slice(-chars);
  }

  #onEnd(role: Role, child: Process): void {
    role.process = undefined;
    this.options.clocks?.forget(child.pid);
    const { log, random, onViolation, chooseFailpoint } = this.options;
    const ended = child.signalCode ?? child.exitCode;
    const planned = role.doomed || role.held || role.contested || this.#ended ||
      (role.armed !== "" && child.signalCode === "SIGKILL");
    log.note("end", { role: role.name, pid: child.pid, ended, planned, armed: role.armed });
    if (!planned) {
      const words = `"${role.name}" ended by itself with ${ended}`;
      onViolation(new Violation("I16", words, [this.tail(role)]));
    }
    if (role.held || this.#ended) return;
    setTimeout(() => {
      if (!role.held) this.startRole(role, chooseFailpoint(role));
    }, random.next() * PAUSE_MS);
  }

  #makeKeeper(number: number): Role {
    return this.#makeRole(`keeper-${number}`, `k${number}`, ["keeper"]);
  }

  #makeRole(name: string, hostName: string, args: string[]): Role {
    const host = this.options.hosts.add(hostName);
    return {
      name,
      host,
      dir: join(this.options.dir, name),
      args,
      process: undefined,
      held: false,
      doomed: false,
      contested: false,
      armed: "",
      peakBytes: 0,
      descriptors: [],
    };
  }

  #argsOf(role: Role): string[] {
    const place = ["--data", role.dir, "--host", role.host.address];
    const apart = this.options.hosts.kind === "netns";
    if (role === this.master) {
      return ["master", ...place, "--port", apart ? String(NATS_PORT) : this.#port];
    }
    return ["keeper", ...place, "--name", role.name, "--port", apart ? "7000" : "0"];
  }

  #joinLine(role: "client" | "keeper"): string {
    // The master takes its files away when it stops: what they said is still true.
    const path = join(this.master.dir, `join.${role}`);
    if (existsSync(path)) this.#joinLines.set(role, readFileSync(path, "utf8").trim());
    return this.#joinLines.get(role) ?? "";
  }

  readonly #joinLines = new Map<string, string>();
}

/** The memory of a process that is its own, bytes; 0 when it is gone. */
export function residentBytes(pid: number): number {
  try {
    const text = readFileSync(`/proc/${pid}/status`, "utf8");
    return Number(/^RssAnon:\s+(\d+) kB/m.exec(text)?.[1] ?? 0) * 1024;
  } catch {
    return 0;
  }
}

function openFiles(pid: number): number {
  try {
    return readdirSync(`/proc/${pid}/fd`).length;
  } catch {
    return 0;
  }
}
