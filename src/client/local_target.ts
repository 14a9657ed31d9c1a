/**
 * A local file in the making: its bytes gather in a partial file beside its name until `finish`
 * renames it. The partial's name is fixed, so that a get that was cut off goes on where it was; a
 * lock lets one get at a time work on it, and dies with its holder. What a partial holds is never
 * trusted: who goes on checks its blocks.
 */
import { constants, lstatSync } from "node:fs";
import type { FileHandle } from "node:fs/promises";
import { lstat, mkdir, open, rename, unlink } from "node:fs/promises";
import { basename, dirname } from "node:path";
import { failpoint } from "../base/failpoint.ts";
import { lockOpenFile } from "../base/file_lock.ts";
import { Limiter } from "../base/limit.ts";
import type { Random } from "../base/random.ts";
import { randomHex } from "../base/random.ts";
import { TydfsError } from "../wire/errors.ts";
import { quotePath } from "../wire/names.ts";
import { joinLocal, localError } from "./local_files.ts";

/** Only its owner reads a file that is not whole. */
const PARTIAL_MODE = 0o600;
/** A name of up to 255 bytes is allowed, and the partial's must fit too. */
const STEM_BYTES_MAX = 200;
/** Tries to open a partial that others rename, remove or plant meanwhile. */
const OPEN_TRIES = 4;
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

interface OpenPartial {
  path: string;
  handle: FileHandle;
  /** Holds the lock; undefined where nobody else knows the name. */
  lock: FileHandle | undefined;
  foundBytes: number;
}

export class LocalTarget {
  readonly path: string;
  /** Where the bytes gather. */
  readonly partial: string;
  /** Whether the next try finds this partial again. */
  readonly isKept: boolean;
  /** Bytes that an earlier try left, right or wrong. */
  readonly foundBytes: number;
  readonly #handle: FileHandle;
  readonly #lock: FileHandle | undefined;
  /**
   * Writers of one file wait for its lock in the kernel, and burn a core by that: one at a time is
   * faster.
   */
  readonly #turns = new Limiter(1);
  #written = false;

  private constructor(path: string, opened: OpenPartial) {
    this.path = path;
    this.partial = opened.path;
    this.isKept = opened.lock !== undefined;
    this.foundBytes = opened.foundBytes;
    this.#handle = opened.handle;
    this.#lock = opened.lock;
  }

  /**
   * Begins a file at `path`, or goes on with it; makes the directories above it. A file that is
   * there stays until `finish`. While another get works on the same file, this one begins apart
   * from it.
   */
  static async create(path: string, random: Random): Promise<LocalTarget> {
    const directory = dirname(path);
    const name = basename(path);
    try {
      refusePartialName(path);
      await refuseSpecial(path);
      await mkdir(directory, { recursive: true });
      const kept = await openKept(joinLocal(directory, partialName(name)));
      if (kept !== undefined) return new LocalTarget(path, kept);
      const stem = Buffer.byteLength(name) <= STEM_BYTES_MAX ? name : "download";
      const own = joinLocal(directory, `.${stem}.tydfs-${randomHex(random, 6)}`);
      const handle = await open(own, "wx", PARTIAL_MODE);
      return new LocalTarget(path, { path: own, handle, lock: undefined, foundBytes: 0 });
    } catch (cause) {
      throw localError("write", path, cause);
    }
  }

  /** Cuts off what lies beyond the file's length: an earlier try may have been at a longer one. */
  async fit(sizeBytes: number): Promise<void> {
    if (this.foundBytes <= sizeBytes) return;
    await this.#handle.truncate(sizeBytes).catch((cause) => {
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
        const { bytesRead } = await this.#handle.read(buffer, filled, length, at);
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
    return this.#handle.fd;
  }

  noteWritten(): void {
    this.#written = true;
  }

  /** Writes all of `bytes` at `position`. */
  write(bytes: Uint8Array, position: number): Promise<void> {
    return this.#turns.run(async () => {
      try {
        this.#written = true;
        for (let done = 0; done < bytes.length;) {
          const length = bytes.length - done;
          const at = position + done;
          const { bytesWritten } = await this.#handle.write(bytes, done, length, at);
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
      await this.#handle.chmod(facts.mode & 0o777);
      await this.#handle.utimes(modified, modified);
      if (facts.sync) await this.#handle.sync();
      await this.#mustBeAtPartial();
      // Some file systems tell of a failed write only now: before the file is in its place.
      await this.#handle.close();
      await rename(this.partial, this.path).catch((cause) => {
        throw vanished(this.path, cause);
      });
      if (facts.sync) await syncDirectory(dirname(this.path));
    } catch (cause) {
      throw localError("write", this.path, cause);
    }
    // Not before the rename: who takes the lock next must not find the partial's name.
    await this.#lock?.close().catch(() => {});
  }

  /** Throws when something else has the partial's name by now: that must not become the file. */
  async #mustBeAtPartial(): Promise<void> {
    const own = await this.#handle.stat({ bigint: true });
    const there = await lstat(this.partial, { bigint: true }).catch((cause) => {
      throw vanished(this.path, cause);
    });
    if (there.ino === own.ino && there.dev === own.dev) return;
    const state = `its partial file ${quotePath(this.partial)} was replaced meanwhile`;
    throw new TydfsError("local", `Cannot write ${quotePath(this.path)}: ${state}`);
  }

  /**
   * Lets go of the partial file after a failure: it is kept for the next try, unless that could not
   * find it or it never held a byte. Returns whether it is kept.
   */
  async leave(): Promise<boolean> {
    const keeps = this.isKept && (this.#written || this.foundBytes > 0);
    await this.#handle.close().catch(() => {});
    if (!keeps) await unlink(this.partial).catch(() => {});
    await this.#lock?.close().catch(() => {});
    return keeps;
  }
}

/**
 * Opens and locks a partial file by its fixed name. Undefined when someone else is at it, or when
 * it can't be used; what is no plain file of this user's own (a planted link, above all) is removed
 * first.
 */
async function openKept(path: string): Promise<OpenPartial | undefined> {
  for (let tries = 0; tries < OPEN_TRIES; tries++) {
    const opened = await tryOpen(path);
    if (opened === "planted") {
      if (!await unlink(path).then(() => true, () => false)) return undefined;
    } else if (opened !== "gone") {
      return opened;
    }
  }
  return undefined;
}

async function tryOpen(path: string): Promise<OpenPartial | "planted" | "gone" | undefined> {
  const { O_RDWR, O_CREAT, O_NOFOLLOW, O_NONBLOCK } = constants;
  const handles: FileHandle[] = [];
  try {
    const lock = await open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK, PARTIAL_MODE);
    handles.push(lock);
    const before = await lock.stat();
    // Removed by the one who had it since it was opened: the name is free, or another's already.
    if (before.nlink === 0) return "gone";
    if (!before.isFile() || before.nlink > 1 || before.uid !== process.geteuid?.()) {
      return "planted";
    }
    if (!lockOpenFile(lock.fd)) return undefined;
    // The lock is kept apart from the writing, so that it outlives the handle's close.
    const handle = await open(path, O_RDWR | O_NOFOLLOW);
    handles.push(handle);
    const facts = await handle.stat();
    if (facts.ino !== before.ino || facts.dev !== before.dev) return "gone";
    await handle.chmod(PARTIAL_MODE);
    handles.length = 0;
    return { path, handle, lock, foundBytes: facts.size };
  } catch (cause) {
    const { code } = cause as { code?: unknown };
    if (code === "ELOOP") return "planted";
    // Its holder has renamed it into place between the two openings.
    if (code === "ENOENT" && handles.length > 0) return "gone";
    return undefined;
  } finally {
    for (const handle of handles) await handle.close().catch(() => {});
  }
}

/** A device or pipe must not be replaced by a file: `get` to `/dev/null` would do that. */
async function refuseSpecial(path: string): Promise<void> {
  const found = await lstat(path).catch(() => undefined);
  if (found === undefined || found.isFile() || found.isSymbolicLink() || found.isDirectory()) {
    return;
  }
  const state = "it is no regular file; to write to a pipe, get to - (standard output)";
  throw new TydfsError("local", `Cannot write ${quotePath(path)}: ${state}`);
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
