/**
 * Writes below one local directory, and never outside of it: no part of a path below it may be a
 * symbolic link, whoever made that. What it replaces it replaces in one step.
 */
import { lstatSync, mkdirSync } from "node:fs";
import { chmod, lstat, lutimes, rename, rmdir, symlink, unlink, utimes } from "node:fs/promises";
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

  /** The path below the root of what `place` has told. */
  pathOf(local: string): string {
    return local === this.root ? "" : local.slice(joinLocal(this.root, "").length);
  }

  /**
   * Makes the directories above `path`, and returns the local path at which a file may now be put.
   * Throws `denied` where a part of it is a symbolic link, `not-directory` where it is a file, and
   * `is-directory` when `path` itself is a directory.
   */
  prepareFile(path: string): string {
    this.prepareParents(path);
    const local = this.place(path);
    if (look(local)?.isDirectory() === true) {
      const message = `Cannot write ${quotePath(local)}: a directory is there`;
      throw new TydfsError("is-directory", message);
    }
    return local;
  }

  /**
   * Makes the directories above `path`, without a look at what is at `path` itself. At once, since
   * that costs less than to wait for another thread. Throws `denied` and `not-directory`, as
   * `prepareFile`.
   */
  prepareParents(path: string): void {
    this.#makeOnce("");
    for (let end = path.indexOf("/"); end >= 0; end = path.indexOf("/", end + 1)) {
      this.#makeOnce(path.slice(0, end));
    }
  }

  /** Makes a directory, and those above it; returns whether it is new. A file there is an error. */
  makeDirectory(path: string): boolean {
    if (path === "") {
      const made = attemptNow(this.root, () => mkdirSync(this.root, { recursive: true }));
      this.#learn("");
      return made !== undefined;
    }
    this.prepareParents(path);
    return this.#makeOne(path);
  }

  /** Puts a symbolic link at `path`, in place of a file or link that is there. */
  async makeLink(path: string, target: string, mtimeMs: number): Promise<string> {
    refusePartialName(path);
    const local = this.prepareFile(path);
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
    if (path !== "") this.#checkParents(path);
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
    this.#checkParents(path);
    const local = this.place(path);
    const there = look(local);
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

  /** Makes one directory whose parents are there, unless it is known to be there. */
  #makeOnce(path: string): void {
    if (this.#known.has(path)) return;
    if (path === "") this.makeDirectory("");
    else this.#makeOne(path);
    this.#learn(path);
  }

  #makeOne(path: string): boolean {
    const local = this.place(path);
    const there = look(local);
    // Someone else may make it at the same time.
    if (there === undefined && attemptNow(local, () => makeNew(local))) return true;
    refuseIndirect(local, there ?? look(local));
    return false;
  }

  /** Throws unless all directories above `path` are there and no links. */
  #checkParents(path: string): void {
    for (const above of parentsOf(path)) {
      const local = this.place(above);
      if (!this.#known.has(above)) refuseIndirect(local, look(local));
      this.#learn(above);
    }
  }

  #learn(path: string): void {
    if (this.#known.size >= KNOWN_MAX) this.#known.clear();
    this.#known.add(path);
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

function attemptNow<T>(local: string, task: () => T): T {
  try {
    return task();
  } catch (cause) {
    throw localError("write", local, cause);
  }
}

/** What is at a path; undefined when nothing is. */
function look(local: string) {
  return attemptNow(local, () => lstatSync(local, { throwIfNoEntry: false }));
}

/** False when something is there. */
function makeNew(local: string): boolean {
  try {
    mkdirSync(local);
    return true;
  } catch (error) {
    if ((error as { code?: unknown }).code !== "EEXIST") throw error;
    return false;
  }
}
