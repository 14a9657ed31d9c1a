/** Other processes of this machine, by their id: what they were started with, and their end. */
import type { Clock } from "../base/clock.ts";
import { findText, listNames } from "./data_dir.ts";

const POLL_MS = 10;
const KILL_MS = 2_000;

/**
 * The command line of a process, word by word; empty when there is no such process (or it is a
 * zombie).
 */
export function processArguments(pid: number): string[] {
  if (process.platform === "linux") {
    const text = findText(`/proc/${pid}/cmdline`) ?? "";
    return text.split("\0").filter((word) => word !== "");
  }
  // `ps` is in every Unix; words are parted by blanks there, which is good enough to know a path
  // without any.
  const run = Bun.spawnSync(["ps", "-p", String(pid), "-o", "args="]);
  return run.stdout.toString().trim().split(" ").filter((word) => word !== "");
}

/** The processes that were started with this word on their command line. */
export function processesWith(word: string): number[] {
  if (process.platform === "linux") {
    const pids = listNames("/proc").map(Number).filter((pid) => pid > 1);
    return pids.filter((pid) => processArguments(pid).includes(word));
  }
  const run = Bun.spawnSync(["ps", "-ax", "-o", "pid=", "-o", "args="]);
  return run.stdout.toString().split("\n").map((line) => line.trim().split(" "))
    .filter((words) => words.slice(1).includes(word))
    .map(([pid]) => Number(pid));
}

/**
 * Asks a process to end, and kills it when it has not within `withinMs`. Resolves when it is gone.
 */
export async function endProcess(clock: Clock, pid: number, withinMs: number): Promise<void> {
  for (const [signal, ms] of [["SIGTERM", withinMs], ["SIGKILL", KILL_MS]] as const) {
    if (!sendSignal(pid, signal)) return;
    const deadlineMs = clock.monotonicMs() + ms;
    while (clock.monotonicMs() < deadlineMs) {
      if (!sendSignal(pid, 0) || isZombie(pid)) return;
      await clock.sleep(POLL_MS);
    }
  }
}

/**
 * Whether it has ended and only waits for its parent. The command line does not tell: it goes
 * before the process's ports are closed.
 */
function isZombie(pid: number): boolean {
  if (process.platform === "linux") {
    const text = findText(`/proc/${pid}/stat`);
    if (text === undefined) return true;
    // Behind the name, which may hold anything: the first word is the state, of the first thread
    // alone, and the eighteenth the number of threads; the last of them closes the ports.
    const words = text.slice(text.lastIndexOf(")") + 2).split(" ");
    return /^[ZX]/.test(words[0] ?? "") && Number(words[17]) <= 1;
  }
  const run = Bun.spawnSync(["ps", "-p", String(pid), "-o", "stat="]);
  return !/^[^Z]/.test(run.stdout.toString().trim());
}

/** Whether the process was there to get it. */
function sendSignal(pid: number, signal: NodeJS.Signals | 0): boolean {
  try {
    process.kill(pid, signal);
    return true;
  } catch {
    // ESRCH: it is gone. EPERM: it is another user's by now, so ours is gone too.
    return false;
  }
}
