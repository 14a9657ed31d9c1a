/** The files that are put: random bytes, so that nothing is gained by compressing them. */
import {
  closeSync,
  linkSync,
  mkdirSync,
  openSync,
  readdirSync,
  rmSync,
  statSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";
import { GIB, KIB, MIB } from "../../src/base/bytes.ts";
import type { Tree } from "./system.ts";

const SMALL_BYTES = 4 * KIB;
const DIRECTORY_FILES = 100;

/** How much of everything there is: 1 is the whole of what the rows say. */
export class Sources {
  readonly #directory: string;
  readonly largeBytes: number;
  readonly parallelBytes: number;
  readonly mediumBytes = 5 * MIB;
  readonly repairBytes: number;
  readonly mediumFiles: number;
  readonly treeFiles: number;
  readonly singleFiles: number;
  readonly names: readonly [number, number];

  constructor(directory: string, scale: number) {
    this.#directory = directory;
    const scaled = (number: number, unit: number) =>
      Math.max(1, Math.round(number * scale / unit)) * unit;
    this.largeBytes = scaled(GIB, MIB);
    this.parallelBytes = scaled(128 * MIB, MIB);
    this.repairBytes = 2 * this.largeBytes;
    this.mediumFiles = scaled(200, 1);
    this.treeFiles = scaled(10_000, DIRECTORY_FILES);
    this.singleFiles = scaled(5_000, DIRECTORY_FILES);
    this.names = [scaled(100_000, 1000), scaled(1_000_000, 1000)];
  }

  get large(): string {
    return join(this.#directory, "large.bin");
  }

  /** Eight names of one file: what is read is the same for all systems. */
  get parallel(): string[] {
    return Array.from({ length: 8 }, (_, n) => join(this.#directory, `parallel-${n}.bin`));
  }

  make(): void {
    mkdirSync(this.#directory, { recursive: true });
    randomFile(this.large, this.largeBytes);
    const [first = "", ...others] = this.parallel;
    randomFile(first, this.parallelBytes);
    for (const other of others) linkSync(first, other);
    const medium = this.tree("medium");
    mkdirSync(medium.local);
    const [firstName = "", ...names] = medium.names;
    randomFile(join(medium.local, firstName), this.mediumBytes);
    for (const name of names) linkSync(join(medium.local, firstName), join(medium.local, name));
    for (const tree of [this.tree("tree"), this.tree("single")]) {
      for (const name of tree.names) {
        const path = join(tree.local, name);
        if (name.endsWith("/f0")) mkdirSync(join(path, ".."), { recursive: true });
        writeFileSync(path, crypto.getRandomValues(new Uint8Array(SMALL_BYTES)));
      }
    }
  }

  /** The source tree of a group, to be put under the same name. */
  tree(name: "medium" | "tree" | "single"): Tree {
    const local = join(this.#directory, name);
    if (name === "medium") {
      return { local, remote: name, names: numbers(this.mediumFiles).map((n) => `m${n}.bin`) };
    }
    const files = name === "tree" ? this.treeFiles : this.singleFiles;
    const nameOf = (n: number) => `d${Math.floor(n / DIRECTORY_FILES)}/f${n % DIRECTORY_FILES}`;
    return { local, remote: name, names: numbers(files).map(nameOf) };
  }
}

/** The directories and files below a directory; throws unless it has `files` files of that size. */
export function mustHold(directory: string, files: number, bytes: number): void {
  const found = readdirSync(directory, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile());
  const total = found.reduce(
    (sum, entry) => sum + statSync(join(entry.parentPath, entry.name)).size,
    0,
  );
  if (found.length !== files || total !== bytes) {
    throw new Error(`what came back are ${found.length} files of ${total} bytes, not ${files}`);
  }
}

/** Makes the directories that files of these names need. */
export function makeDirectories(root: string, names: readonly string[]): void {
  const directories = new Set(names.map((name) => join(root, name, "..")));
  for (const directory of directories) mkdirSync(directory, { recursive: true });
}

export function removeTarget(path: string): void {
  rmSync(path, { recursive: true, force: true });
}

export function numbers(count: number): number[] {
  return Array.from({ length: count }, (_, n) => n);
}

function randomFile(path: string, sizeBytes: number): void {
  const file = openSync(path, "w");
  const block = new Uint8Array(MIB);
  for (let at = 0; at < sizeBytes; at += MIB) {
    for (let part = 0; part < MIB; part += 65_536) {
      crypto.getRandomValues(block.subarray(part, part + 65_536));
    }
    writeSync(file, block, 0, Math.min(MIB, sizeBytes - at));
  }
  closeSync(file);
}
