/**
 * The processes of a system under measurement: started, watched and ended by the handles that this
 * bench holds, never by name. What they use is read from `/proc`.
 */
import { closeSync, openSync, readdirSync, readFileSync } from "node:fs";
import { basename, join } from "node:path";

const STOP_MS = 15_000;
/** Linux counts CPU time in hundredths of a second for every program, whatever its own clock is. */
const TICKS_PER_SECOND = 100;

/** Tools that run now. */
const tools = new Set<Bun.Subprocess>();

type Child = Bun.Subprocess<"ignore", number, number>;

export interface StartOptions {
  env?: Record<string, string>;
  cwd?: string;
}

export interface ProcessMemory {
  name: string;
  /** Resident, this process's share of it, and the most that was ever resident; in MB. */
  residentMb: number;
  proportionalMb: number;
  peakMb: number;
}

/** Processes with names of their own, logging to files of one directory. */
export class Processes {
  readonly #directory: string;
  readonly #running = new Map<string, Child>();
  #closed = false;

  constructor(directory: string) {
    this.#directory = directory;
  }

  /** Starts one; its output goes to `NAME.log`. */
  start(name: string, command: string[], options: StartOptions = {}): void {
    if (this.#closed) throw new Error(`Cannot start ${name}: the system is being stopped`);
    const log = openSync(join(this.#directory, `${name}.log`), "a");
    const child = Bun.spawn(command, {
      cwd: options.cwd ?? this.#directory,
      env: { ...process.env, ...options.env },
      stdin: "ignore",
      stdout: log,
      stderr: log,
    });
    closeSync(log);
    this.#running.set(name, child);
  }

  lives(name: string): boolean {
    const child = this.#running.get(name);
    return child !== undefined && child.exitCode === null && child.signalCode === null;
  }

  /** Throws with the end of its log when a process has ended by itself. */
  mustLive(): void {
    for (const [name, child] of this.#running) {
      if (child.exitCode === null && child.signalCode === null) continue;
      const log = readFileSync(join(this.#directory, `${name}.log`), "utf8");
      throw new Error(`${name} ended with ${child.exitCode}: ${lastLines(log)}`);
    }
  }

  /** Waits until `test` holds while all processes live; its errors count as "not yet". */
  async until(
    what: string,
    test: () => boolean | Promise<boolean>,
    withinMs = 60_000,
  ): Promise<void> {
    const endMs = performance.now() + withinMs;
    let last: unknown;
    for (;;) {
      try {
        if (await test()) return;
      } catch (error) {
        last = error;
      }
      this.mustLive();
      if (performance.now() > endMs) {
        throw new Error(`Waited ${withinMs / 1000} s in vain: ${what}`, { cause: last });
      }
      await Bun.sleep(20);
    }
  }

  /** Ends one; resolves when it is gone. */
  async stop(name: string, signal: NodeJS.Signals = "SIGTERM"): Promise<void> {
    const child = this.#running.get(name);
    if (child === undefined) return;
    const below = [...this.ids()].filter(([, other]) => other.startsWith(`${name}/`))
      .map(([pid]) => ({ pid, startedAt: startOf(pid) }));
    this.#running.delete(name);
    await endChild(child, signal);
    // What it has started should go with it, and does not always while it starts up itself.
    for (const { pid, startedAt } of below) {
      if (startedAt !== undefined && startOf(pid) === startedAt) process.kill(pid, "SIGKILL");
    }
  }

  /** Ends all, the latest first; none can be started any more. */
  async stopAll(signal: NodeJS.Signals = "SIGTERM"): Promise<void> {
    this.#closed = true;
    for (const name of [...this.#running.keys()].reverse()) await this.stop(name, signal);
  }

  /** The ids of all, with the processes that they have started themselves. */
  ids(): Map<number, string> {
    const ids = new Map<number, string>();
    for (const [name, { pid }] of this.#running) ids.set(pid, name);
    const parents = parentsOfAll();
    let grown = true;
    while (grown) {
      grown = false;
      for (const [pid, { parent, name }] of parents) {
        const above = ids.get(parent);
        if (above === undefined || ids.has(pid)) continue;
        ids.set(pid, `${above}/${name}`);
        grown = true;
      }
    }
    return ids;
  }

  memory(): ProcessMemory[] {
    return [...this.ids()].flatMap(([pid, name]) => memoryOf(pid, name) ?? []);
  }
}

/** CPU seconds that processes have used so far; those that are gone count nothing. */
export function cpuSecondsOf(pids: Iterable<number>): number {
  let ticks = 0;
  for (const pid of pids) {
    const fields = statFields(pid);
    if (fields !== undefined) ticks += Number(fields[11]) + Number(fields[12]);
  }
  return ticks / TICKS_PER_SECOND;
}

/** CPU seconds of this bench, which is the client of some systems, and of the tools it has run. */
export function ownCpuSeconds(): number {
  const fields = statFields(process.pid);
  const ticks = [11, 12, 13, 14].reduce((sum, at) => sum + Number(fields?.[at] ?? 0), 0);
  return ticks / TICKS_PER_SECOND;
}

export interface RunOptions extends StartOptions {
  timeoutMs?: number;
  /** An exit status besides 0 that is no failure. */
  allow?: number;
}

/** Runs a tool to its end; returns its stdout, and throws its stderr when it fails. */
export async function runTool(command: string[], options: RunOptions = {}): Promise<string> {
  const child = Bun.spawn(command, {
    env: { ...process.env, ...options.env },
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });
  tools.add(child);
  const timer = setTimeout(() => child.kill("SIGKILL"), options.timeoutMs ?? 10 * 60_000);
  const [stdout, stderr, exit] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ]);
  clearTimeout(timer);
  tools.delete(child);
  if (exit === 0 || exit === options.allow) return stdout;
  const said = lastLines(stderr.trim() === "" ? stdout : stderr);
  throw new Error(`${basename(command[0] ?? "")} ended with ${exit}: ${said}`);
}

/** Ends the tools that run now. */
export async function endTools(): Promise<void> {
  for (const tool of tools) tool.kill("SIGKILL");
  await Promise.all([...tools].map((tool) => tool.exited));
}

/** A TCP port that was free a moment ago. */
export function freePort(hostname = "127.0.0.1"): number {
  const server = Bun.listen({ hostname, port: 0, socket: { data: () => undefined } });
  const { port } = server;
  server.stop(true);
  return port;
}

async function endChild(child: Child, signal: NodeJS.Signals): Promise<void> {
  if (child.exitCode === null && child.signalCode === null) child.kill(signal);
  const timer = setTimeout(() => child.kill("SIGKILL"), STOP_MS);
  await child.exited;
  clearTimeout(timer);
}

/** Of `/proc/PID/stat` what stands behind the name: the state is field 0, then as proc(5) says. */
function statFields(pid: number): string[] | undefined {
  const text = readProc(pid, "stat");
  return text?.slice(text.lastIndexOf(")") + 2).split(" ");
}

/** When a process was started, in ticks since the boot: with its id that names it for good. */
function startOf(pid: number): string | undefined {
  return statFields(pid)?.[19];
}

function parentsOfAll(): Map<number, { parent: number; name: string }> {
  const parents = new Map<number, { parent: number; name: string }>();
  for (const entry of readdirSync("/proc")) {
    if (!/^\d+$/.test(entry)) continue;
    const pid = Number(entry);
    const fields = statFields(pid);
    const name = readProc(pid, "comm")?.trim();
    if (fields !== undefined && name !== undefined) {
      parents.set(pid, { parent: Number(fields[1]), name });
    }
  }
  return parents;
}

function memoryOf(pid: number, name: string): ProcessMemory | undefined {
  const status = readProc(pid, "status");
  const shares = readProc(pid, "smaps_rollup");
  if (status === undefined || shares === undefined) return undefined;
  const megabytes = (text: string, key: string) =>
    Number(new RegExp(`^${key}:\\s+(\\d+) kB`, "m").exec(text)?.[1] ?? 0) * 1024 / 1e6;
  return {
    name,
    residentMb: megabytes(status, "VmRSS"),
    proportionalMb: megabytes(shares, "Pss"),
    peakMb: megabytes(status, "VmHWM"),
  };
}

function readProc(pid: number, file: string): string | undefined {
  try {
    return readFileSync(`/proc/${pid}/${file}`, "utf8");
  } catch {
    // It has ended between two looks.
    return undefined;
  }
}

function lastLines(text: string): string {
  return text.trim().split("\n").slice(-5).join("\n").slice(-1500);
}
