/**
 * What a watch leaves alone: tydfs's own temporary files, what `.tydfsignore` files say (as git
 * reads its own, one in any directory), and `--include` and `--exclude`.
 */
import ignore from "ignore";
import type { TreeFilter } from "../trees/filter.ts";
import { directoriesAbove } from "./plan.ts";

/** The name of the files that say what is left alone. */
export const IGNORE_FILE = ".tydfsignore";

/** Downloads in the making: `.NAME.tydfs-…`. */
const OWN_TEMPORARY = /^\..+\.tydfs-[^/]+$/;
/** Directories of which it is remembered whether they have such a file. */
const REMEMBERED_MAX = 50_000;

/** The text of a directory's ignore file; undefined when it has none. */
export type ReadIgnoreFile = (directory: string) => string | undefined;

export class IgnoreRules implements TreeFilter {
  readonly #read: ReadIgnoreFile;
  readonly #filter: TreeFilter;
  /** By directory; null where there is no ignore file. */
  readonly #rules = new Map<string, ignore.Ignore | null>();

  constructor(read: ReadIgnoreFile, filter: TreeFilter) {
    this.#read = read;
    this.#filter = filter;
  }

  get keepsEmpty(): boolean {
    return this.#filter.keepsEmpty;
  }

  takesFile(path: string): boolean {
    if (OWN_TEMPORARY.test(path.slice(path.lastIndexOf("/") + 1))) return false;
    return this.#filter.takesFile(path) && !this.#ignores(path, false);
  }

  entersDirectory(path: string): boolean {
    return this.#filter.entersDirectory(path) && !this.#ignores(path, true);
  }

  /** Whether a path is taken, which it is not below a directory that isn't. */
  takes(path: string, kind: "file" | "directory" | "link"): boolean {
    if (!directoriesAbove(path).every((above) => this.entersDirectory(above))) return false;
    return kind === "directory" ? this.entersDirectory(path) : this.takesFile(path);
  }

  /** Reads all ignore files anew when they are next needed. */
  refresh(): void {
    this.#rules.clear();
  }

  #ignores(path: string, directory: boolean): boolean {
    const text = directory ? `${path}/` : path;
    // The deepest ignore file has the last word; what it doesn't speak of, the one above decides.
    for (const above of ["", ...directoriesAbove(path)].reverse()) {
      const rules = this.#rulesOf(above);
      if (rules === null) continue;
      const verdict = rules.test(above === "" ? text : text.slice(above.length + 1));
      if (verdict.ignored) return true;
      if (verdict.unignored) return false;
    }
    return false;
  }

  #rulesOf(directory: string): ignore.Ignore | null {
    const remembered = this.#rules.get(directory);
    if (remembered !== undefined) return remembered;
    if (this.#rules.size >= REMEMBERED_MAX) this.#rules.clear();
    const text = this.#read(directory);
    const rules = text === undefined ? null : ignore({ ignorecase: false }).add(text);
    this.#rules.set(directory, rules);
    return rules;
  }
}
