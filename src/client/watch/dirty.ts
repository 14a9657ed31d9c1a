/**
 * Where to look next: paths of which a hint was heard. Beyond a bound they become one word:
 * everything.
 */
export class DirtyPaths {
  readonly #max: number;
  readonly #paths = new Set<string>();
  #everything = false;

  constructor(max: number) {
    this.#max = max;
  }

  get empty(): boolean {
    return !this.#everything && this.#paths.size === 0;
  }

  /** Adds a path; undefined: everything. */
  add(path: string | undefined): void {
    if (this.#everything) return;
    if (path === undefined || path === "" || this.#paths.size >= this.#max) {
      this.#everything = true;
      this.#paths.clear();
      return;
    }
    this.#paths.add(path);
  }

  /** Takes all paths, those of directories before what is in them; or `everything`. */
  take(): string[] | "everything" {
    const everything = this.#everything;
    const paths = [...this.#paths].sort();
    this.#everything = false;
    this.#paths.clear();
    return everything ? "everything" : paths;
  }
}
