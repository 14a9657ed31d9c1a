/** Many small pieces of work by several clients at once, bounded in time. */
import { join } from "node:path";
import type { Pace, Tree } from "./system.ts";

/** A file here and its name there. */
export interface Pair {
  local: string;
  remote: string;
}

/** How many pieces were done, of how many, and how long that took. */
export interface Work {
  done: number;
  wanted: number;
  ms: number;
}

/** Does `task` for each item by `clients` at once; no new one begins after `boundMs`. */
export async function workThrough<T>(
  items: readonly T[],
  pace: Pace,
  task: (item: T) => Promise<unknown>,
): Promise<Work> {
  let next = 0;
  let done = 0;
  const startMs = performance.now();
  const isOver = () => performance.now() - startMs > pace.boundMs;
  await Promise.all(Array.from({ length: pace.clients }, async () => {
    while (next < items.length && !isOver()) {
      const item = items[next++] as T;
      await task(item);
      done++;
    }
  }));
  return { done, wanted: items.length, ms: performance.now() - startMs };
}

/** Runs what does all of `wanted` in one step. */
export async function wholeWork(wanted: number, task: () => Promise<unknown>): Promise<Work> {
  const startMs = performance.now();
  await task();
  return { done: wanted, wanted, ms: performance.now() - startMs };
}

/** The files of a tree with their places on both sides. */
export function pairsOf(tree: Tree): Pair[] {
  return tree.names.map((name) => ({
    local: join(tree.local, name),
    remote: `${tree.remote}/${name}`,
  }));
}

/** Pieces a second. */
export function rateOf(work: Work): number {
  return work.done / work.ms * 1000;
}
