/**
 * What no system on this machine can beat by much: plain copies on the same disk by as many writers
 * as there are copies, and files from a server that only calls sendfile.
 */
import { mkdirSync, rmSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { byThreads } from "./file_crew.ts";
import { cpuSecondsOf, ownCpuSeconds, Processes, runTool } from "./processes.ts";
import type { Pace, Tree } from "./system.ts";
import type { Pair, Work } from "./work.ts";
import { wholeWork, workThrough } from "./work.ts";

const COPIES = [1, 2, 3];

export class Limits {
  readonly #directory: string;
  readonly #server = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    fetch: (request) => new Response(Bun.file(decodeURI(new URL(request.url).pathname))),
  });

  constructor(directory: string) {
    this.#directory = directory;
    for (const n of COPIES) mkdirSync(this.#copy(n), { recursive: true });
  }

  /** Three copies of each file, all at once. */
  async putLarge(files: Pair[], synced: boolean): Promise<void> {
    const script = synced ? 'cp "$1" "$2" && sync "$2"' : 'cp "$1" "$2"';
    await Promise.all(COPIES.flatMap((n) =>
      files.map(({ local, remote }) => {
        const target = join(this.#copy(n), basename(remote));
        return runTool(["sh", "-c", script, "sh", local, target]);
      })
    ));
  }

  /** All files at once, by one curl. */
  async getLarge(files: Pair[]): Promise<void> {
    const args = files.flatMap(({ local }) => ["-o", `${local}.back`, this.#url(local)]);
    await runTool(["curl", "-sS", "--parallel", "--fail", ...args]);
    for (const { local } of files) rmSync(`${local}.back`);
  }

  /** Through the loopback and to nowhere. */
  async loopback(file: string): Promise<void> {
    await runTool(["curl", "-sS", "--fail", "-o", "/dev/null", this.#url(file)]);
  }

  /** `cp -r` of the tree, three times at once, and one sync of the file system. */
  putTree(tree: Tree): Promise<Work> {
    return wholeWork(tree.names.length, async () => {
      await Promise.all(COPIES.map((n) => {
        const target = join(this.#copy(n), tree.remote);
        return runTool(["cp", "-r", tree.local, target]);
      }));
      await runTool(["sync", "-f", this.#directory]);
    });
  }

  getTree(tree: Tree): Promise<Work> {
    return wholeWork(
      tree.names.length,
      () => runTool(["cp", "-r", join(this.#copy(1), tree.remote), tree.local]),
    );
  }

  removeTree(tree: Tree): Promise<Work> {
    return wholeWork(
      tree.names.length,
      () => Promise.all(COPIES.map((n) => runTool(["rm", "-r", join(this.#copy(n), tree.remote)]))),
    );
  }

  /** Each file thrice, fsynced, one after the other by each of the threads. */
  putSingles(files: Pair[], pace: Pace, synced: boolean): Promise<Work> {
    for (const { remote } of files) {
      for (const n of COPIES) mkdirSync(dirname(join(this.#copy(n), remote)), { recursive: true });
    }
    return byThreads(
      files.map(({ local, remote }) => ({
        kind: "copy",
        from: local,
        to: COPIES.map((n) => join(this.#copy(n), remote)),
        sync: synced,
      })),
      pace,
    );
  }

  getSingles(files: Pair[], pace: Pace): Promise<Work> {
    return workThrough(files, pace, async ({ local, remote }) => {
      const url = this.#url(join(this.#copy(1), remote));
      await Bun.write(local, await (await fetch(url)).bytes());
    });
  }

  /** Takes all copies away by `remove`. */
  clear(remove: (path: string) => void): void {
    for (const n of COPIES) remove(this.#copy(n));
    for (const n of COPIES) mkdirSync(this.#copy(n), { recursive: true });
  }

  async stop(): Promise<void> {
    await this.#server.stop(true);
  }

  #copy(n: number): string {
    return join(this.#directory, `copy-${n}`);
  }

  #url(path: string): string {
    return `${this.#server.url.href.replace(/\/$/, "")}${encodeURI(path)}`;
  }
}

/** What a task takes: wall time, and the CPU of `processes`, of this bench and of its tools. */
export async function taken(
  processes: Processes | undefined,
  task: () => Promise<unknown>,
): Promise<{ ms: number; cpuSeconds: number }> {
  const pids = [...processes?.ids().keys() ?? []];
  const beforeSeconds = cpuSecondsOf(pids) + ownCpuSeconds();
  const startMs = performance.now();
  await task();
  const ms = performance.now() - startMs;
  return { ms, cpuSeconds: cpuSecondsOf(pids) + ownCpuSeconds() - beforeSeconds };
}
