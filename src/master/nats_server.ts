/**
 * The embedded nats-server: unpacked, configured, started, watched. When it dies it is started
 * again on the same port, and all roles reconnect. One that a killed master left behind is ended
 * first: it would hold the port, and its clients.
 */
import { chmodSync, existsSync, mkdirSync, renameSync, statSync } from "node:fs";
import { basename, join } from "node:path";
import { MIB } from "../base/bytes.ts";
import type { Clock } from "../base/clock.ts";
import { backoffMs } from "../base/limit.ts";
import type { Log } from "../base/log.ts";
import { writeFleeting } from "../base/private_file.ts";
import type { Random } from "../base/random.ts";
import { randomHex } from "../base/random.ts";
import { TydfsError } from "../wire/errors.ts";
import { findText, removeFile } from "./data_dir.ts";
import { natsConfig } from "./nats_config.ts";
import { logNatsLines } from "./nats_log.ts";
import { probeNats } from "./nats_probe.ts";
import { endProcess, processArguments, processesWith } from "./process.ts";

const READY_MS = 10_000;
const PROBE_MS = 1_000;
const POLL_MS = 15;
/** Time in which it says that it is ready; after that its port is tried. */
const SAID_MS = 200;
const STOP_MS = 5_000;
const COMPARED_BYTES = 2 * MIB;
/** Deaths in a row, each sooner than `STEADY_MS` after its start, after which it is given up. */
const DEATHS_MAX = 8;
const STEADY_MS = 60_000;

export interface NatsServerOptions {
  /** The master's data directory. */
  root: string;
  cluster: string;
  clusterKey: string;
  /** The keepers' secret, where it is not the one that the key gives. */
  keeperSecret?: string;
  host: string;
  /** 0 takes a free port. */
  port: number;
  /** The executable that this binary carries; without it `nats-server` is looked for on PATH. */
  embedded: Blob | undefined;
  clock: Clock;
  random: Random;
  log: Log;
  /** It dies again and again: the master can't go on. */
  onGiveUp: (error: TydfsError) => void;
}

/** A nats-server that runs under this process. */
export class NatsServer {
  readonly port: number;
  /** Its version, e.g. `2.15.1`. */
  readonly version: string;
  readonly #options: NatsServerOptions;
  readonly #launch: Launch;
  #child: Child;
  #stopping = false;

  private constructor(options: NatsServerOptions, launch: Launch, child: Child, version: string) {
    this.#options = options;
    this.#launch = launch;
    this.#child = child;
    this.port = launch.port;
    this.version = version;
    void this.#supervise();
  }

  /**
   * Starts it. Throws `local` when there is no executable, when its port is taken, or when it does
   * not come up.
   */
  static async start(options: NatsServerOptions): Promise<NatsServer> {
    const { root, clock } = options;
    const host = bareHost(options.host);
    const executable = await findExecutable(root, options.embedded);
    const configPath = join(root, "nats.conf");
    const pidPath = join(root, "nats.pid");
    await endStale(options, configPath, pidPath);
    const port = options.port === 0 ? findFreePort(host) : options.port;
    await checkPortFree(clock, host, port);
    const serverName = `tydfs-${options.cluster}-${randomHex(options.random, 4)}`;
    writeFleeting(configPath, natsConfig({ ...options, host, port, serverName }));
    const launch = { executable, configPath, pidPath, host, port, serverName };
    const { child, version } = await launchServer(options, launch);
    return new NatsServer(options, launch, child, version);
  }

  /** The process's id, as long as it runs. */
  get pid(): number {
    return this.#child.pid;
  }

  /** Ends it; safe to call again. */
  async stop(): Promise<void> {
    this.#stopping = true;
    await endProcess(this.#options.clock, this.#child.pid, STOP_MS);
    await this.#child.exited;
    removeFile(this.#launch.pidPath);
  }

  /** Waits for its death, and starts it again unless it was asked to stop. */
  async #supervise(): Promise<void> {
    const { clock, log } = this.#options;
    let deaths = 0;
    while (!this.#stopping) {
      const startedMs = clock.monotonicMs();
      await this.#child.exited;
      if (this.#stopping) return;
      deaths = clock.monotonicMs() - startedMs > STEADY_MS ? 1 : deaths + 1;
      log.error("The nats-server has died", { ended: statusOf(this.#child), deaths });
      if (!await this.#relaunch(deaths)) return;
      log.info("The nats-server runs again", { port: this.port });
    }
  }

  /** Whether it runs again: false when it was stopped meanwhile, or given up. */
  async #relaunch(deaths: number): Promise<boolean> {
    const { clock, random, log, onGiveUp } = this.#options;
    for (let tries = deaths; tries <= DEATHS_MAX; tries++) {
      // The first restart is at once: roles wait for it.
      if (tries > 1) {
        await clock.sleep(backoffMs(tries - 2, { firstMs: 200, maxMs: 5_000 }, random));
      }
      if (this.#stopping) return false;
      try {
        const { child } = await launchServer(this.#options, this.#launch);
        this.#child = child;
        // It may have been told to stop between launch and here.
        if (this.#stopping) await this.stop();
        return !this.#stopping;
      } catch (error) {
        log.error("Cannot start the nats-server again", { error });
      }
    }
    const message = `The nats-server on port ${this.port} died ${DEATHS_MAX} times in a row`;
    onGiveUp(new TydfsError("internal", message));
    return false;
  }
}

type Child = Bun.Subprocess<"ignore", "ignore", "pipe">;

interface Launch {
  executable: string;
  configPath: string;
  pidPath: string;
  host: string;
  port: number;
  serverName: string;
}

/** The address at which this machine reaches a server that listens on `host`. */
export function localHost(host: string): string {
  return isWildcard(host) ? "127.0.0.1" : bareHost(host);
}

/** Whether listening on `host` means all addresses. */
export function isWildcard(host: string): boolean {
  return ["", "0.0.0.0", "::", "[::]"].includes(host);
}

/** A host as sockets take it: IPv6 without brackets. */
function bareHost(host: string): string {
  return host.replace(/^\[|\]$/g, "");
}

async function launchServer(
  options: NatsServerOptions,
  launch: Launch,
): Promise<{ child: Child; version: string }> {
  const { clock, log } = options;
  // Detached: Ctrl-C on a terminal goes to the master alone, which ends it after the roles.
  const child = Bun.spawn([launch.executable, "-c", launch.configPath], {
    stdio: ["ignore", "ignore", "pipe"],
    detached: true,
  });
  const lastLines: string[] = [];
  const said = Promise.withResolvers<void>();
  void logNatsLines(child.stderr, log, lastLines, said.resolve);
  writeFleeting(launch.pidPath, `${child.pid}\n`);
  const deadlineMs = clock.monotonicMs() + READY_MS;
  const address = { host: localHost(launch.host), port: launch.port };
  // What it says of itself comes first; its words may change, and so its port is tried, too.
  await Promise.race([said.promise, child.exited, clock.sleep(SAID_MS)]);
  while (clock.monotonicMs() < deadlineMs && child.exitCode === null && !child.killed) {
    const facts = await probeNats(clock, address, PROBE_MS);
    if (facts?.serverName === launch.serverName) return { child, version: facts.version };
    await clock.sleep(POLL_MS);
  }
  const state = child.exitCode === null
    ? `it does not answer on port ${launch.port} within ${READY_MS} ms`
    : `it ended with ${statusOf(child)}`;
  await endProcess(clock, child.pid, STOP_MS);
  const last = lastLines.length === 0 ? "" : `; it said: ${lastLines.join(" | ")}`;
  throw new TydfsError("local", `Cannot start the nats-server: ${state}${last}`);
}

/** Where the executable lies: unpacked from this binary into the data directory, or on PATH. */
async function findExecutable(root: string, embedded: Blob | undefined): Promise<string> {
  if (embedded === undefined) {
    const onPath = Bun.which("nats-server");
    if (onPath !== null) return onPath;
    throw new TydfsError(
      "local",
      "Cannot start: this tydfs carries no nats-server; put one on PATH, " +
        "or name a running one with --nats nats://HOST:PORT",
    );
  }
  const path = join(root, "bin", "nats-server");
  if (await isSameFile(path, embedded)) return path;
  mkdirSync(join(root, "bin"), { recursive: true, mode: 0o700 });
  const temporary = `${path}.new`;
  removeFile(temporary);
  await Bun.write(temporary, embedded);
  chmodSync(temporary, 0o755);
  renameSync(temporary, path);
  return path;
}

async function isSameFile(path: string, embedded: Blob): Promise<boolean> {
  if (!existsSync(path) || statSync(path).size !== embedded.size) return false;
  // Piece by piece: the whole would stay in this process's memory for long.
  const file = Bun.file(path);
  for (let from = 0; from < embedded.size; from += COMPARED_BYTES) {
    const pieces = [file, embedded].map((one) => one.slice(from, from + COMPARED_BYTES).bytes());
    const [found, wanted] = await Promise.all(pieces);
    if (found === undefined || wanted === undefined || Buffer.compare(found, wanted) !== 0) {
      return false;
    }
  }
  return true;
}

/**
 * Ends the nats-server that a killed master of this data directory has left behind; also when the
 * directory was wiped since.
 */
async function endStale(
  options: NatsServerOptions,
  configPath: string,
  pidPath: string,
): Promise<void> {
  const text = findText(pidPath);
  const pids = text === undefined ? processesWith(configPath) : [Number(text.trim())];
  for (const pid of pids) {
    const words = Number.isSafeInteger(pid) && pid > 1 ? processArguments(pid) : [];
    // A pid that another process has by now is known by its arguments, and left alone.
    if (basename(words[0] ?? "") !== "nats-server" || !words.includes(configPath)) continue;
    options.log.warn("Ending the nats-server that an earlier master has left", { pid });
    await endProcess(options.clock, pid, STOP_MS);
  }
  removeFile(pidPath);
}

function findFreePort(host: string): number {
  const listener = Bun.listen({ hostname: host, port: 0, socket: { data() {} } });
  const { port } = listener;
  listener.stop(true);
  return port;
}

/** Throws `local` that names the port when something else listens on it. */
async function checkPortFree(clock: Clock, host: string, port: number): Promise<void> {
  try {
    Bun.listen({ hostname: host, port, socket: { data() {} } }).stop(true);
  } catch (cause) {
    const found = await probeNats(clock, { host: localHost(host), port }, PROBE_MS);
    const who = found === undefined ? "" : ` (a nats-server ${found.version} runs there)`;
    const words = cause instanceof Error ? cause.message : String(cause);
    throw new TydfsError(
      "local",
      `Cannot listen on ${host}:${port}${who}: ${words}; ` +
        `stop what has the port, or choose another with --port (0 takes a free one)`,
      { cause },
    );
  }
}

function statusOf(child: Child): string {
  return `status ${child.signalCode ?? child.exitCode}`;
}
