/**
 * The watched directory on the local disk: looks at single paths, walks, and knows whether it is
 * still the directory that it was.
 */
import { readFileSync } from "node:fs";
import { lstat, readdir, readlink, realpath, stat, statfs } from "node:fs/promises";
import { join } from "node:path";
import { TydfsError } from "../../wire/errors.ts";
import { quotePath } from "../../wire/names.ts";
import type { TreeFilter } from "../trees/filter.ts";
import { localError } from "../local_files.ts";
import type { LinkRule, LocalEntry, WalkOptions } from "../trees/local_tree.ts";
import { walkTree } from "../trees/local_tree.ts";
import { IGNORE_FILE, IgnoreRules } from "./ignoring.ts";
import { directoriesAbove } from "./plan.ts";

/** Which directory it is, whatever its name. */
export interface Identity {
  inode: bigint;
  device: bigint;
}

/** What a look at one path saw. */
export type Look = { kind: "there"; entry: LocalEntry } | { kind: "gone" } | { kind: "ignored" };

export interface DiskOptions {
  filter: TreeFilter;
  links: LinkRule;
}

/** The numbers (statfs) of file systems that other machines change without a word to this one. */
const NETWORK_TYPES: ReadonlyMap<number, string> = new Map([
  [0x6969, "NFS"],
  [0x517b, "SMB"],
  [0xff534d42, "CIFS"],
  [0xfe534d42, "SMB2"],
  [0x01021997, "9P"],
  [0x00c36400, "Ceph"],
  [0x5346414f, "AFS"],
  [0x65735546, "FUSE"],
]);

export class WatchedDisk {
  /** The directory, without symbolic links on the way. */
  readonly root: string;
  readonly rules: IgnoreRules;
  readonly #links: LinkRule;

  private constructor(root: string, options: DiskOptions) {
    this.root = root;
    this.#links = options.links;
    this.rules = new IgnoreRules((directory) => this.#ignoreFile(directory), options.filter);
  }

  /** Opens a directory. Throws `local` when it can't be read, `not-directory` when it is none. */
  static async open(directory: string, options: DiskOptions): Promise<WatchedDisk> {
    const root = await realpath(directory).catch((cause) => {
      throw localError("read", directory, cause);
    });
    const disk = new WatchedDisk(root, options);
    if (await disk.identity() !== undefined) return disk;
    const message = `Cannot watch ${quotePath(directory)}: it is no directory`;
    throw new TydfsError("not-directory", message);
  }

  /** Which directory has the root's name now; undefined when none has, or it can't be asked. */
  async identity(): Promise<Identity | undefined> {
    const facts = await stat(this.root, { bigint: true }).catch(() => undefined);
    if (facts?.isDirectory() !== true) return undefined;
    return { inode: facts.ino, device: facts.dev };
  }

  /** Whether the root has no entries. */
  async isEmpty(): Promise<boolean> {
    return (await readdir(this.root).catch(() => [])).length === 0;
  }

  /** The kind of network file system that the root is on; undefined for a local disk. */
  async networkKind(): Promise<string | undefined> {
    const facts = await statfs(this.root).catch(() => undefined);
    return facts === undefined ? undefined : NETWORK_TYPES.get(facts.type);
  }

  /** Looks at one path. Throws `local` when that can't be done, which says nothing of the path. */
  async look(path: string): Promise<Look> {
    const local = join(this.root, path);
    try {
      const facts = await this.#facts(path, local);
      if (facts === undefined) return { kind: "gone" };
      const kind = kindOf(facts);
      const skipped = kind === undefined || (kind === "link" && this.#links === "skip");
      if (skipped || !this.rules.takes(path, kind)) return { kind: "ignored" };
      const target = kind === "link" ? { target: await readlink(local) } : {};
      const entry: LocalEntry = {
        path,
        local,
        kind,
        sizeBytes: Number(facts.size),
        mtimeMs: Number(facts.mtimeMs),
        mode: Number(facts.mode) & 0o777,
        inode: facts.ino,
        device: facts.dev,
        ...target,
      };
      return { kind: "there", entry };
    } catch (cause) {
      if (isAbsence(cause)) return { kind: "gone" };
      throw localError("read", local, cause);
    }
  }

  /**
   * All that is below a directory (empty: the root), in order. Throws `local` when that directory
   * can't be read.
   */
  async *walk(
    directory: string,
    { signal, onTrouble }: Pick<WalkOptions, "signal" | "onTrouble">,
  ): AsyncGenerator<LocalEntry> {
    const whole = (path: string) => directory === "" ? path : `${directory}/${path}`;
    const filter: TreeFilter = {
      takesFile: (path) => this.rules.takesFile(whole(path)),
      entersDirectory: (path) => this.rules.entersDirectory(whole(path)),
      keepsEmpty: this.rules.keepsEmpty,
    };
    const options = { filter, links: this.#links, signal, onTrouble };
    for await (const entry of walkTree(join(this.root, directory), options)) {
      if (entry.path !== "") yield { ...entry, path: whole(entry.path) };
    }
  }

  /** The number of the disk that the nearest directory above `path` which is there lies on. */
  async deviceAbove(path: string): Promise<bigint | undefined> {
    for (const above of [...directoriesAbove(path).reverse(), ""]) {
      const facts = await lstat(join(this.root, above), { bigint: true }).catch(() => undefined);
      if (facts?.isDirectory() === true) return facts.dev;
    }
    return undefined;
  }

  async #facts(path: string, local: string) {
    if (this.#links === "follow") return await stat(local, { bigint: true });
    // What lies behind a link is not below the root.
    for (const above of directoriesAbove(path)) {
      if (!(await lstat(join(this.root, above))).isDirectory()) return undefined;
    }
    return await lstat(local, { bigint: true });
  }

  #ignoreFile(directory: string): string | undefined {
    try {
      return readFileSync(join(this.root, directory, IGNORE_FILE), "utf8");
    } catch {
      // None, or one that can't be read: then the walk tells of it as of any file.
      return undefined;
    }
  }
}

function kindOf(
  facts: { isDirectory(): boolean; isSymbolicLink(): boolean; isFile(): boolean },
): LocalEntry["kind"] | undefined {
  if (facts.isDirectory()) return "directory";
  if (facts.isSymbolicLink()) return "link";
  return facts.isFile() ? "file" : undefined;
}

function isAbsence(cause: unknown): boolean {
  const code = (cause as { code?: unknown } | undefined)?.code;
  return code === "ENOENT" || code === "ENOTDIR";
}
