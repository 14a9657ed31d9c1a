/**
 * Threads that work on files through the kernel, each one file after the other: a mounted system
 * and the plain disk are used so by programs, and one thread's calls would hold up all others.
 */
import type { Pace } from "./system.ts";
import type { Work } from "./work.ts";

export type FileTask =
  /** Copies to every target and, if `sync`, fsyncs each before the next file. */
  | { kind: "copy"; from: string; to: string[]; sync: boolean }
  | { kind: "stat"; path: string }
  /** Makes an empty file. */
  | { kind: "make"; path: string };

export interface FileOrder {
  tasks: FileTask[];
  /** No task begins later than this, in wall ms. */
  endMs: number;
}

export type FileReport = { done: number } | { error: string };

/** Does tasks by `pace.clients` threads, which are started before the time is taken. */
export async function byThreads(tasks: readonly FileTask[], pace: Pace): Promise<Work> {
  const url = new URL("file_worker.ts", import.meta.url);
  const workers = Array.from({ length: pace.clients }, () => new Worker(url));
  try {
    await Promise.all(workers.map((worker) => answerOf(worker)));
    const startMs = performance.now();
    const endMs = Date.now() + pace.boundMs;
    const counts = await Promise.all(workers.map(async (worker, n) => {
      const own = tasks.filter((_, at) => at % workers.length === n);
      const answer = answerOf(worker);
      worker.postMessage({ tasks: own, endMs } satisfies FileOrder);
      return await answer;
    }));
    const done = counts.reduce((sum, count) => sum + count, 0);
    return { done, wanted: tasks.length, ms: performance.now() - startMs };
  } finally {
    for (const worker of workers) worker.terminate();
  }
}

function answerOf(worker: Worker): Promise<number> {
  return new Promise((resolve, reject) => {
    worker.onerror = (event) => reject(new Error(event.message));
    worker.onmessage = (event: MessageEvent<FileReport>) => {
      if ("error" in event.data) reject(new Error(event.data.error));
      else resolve(event.data.done);
    };
  });
}
