/**
 * Adds up the directories of a tree while its list is read. A list tells each directory before what
 * it holds, so only the directories on the way to the entry at hand are open. Pure.
 */
import type { Entry } from "../../client/client.ts";

/** A directory with all that is below it. */
export interface DirectoryTotal {
  path: string;
  sizeBytes: number;
  files: number;
  /** Directories below it. */
  directories: number;
  /** Levels below the root of the tree. */
  depth: number;
}

export class DirectoryTotals {
  readonly #open: DirectoryTotal[];

  /** Totals of the tree below `root`. */
  constructor(root: string) {
    this.#open = [{ path: root, sizeBytes: 0, files: 0, directories: 0, depth: 0 }];
  }

  /** Counts the next entry of the list; returns the directories that ended before it. */
  add({ path, kind, size }: Entry): DirectoryTotal[] {
    const ended: DirectoryTotal[] = [];
    while (this.#open.length > 1 && !path.startsWith(`${this.#open.at(-1)?.path}/`)) {
      ended.push(...this.#close());
    }
    const last = this.#open.at(-1);
    if (last === undefined) return ended;
    if (kind === "directory") {
      last.directories++;
      this.#open.push({ path, sizeBytes: 0, files: 0, directories: 0, depth: last.depth + 1 });
    } else {
      last.files++;
      last.sizeBytes += size;
    }
    return ended;
  }

  /** The directories that end with the list, the root last. */
  end(): DirectoryTotal[] {
    const ended: DirectoryTotal[] = [];
    while (this.#open.length > 0) ended.push(...this.#close());
    return ended;
  }

  #close(): DirectoryTotal[] {
    const total = this.#open.pop();
    if (total === undefined) return [];
    const above = this.#open.at(-1);
    if (above !== undefined) {
      above.sizeBytes += total.sizeBytes;
      above.files += total.files;
      above.directories += total.directories;
    }
    return [total];
  }
}
