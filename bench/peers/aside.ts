/**
 * Removed files slow down those that are made next: for a minute ext4 does not give out the inode
 * of a file that was removed, and passes over each of them whenever it looks for a free one
 * (`recently_deleted` in fs/ext4/ialloc.c of Linux). What one row or system has removed must not be
 * what the next one is measured by: what can wait is put aside to the end, and there is a pause
 * after what can't.
 */
import { existsSync, mkdirSync, renameSync } from "node:fs";
import { join } from "node:path";
import { runTool } from "./processes.ts";
import { progress } from "./progress.ts";

/** As long as ext4 passes over them, once they are on the disk, and somewhat more. */
const PAUSE_MS = 62_000;
const LOOK_MS = 500;

export class Aside {
  readonly #directory: string;
  #count = 0;
  #removedMs = -Infinity;

  /** What is put aside lies below `directory`, until that is removed. */
  constructor(directory: string) {
    this.#directory = join(directory, "aside");
  }

  /** Takes a file or directory away without removing it; one that is not there is no error. */
  put(path: string): void {
    if (!existsSync(path)) return;
    mkdirSync(this.#directory, { recursive: true });
    renameSync(path, join(this.#directory, String(++this.#count)));
  }

  /** Removes a directory with many files; `pause` counts from now on. */
  async remove(path: string): Promise<void> {
    // The tool is faster, and lets signals be heard meanwhile.
    await runTool(["rm", "-rf", path]);
    this.#removedMs = performance.now();
  }

  /** Waits until what was removed does not slow down what is made next, or until the signal. */
  async pause(signal: AbortSignal): Promise<void> {
    const left = () => this.#removedMs + PAUSE_MS - performance.now();
    if (left() <= 0) return;
    progress(`  waiting ${(left() / 1000).toFixed(0)} s for what was removed to be forgotten`);
    while (left() > 0 && !signal.aborted) await Bun.sleep(LOOK_MS);
  }
}
