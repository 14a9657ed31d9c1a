/**
 * Binaries with a planted bug: the source is copied, changed in one place, and compiled. A test
 * that can't tell such a binary from the right one is blind.
 */
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { system } from "./hosts.ts";

/** One change of the source: `from` must be in `file` exactly once. */
export interface Mutation {
  file: string;
  from: string;
  to: string;
}

export class Mutant {
  readonly binary: string;
  readonly #dir: string;

  private constructor(dir: string) {
    this.#dir = dir;
    this.binary = join(dir, "tydfs");
  }

  /** Compiles the source with `mutations`. Throws when one does not match exactly once. */
  static build(mutations: readonly Mutation[]): Mutant {
    const root = resolve(import.meta.dir, "../..");
    const mutant = new Mutant(mkdtempSync(join(tmpdir(), "tydfs-mutant-")));
    const dir = mutant.#dir;
    try {
      for (const name of ["src", "workers", "build.ts", "package.json"]) {
        cpSync(join(root, name), join(dir, name), { recursive: true });
      }
      for (const name of ["node_modules", ".build"]) symlinkSync(join(root, name), join(dir, name));
      for (const mutation of mutations) apply(dir, mutation);
      system([process.execPath, join(dir, "build.ts"), "--outfile", mutant.binary]);
      return mutant;
    } catch (error) {
      mutant.remove();
      throw error;
    }
  }

  remove(): void {
    rmSync(this.#dir, { recursive: true, force: true });
  }
}

function apply(dir: string, { file, from, to }: Mutation): void {
  const path = join(dir, file);
  const parts = readFileSync(path, "utf8").split(from);
  if (parts.length !== 2) {
    throw new Error(`Cannot plant a bug in ${file}: ${parts.length - 1} places match "${from}"`);
  }
  writeFileSync(path, parts.join(to));
}
