/**
 * Directories that a tree is being written into. Files that come and go change a directory's time,
 * and its mode may forbid them: it gets its own when all that is below is done, and not before.
 */
import type { Job } from "./job_runner.ts";
import type { TreeEntry } from "./merge.ts";

interface OpenDirectory {
  entry: TreeEntry;
  /** Jobs and directories in it that are under way, and one for as long as more may come. */
  pending: number;
  /** Something was done in it. */
  touched: boolean;
  above: OpenDirectory | undefined;
}

export class OpenDirectories {
  readonly #close: (entry: TreeEntry, touched: boolean) => Promise<void>;
  /** Those that the next entry may be in, the outermost first. */
  readonly #stack: OpenDirectory[] = [];

  /**
   * `close` is called with each directory when it is done, and whether anything was done in it; it
   * must not throw.
   */
  constructor(close: (entry: TreeEntry, touched: boolean) => Promise<void>) {
    this.#close = close;
  }

  /** A directory is entered: to be told in the tree's order. What follows may be in it. */
  async enter(entry: TreeEntry): Promise<void> {
    await this.#leaveFor(entry.path);
    const above = this.#stack.at(-1);
    if (above !== undefined) above.pending++;
    this.#stack.push({ entry, pending: 1, touched: false, above });
  }

  /** The same job, which holds open the directory that its entry (or it as a directory) is in. */
  async holding(path: string, job: Job): Promise<Job> {
    await this.#leaveFor(path);
    const directory = this.#stack.at(-1);
    if (directory === undefined) return job;
    directory.pending++;
    directory.touched = true;
    return { ...job, settled: () => this.#release(directory) };
  }

  /** Nothing more comes. */
  async leaveAll(): Promise<void> {
    while (this.#stack.length > 0) await this.#leave();
  }

  async #leaveFor(path: string): Promise<void> {
    for (let top = this.#stack.at(-1); top !== undefined; top = this.#stack.at(-1)) {
      const { path: directory } = top.entry;
      if (directory === "" || path === directory || path.startsWith(`${directory}/`)) return;
      await this.#leave();
    }
  }

  async #leave(): Promise<void> {
    const directory = this.#stack.pop();
    if (directory !== undefined) await this.#release(directory);
  }

  async #release(directory: OpenDirectory): Promise<void> {
    let open: OpenDirectory | undefined = directory;
    while (open !== undefined && --open.pending === 0) {
      await this.#close(open.entry, open.touched);
      open = open.above;
    }
  }
}
