/**
 * Writes below one local directory, and never outside of it: no part of a path below it may be a
 * symbolic link, whoever made that. What it replaces it replaces in one step.
 */
import {
  chmod,
  lstat,
  lutimes,
  mkdir,
  rename,
  rmdir,
  symlink,
  unlink,
  utimes,
} from "node:fs/promises";
import { dirname } from "node:path";
import type { Random } from "../../base/random.ts";
import { randomHex } from "../../base/random.ts";
import { TydfsError } from "../../wire/errors.ts";
import { PERMISSION_BITS } from "../../wire/file.ts";
import { quotePath } from "../../wire/names.ts";
import { joinLocal, localError } from "../local_files.ts";
import { refusePartialName } from "../local_target.ts";

/** Directories that are known to be no links; forgotten all at once when there are more. */
const KNOWN_MAX = 10_000;

export interface LocalFacts {
  mode?: number;
  mtimeMs?: number;
}

export class LocalWriter {
  /** The local directory; it may itself be reached through links. */
  readonly root: string;
  readonly #random: Random;
  readonly #known = new Set<string>();

  constructor(root: string, random: Random) {
    this.root = root;
    this.#random = random;
  }

  /** Where `path` (below the root, in the form `a/b`; empty for the root) is or will be. */
  place(path: string): string {
    return path === "" ? this.root : joinLocal(this.root, path);
  }

  /**
   * Makes the directories above `path`, and returns the local path at which a file may now be put.
   * Throws `denied` where a part of it is a symbolic link, `not-directory` where it is a file, and
   * `is-directory` when `path` itself is a directory.
   */
  async prepareFile(path: string): Promise<string> {
    await this.#makeParents(path);
    const local = this.place(path);
    const there = await this.#look(local);
    if (there?.isDirectory() === true) {
      const message = `Cannot write ${quotePath(local)}: a directory is there`;
      throw new TydfsError("is-directory", message);
    }
    return local;
  }

  /** Makes a directory, and those above it; returns whether it is new. A file there is an error. */
  async makeDirectory(path: string): Promise<boolean> {
    if (path === "") {
      const made = await attempt(this.root, () => mkdir(this.root, { recursive: true }));
      this.#learn("");
      return made !== undefined;
    }
    await this.#makeParents(path);
    return await this.#makeOne(path);
  }

  /** Puts a symbolic link at `path`, in place of a file or link that is there. */
  async makeLink(path: string, target: string, mtimeMs: number): Promise<string> {
    refusePartialName(path);
    const local = await this.prepareFile(path);
    const temporary = joinLocal(dirname(local), `.link.tydfs-${randomHex(this.#random, 6)}`);
    await attempt(local, async () => {
      await symlink(target, temporary);
      try {
        await lutimes(temporary, ...times(mtimeMs));
        await rename(temporary, local);
      } catch (error) {
        await unlink(temporary).catch(() => {});
        throw error;
      }
    });
    return local;
  }

  /** Gives a file, directory or link another mode or time. A link's mode stays. */
  async setFacts(path: string, { mode, mtimeMs }: LocalFacts): Promise<void> {
    if (path !== "") await this.#checkParents(path);
    const local = this.place(path);
    await attempt(local, async () => {
      const isLink = path !== "" && (await lstat(local)).isSymbolicLink();
      if (mode !== undefined && !isLink) await chmod(local, mode & PERMISSION_BITS);
      if (mtimeMs === undefined) return;
      await (isLink ? lutimes : utimes)(local, ...times(mtimeMs));
    });
  }

  /**
   * Takes a file or link away, or an empty directory; nothing when something else is there by now.
   * The directory above keeps its time. Throws `not-empty`.
   */
  async remove(path: string, kind: "file" | "directory" | "link"): Promise<boolean> {
    await this.#checkParents(path);
    const local = this.place(path);
    const there = await this.#look(local);
    if (there === undefined || there.isDirectory() !== (kind === "directory")) return false;
    const above = dirname(local);
    return await attempt(local, async () => {
      const { mtimeMs } = await lstat(above);
      if (kind === "directory") {
        this.#known.clear();
        await rmdir(local).catch((cause) => {
          if (cause.code !== "ENOTEMPTY" && cause.code !== "EEXIST") throw cause;
          const message = `Cannot remove ${quotePath(local)}: the directory is not empty`;
          throw new TydfsError("not-empty", message, { cause });
        });
      } else {
        await unlink(local);
      }
      await utimes(above, ...times(mtimeMs));
      return true;
    });
  }

  async #makeParents(path: string): Promise<void> {
    await this.#makeOnce("");
    for (const above of parentsOf(path)) await this.#makeOnce(above);
  }

  /** Makes one directory whose parents are there, unless it is known to be there. */
  async #makeOnce(path: string): Promise<void> {
    if (this.#known.has(path)) return;
    if (path === "") await this.makeDirectory("");
    else await this.#makeOne(path);
    this.#learn(path);
  }

  async #makeOne(path: string): Promise<boolean> {
    const local = this.place(path);
    const there = await this.#look(local);
    if (there === undefined) {
      // Another job may make it at the same time.
      const made = await attempt(local, () =>
        mkdir(local).then(() => true, (error) => {
          if (error.code !== "EEXIST") throw error;
          return false;
        }));
      if (made) return true;
    }
    refuseIndirect(local, there ?? await this.#look(local));
    return false;
  }

  /** Throws unless all directories above `path` are there and no links. */
  async #checkParents(path: string): Promise<void> {
    for (const above of parentsOf(path)) {
      const local = this.place(above);
      if (!this.#known.has(above)) refuseIndirect(local, await this.#look(local));
      this.#learn(above);
    }
  }

  #learn(path: string): void {
    if (this.#known.size >= KNOWN_MAX) this.#known.clear();
    this.#known.add(path);
  }

  async #look(local: string) {
    return await lstat(local).catch((cause) => {
      if (cause.code === "ENOENT") return undefined;
      throw localError("write", local, cause);
    });
  }
}

/** The directories above a path, the outermost first: only then is none reached through a link. */
function parentsOf(path: string): string[] {
  const parts = path.split("/").slice(0, -1);
  return parts.map((_, index) => parts.slice(0, index + 1).join("/"));
}

function refuseIndirect(
  local: string,
  there: { isSymbolicLink(): boolean; isDirectory(): boolean } | undefined,
): void {
  if (there?.isSymbolicLink() === true) {
    const message = `Refused to write through ${quotePath(local)}: it is a symbolic link, ` +
      "which could lead outside";
    throw new TydfsError("denied", message);
  }
  if (there?.isDirectory() === true) return;
  const state = there === undefined
    ? "there is no such directory"
    : "it is a file, not a directory";
  throw new TydfsError("not-directory", `Cannot write below ${quotePath(local)}: ${state}`);
}

/** As dates, since seconds with a fraction lose a millisecond now and then. */
function times(mtimeMs: number): [Date, Date] {
  return [new Date(mtimeMs), new Date(mtimeMs)];
}

async function attempt<T>(local: string, task: () => Promise<T>): Promise<T> {
  try {
    return await task();
  } catch (cause) {
    throw localError("write", local, cause);
  }
}
