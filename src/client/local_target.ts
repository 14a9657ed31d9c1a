/**
 * A local file in the making: its bytes gather in a partial file beside its name until `finish`
 * renames it. The partial's name is fixed, so that a get that was cut off goes on where it was; a
 * lock lets one get at a time work on it, and dies with its holder. What a partial holds is never
 * trusted: who goes on checks its blocks.
 *
 * Names and facts are dealt with by calls that do not return before the system has: of a tree of
 * middle-sized files, a dozen turns of the pool for each would take longer than its bytes. What
 * moves bytes, or waits for a disk, goes to the pool.
 */
import {
  close,
  fchmodSync,
  fstatSync,
  fsync,
  ftruncate,
  futimesSync,
  lstatSync,
  mkdirSync,
  openSync,
  read,
  renameSync,
  write,
} from "node:fs";
import { open } from "node:fs/promises";
import { basename, dirname } from "node:path";
import { promisify } from "node:util";
import { failpoint } from "../base/failpoint.ts";
import { Limiter } from "../base/limit.ts";
import type { Random } from "../base/random.ts";
import { randomHex } from "../base/random.ts";
import { TydfsError } from "../wire/errors.ts";
import { quotePath } from "../wire/names.ts";
import { joinLocal, localError } from "./local_files.ts";
import type { OpenPartial } from "./partial_file.ts";
import { openKept, PARTIAL_MODE, tryClose, tryUnlink } from "./partial_file.ts";

/** A name of up to 255 bytes is allowed, and the partial's must fit too. */
const STEM_BYTES_MAX = 200;
const PARTIAL_NAME = /^\..+\.tydfs-(?:part|[0-9a-f]{12})$/;

/** Whether a file name is that of a download that is not whole: nothing to be put. */
export function isPartialName(name: string): boolean {
  return PARTIAL_NAME.test(name);
}

/**
 * Throws `local` where a file could not be told from a download that is not whole: the next get of
 * another file would write over it.
 */
export function refusePartialName(path: string): void {
  if (!isPartialName(basename(path))) return;
  const state = "names like this are those of unfinished downloads; choose another name";
  throw new TydfsError("local", `Cannot write ${quotePath(path)}: ${state}`);
}

/** The name of the partial file of a target called `name`. */
export function partialName(name: string): string {
  if (Buffer.byteLength(name) <= STEM_BYTES_MAX) return `.${name}.tydfs-part`;
  const hash = Bun.hash.xxHash3(Buffer.from(name)).toString(16).padStart(16, "0");
  return `.download-${hash}.tydfs-part`;
}

/**
 * Whether nothing lies at `path`, and no part of an earlier try beside it. To replace a file may
 * take long: some systems then wait until the old one is written away.
 */
export function isFresh(path: string): boolean {
  try {
    if (lstatSync(path, { throwIfNoEntry: false }) !== undefined) return false;
    const partial = joinLocal(dirname(path), partialName(basename(path)));
    return lstatSync(partial, { throwIfNoEntry: false }) === undefined;
  } catch {
    return false;
  }
}

/** What the target's file is like when it is whole. */
export interface TargetFacts {
  mtimeMs: number;
  mode: number;
  /** Wait until it is on its disk. */
  sync: boolean;
}

const closeLater = promisify(close);
const readLater = promisify(read);
const syncLater = promisify(fsync);
const truncateLater = promisify(ftruncate);
const writeLater = promisify(write);

export class LocalTarget {
  readonly path: string;
  /** Where the bytes gather. */
  readonly partial: string;
  /** Whether the next try finds this partial again. */
  readonly isKept: boolean;
  /** Bytes that an earlier try left, right or wrong. */
  readonly foundBytes: number;
  readonly #fd: number;
  readonly #lock: number | undefined;
  /**
   * Writers of one file wait for its lock in the kernel, and burn a core by that: one at a time is
   * faster.
   */
  readonly #turns = new Limiter(1);
  #written = false;
  #closed = false;
  #unlocked = false;

  private constructor(path: string, opened: OpenPartial) {
    this.path = path;
    this.partial = opened.path;
    this.isKept = opened.lock !== undefined;
    this.foundBytes = opened.foundBytes;
    this.#fd = opened.fd;
    this.#lock = opened.lock;
  }

  /**
   * Begins a file at `path`, or goes on with it; makes the directories above it. A file that is
   * there stays until `finish`. While another get works on the same file, this one begins apart
   * from it.
   */
  static create(path: string, random: Random): Promise<LocalTarget> {
    try {
      return Promise.resolve(new LocalTarget(path, openPartial(path, random)));
    } catch (cause) {
      return Promise.reject(localError("write", path, cause));
    }
  }

  /** Cuts off what lies beyond the file's length: an earlier try may have been at a longer one. */
  async fit(sizeBytes: number): Promise<void> {
    if (this.foundBytes <= sizeBytes) return;
    await truncateLater(this.#fd, sizeBytes).catch((cause) => {
      throw localError("write", this.path, cause);
    });
  }

  /**
   * Fills `buffer` with what an earlier try left at `position`. Returns false when it can't: then
   * there is nothing to go on with, whatever the reason.
   */
  async readBack(buffer: Uint8Array, position: number): Promise<boolean> {
    try {
      for (let filled = 0; filled < buffer.length;) {
        const length = buffer.length - filled;
        const at = position + filled;
        const { bytesRead } = await readLater(this.#fd, buffer, filled, length, at);
        if (bytesRead === 0) return false;
        filled += bytesRead;
      }
      return true;
    } catch {
      return false;
    }
  }

  /** The open file, for who writes to it besides `write`, and tells that by `noteWritten`. */
  get fd(): number {
    return this.#fd;
  }

  noteWritten(): void {
    this.#written = true;
  }

  /** Writes all of `bytes` at `position`. */
  write(bytes: Uint8Array, position: number): Promise<void> {
    return this.#turns.run(async () => {
      try {
        if (this.#closed) throw new Error("the file is closed");
        this.#written = true;
        for (let done = 0; done < bytes.length;) {
          const length = bytes.length - done;
          const at = position + done;
          const { bytesWritten } = await writeLater(this.#fd, bytes, done, length, at);
          done += bytesWritten;
        }
        await failpoint("client.get.written");
      } catch (cause) {
        throw localError("write", this.path, cause);
      }
    });
  }

  /** Puts the file in its place, in one step, with its times and mode. */
  async finish(facts: TargetFacts): Promise<void> {
    // As a date, since seconds with a fraction lose a millisecond now and then.
    const modified = new Date(facts.mtimeMs);
    try {
      fchmodSync(this.#fd, facts.mode & 0o777);
      futimesSync(this.#fd, modified, modified);
      if (facts.sync) await syncLater(this.#fd);
      this.#mustBeAtPartial();
      // Some file systems tell of a failed write only now: before the file is in its place.
      await this.#close();
      this.#putInPlace();
      if (facts.sync) await syncDirectory(dirname(this.path));
    } catch (cause) {
      throw localError("write", this.path, cause);
    }
    // Not before the rename: who takes the lock next must not find the partial's name.
    this.#unlock();
  }

  /** Throws when something else has the partial's name by now: that must not become the file. */
  #mustBeAtPartial(): void {
    const own = fstatSync(this.#fd, { bigint: true });
    let there: { ino: bigint; dev: bigint };
    try {
      there = lstatSync(this.partial, { bigint: true });
    } catch (cause) {
      throw vanished(this.path, cause);
    }
    if (there.ino === own.ino && there.dev === own.dev) return;
    const state = `its partial file ${quotePath(this.partial)} was replaced meanwhile`;
    throw new TydfsError("local", `Cannot write ${quotePath(this.path)}: ${state}`);
  }

  #putInPlace(): void {
    try {
      renameSync(this.partial, this.path);
    } catch (cause) {
      throw vanished(this.path, cause);
    }
  }

  /**
   * Lets go of the partial file after a failure: it is kept for the next try, unless that could not
   * find it or it never held a byte. Returns whether it is kept.
   */
  async leave(): Promise<boolean> {
    const keeps = this.isKept && (this.#written || this.foundBytes > 0);
    await this.#close().catch(() => {});
    if (!keeps) tryUnlink(this.partial);
    this.#unlock();
    return keeps;
  }

  /** Closes the file, once, when nothing writes: its number may be another's after that. */
  #close(): Promise<void> {
    return this.#turns.run(async () => {
      if (this.#closed) return;
      this.#closed = true;
      await closeLater(this.#fd);
    });
  }

  #unlock(): void {
    if (this.#lock === undefined || this.#unlocked) return;
    this.#unlocked = true;
    tryClose(this.#lock);
  }
}

/** Opens the partial file for `path`, with the directories above it. */
function openPartial(path: string, random: Random): OpenPartial {
  const directory = dirname(path);
  const name = basename(path);
  refusePartialName(path);
  refuseSpecial(path);
  mkdirSync(directory, { recursive: true });
  const kept = openKept(joinLocal(directory, partialName(name)));
  if (kept !== undefined) return kept;
  const stem = Buffer.byteLength(name) <= STEM_BYTES_MAX ? name : "download";
  const own = joinLocal(directory, `.${stem}.tydfs-${randomHex(random, 6)}`);
  const fd = openSync(own, "wx", PARTIAL_MODE);
  return { path: own, fd, lock: undefined, foundBytes: 0 };
}

/** A device or pipe must not be replaced by a file: `get` to `/dev/null` would do that. */
function refuseSpecial(path: string): void {
  const found = look(path);
  if (found === undefined || found.isFile() || found.isSymbolicLink() || found.isDirectory()) {
    return;
  }
  const state = "it is no regular file; to write to a pipe, get to - (standard output)";
  throw new TydfsError("local", `Cannot write ${quotePath(path)}: ${state}`);
}

/** What is at a path, as far as that can be told. */
function look(path: string) {
  try {
    return lstatSync(path, { throwIfNoEntry: false });
  } catch {
    return undefined;
  }
}

function vanished(path: string, cause: unknown): unknown {
  if ((cause as { code?: unknown }).code !== "ENOENT") return cause;
  const state = "its directory, or the partial file in it, was removed meanwhile";
  return new TydfsError("local", `Cannot write ${quotePath(path)}: ${state}`, { cause });
}

async function syncDirectory(path: string): Promise<void> {
  const handle = await open(path, "r");
  await handle.sync().finally(() => handle.close());
}
