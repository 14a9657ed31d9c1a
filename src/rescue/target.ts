/**
 * Writes what was rescued below one local directory, and never outside of it: no part of a path
 * below it may be a symbolic link. A file appears under its name when it is whole.
 */
import { lstat, lutimes, mkdir, open, rename, symlink, unlink } from "node:fs/promises";
import { dirname } from "node:path";
import type { Random } from "../base/random.ts";
import { randomHex } from "../base/random.ts";
import { TydfsError } from "../wire/errors.ts";
import { isLinkMode, PERMISSION_BITS } from "../wire/file.ts";
import { parentPath, quotePath, splitPath } from "../wire/names.ts";

/** What a file is to have besides its bytes, where it is known. */
export interface TargetFacts {
  mode: number | undefined;
  mtimeMs: number | undefined;
}

/** What is at a path already. */
export type There =
  | { kind: "nothing" }
  | { kind: "file"; sizeBytes: number; mtimeMs: number }
  | { kind: "link"; mtimeMs: number }
  | { kind: "directory" };

/** Directories that are known to be no links; forgotten all at once when there are more. */
const KNOWN_MAX = 10_000;
/** A target of a link that is longer is none. */
const LINK_BYTES_MAX = 4_096;
const PARTIAL_MODE = 0o600;

export class RescueTarget {
  readonly #root: string;
  readonly #random: Random;
  readonly #sync: boolean;
  readonly #known = new Set<string>();

  /** With `sync` each file is on its disk before it counts as written. */
  constructor(root: string, random: Random, sync: boolean) {
    // Paths begin with a slash themselves; "/" is the empty root.
    this.#root = root.replace(/\/+$/, "");
    this.#random = random;
    this.#sync = sync;
  }

  /** Makes the directory itself. Throws `local`. */
  async prepare(): Promise<void> {
    await mkdir(this.#root + "/", { recursive: true }).catch((error) => {
      throw localError(this.#root, error);
    });
  }

  /** What lies at a path. Throws `denied` when it is reached through a link. */
  async look(path: string): Promise<There> {
    await this.#makeParents(path);
    const found = await lookAt(this.#root + path);
    if (found === undefined) return { kind: "nothing" };
    const mtimeMs = Math.round(found.mtimeMs);
    if (found.isSymbolicLink()) return { kind: "link", mtimeMs };
    if (found.isDirectory()) return { kind: "directory" };
    return { kind: "file", sizeBytes: found.size, mtimeMs };
  }

  /** Puts a file there, in place of a file or link. Throws `local`, and what the pieces throw. */
  async write(
    path: string,
    pieces: AsyncIterable<Uint8Array>,
    facts: TargetFacts,
  ): Promise<void> {
    await this.#makeParents(path);
    const local = this.#root + path;
    const temporary = `${dirname(local)}/.tydfs-rescue-${randomHex(this.#random, 6)}`;
    try {
      if (facts.mode !== undefined && isLinkMode(facts.mode)) {
        await symlink(await readTarget(path, pieces), temporary);
        const { mtimeMs } = facts;
        if (mtimeMs !== undefined) await lutimes(temporary, ...times(mtimeMs));
      } else {
        await this.#fill(temporary, pieces, facts);
      }
      await rename(temporary, local);
      if (this.#sync) await syncDirectory(dirname(local));
    } catch (error) {
      await unlink(temporary).catch(() => {});
      throw localError(local, error);
    }
  }

  async #fill(
    temporary: string,
    pieces: AsyncIterable<Uint8Array>,
    { mode, mtimeMs }: TargetFacts,
  ): Promise<void> {
    const file = await open(temporary, "wx", PARTIAL_MODE);
    try {
      let position = 0;
      for await (const piece of pieces) {
        for (let done = 0; done < piece.length;) {
          const { bytesWritten } = await file.write(piece, done, piece.length - done, position);
          done += bytesWritten;
          position += bytesWritten;
        }
      }
      await file.chmod((mode ?? 0o644) & PERMISSION_BITS);
      if (mtimeMs !== undefined) await file.utimes(...times(mtimeMs));
      if (this.#sync) await file.sync();
    } finally {
      await file.close();
    }
  }

  async #makeParents(path: string): Promise<void> {
    let above = "";
    for (const part of splitPath(parentPath(path))) {
      above += `/${part}`;
      if (this.#known.has(above)) continue;
      await this.#makeOne(this.#root + above);
      if (this.#known.size >= KNOWN_MAX) this.#known.clear();
      this.#known.add(above);
    }
  }

  async #makeOne(local: string): Promise<void> {
    const made = await mkdir(local).then(() => true, (error) => {
      if (error.code === "EEXIST") return false;
      throw localError(local, error);
    });
    if (made) return;
    const found = await lookAt(local);
    if (found?.isSymbolicLink() === true) {
      const state = "it is a symbolic link, which could lead outside";
      throw new TydfsError("denied", `Refused to write through ${quotePath(local)}: ${state}`);
    }
    if (found?.isDirectory() === true) return;
    const state = "it is no directory";
    throw new TydfsError("not-directory", `Cannot write below ${quotePath(local)}: ${state}`);
  }
}

async function lookAt(local: string) {
  return await lstat(local).catch((cause) => {
    if (cause.code === "ENOENT") return undefined;
    throw localError(local, cause);
  });
}

async function readTarget(path: string, pieces: AsyncIterable<Uint8Array>): Promise<string> {
  const parts: Uint8Array[] = [];
  let sizeBytes = 0;
  for await (const piece of pieces) {
    sizeBytes += piece.length;
    if (sizeBytes > LINK_BYTES_MAX) {
      const state = "its target is too long";
      throw new TydfsError("local", `Cannot make the link ${quotePath(path)}: ${state}`);
    }
    parts.push(piece.slice());
  }
  return Buffer.concat(parts).toString();
}

async function syncDirectory(path: string): Promise<void> {
  const directory = await open(path, "r");
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}

/** As dates, since seconds with a fraction lose a millisecond now and then. */
function times(mtimeMs: number): [Date, Date] {
  return [new Date(mtimeMs), new Date(mtimeMs)];
}

/** The error for a failure of the system; with `full` where nothing more can be written at all. */
function localError(local: string, cause: unknown): unknown {
  if (!(cause instanceof Error) || cause instanceof TydfsError || !("code" in cause)) return cause;
  const code = String(cause.code);
  const full = ["ENOSPC", "EDQUOT", "EROFS"].includes(code);
  const message = `Cannot write ${quotePath(local)}: ${cause.message}`;
  return new TydfsError("local", message, { cause, data: { full } });
}
