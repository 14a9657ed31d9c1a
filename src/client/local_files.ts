/**
 * Local files that are read, and what goes wrong with local files: every failure of the system
 * becomes a `local` error that names the file. Files that are written are in `local_target.ts`.
 */
import { closeSync, constants, fstatSync, openSync, readSync, statSync } from "node:fs";
import type { FileHandle } from "node:fs/promises";
import { open, stat } from "node:fs/promises";
import { KIB } from "../base/bytes.ts";
import { systemClock } from "../base/clock.ts";
import { TydfsError } from "../wire/errors.ts";
import { quotePath } from "../wire/names.ts";

const PIPE_READ_BYTES = 256 * KIB;
/** A pipe that has taken a file's name since it was looked at must not make anyone wait. */
const SMALL_FLAGS = constants.O_RDONLY | constants.O_NONBLOCK;
/**
 * Systems count times of files in ticks of up to 10 ms, and trees take times that differ by 2 ms
 * for the same: only from so much later on does every change show in a file's time.
 */
const TICK_MS = 20;

/** What must stay the same while a file is read. */
interface Fingerprint {
  sizeBytes: number;
  modifiedNs: bigint;
  inode: bigint;
  device: bigint;
}

/** A local file that is open for reading, or a pipe. */
export class LocalSource {
  readonly path: string;
  readonly kind: "file" | "stream";
  readonly sizeBytes: number;
  readonly mode: number;
  readonly mtimeMs: number;
  readonly #handle: FileHandle;
  readonly #fingerprint: Fingerprint;

  private constructor(path: string, handle: FileHandle, facts: OpenFacts) {
    this.path = path;
    this.#handle = handle;
    this.kind = facts.kind;
    this.sizeBytes = facts.fingerprint.sizeBytes;
    this.mode = facts.mode;
    this.mtimeMs = facts.mtimeMs;
    this.#fingerprint = facts.fingerprint;
  }

  /**
   * Opens `path`; one that was changed just now is awaited, until its next change would show in its
   * time. Throws `is-directory` on a directory, `local` on what can't be read.
   */
  static async open(path: string): Promise<LocalSource> {
    const handle = await open(path, "r").catch((cause) => {
      throw localError("read", path, cause);
    });
    const facts = await handle.stat({ bigint: true });
    if (facts.isDirectory()) {
      await handle.close();
      const message = `Cannot put ${quotePath(path)}: it is a directory; use -r`;
      throw new TydfsError("is-directory", message);
    }
    const ageMs = systemClock.wallMs() - Number(facts.mtimeMs);
    if (facts.isFile() && Math.abs(ageMs) < TICK_MS) await systemClock.sleep(TICK_MS - ageMs);
    return new LocalSource(path, handle, {
      kind: facts.isFile() ? "file" : "stream",
      mode: Number(facts.mode) & 0o777,
      mtimeMs: Number(facts.mtimeMs),
      fingerprint: fingerprintOf(facts),
    });
  }

  /** Reads bytes at `position` until `buffer` is full; returns fewer at the end of the file. */
  async read(buffer: Uint8Array, position: number): Promise<number> {
    try {
      for (let filled = 0;;) {
        const length = buffer.length - filled;
        const at = position + filled;
        const { bytesRead } = await this.#handle.read(buffer, filled, length, at);
        filled += bytesRead;
        if (bytesRead === 0 || filled === buffer.length) return filled;
      }
    } catch (cause) {
      throw localError("read", this.path, cause);
    }
  }

  /** A part of the file that the kernel sends by itself, without passing through this process. */
  slice(start: number, end: number): Blob {
    return Bun.file(this.path).slice(start, end);
  }

  /** The bytes of a pipe, in order. */
  async *stream(): AsyncGenerator<Uint8Array> {
    for (;;) {
      const buffer = new Uint8Array(PIPE_READ_BYTES);
      const { bytesRead } = await this.#handle.read(buffer).catch((cause) => {
        throw localError("read", this.path, cause);
      });
      if (bytesRead === 0) return;
      yield buffer.subarray(0, bytesRead);
    }
  }

  /** Throws `changed` unless the name still has the bytes that were opened. */
  async check(): Promise<void> {
    const now = await stat(this.path, { bigint: true }).then(fingerprintOf).catch(() => undefined);
    const then = this.#fingerprint;
    const same = now !== undefined && now.sizeBytes === then.sizeBytes &&
      now.modifiedNs === then.modifiedNs && now.inode === then.inode && now.device === then.device;
    if (!same) throw changedError(this.path);
  }

  async close(): Promise<void> {
    await this.#handle.close().catch(() => {});
  }
}

interface OpenFacts {
  kind: "file" | "stream";
  mode: number;
  mtimeMs: number;
  fingerprint: Fingerprint;
}

/** A small file as it was seen, and what reading it found. */
export interface SeenFile {
  sizeBytes: number;
  mtimeMs: number;
}

/** What a regular file of up to `bytesMax` is like; undefined for all else. */
export function lookAtSmall(path: string, bytesMax: number): SeenFile | undefined {
  try {
    const facts = statSync(path, { bigint: true });
    if (!facts.isFile() || facts.size > bytesMax) return undefined;
    return { sizeBytes: Number(facts.size), mtimeMs: Number(facts.mtimeMs) };
  } catch {
    // Whoever puts it by itself tells what is wrong.
    return undefined;
  }
}

/**
 * Reads all of a small regular file into `into`, which is as long as it was seen to be; returns its
 * mode. Undefined when it is not (or no more) what was seen, or can't be read, and `young` when it
 * was changed so short a while ago that its next change might not show in its time: `untilOld`
 * waits for that.
 *
 * In one go, without a promise: of thousands of files promises would cost more than the reading.
 */
export function readSmall(
  path: string,
  seen: SeenFile,
  into: Uint8Array,
): { mode: number } | "young" | undefined {
  if (Math.abs(systemClock.wallMs() - seen.mtimeMs) <= TICK_MS) return "young";
  let file: number | undefined;
  try {
    file = openSync(path, SMALL_FLAGS);
    let filled = 0;
    while (filled < into.length) {
      const read = readSync(file, into, filled, into.length - filled, filled);
      if (read === 0) return undefined;
      filled += read;
    }
    // After the bytes: whatever changed them since it was seen has changed size or time.
    const facts = fstatSync(file, { bigint: true });
    const same = facts.isFile() && Number(facts.size) === seen.sizeBytes &&
      Number(facts.mtimeMs) === seen.mtimeMs;
    return same ? { mode: Number(facts.mode) & 0o777 } : undefined;
  } catch {
    // Whoever puts it by itself tells what is wrong.
    return undefined;
  } finally {
    if (file !== undefined) closeSync(file);
  }
}

/** Waits until what was changed before this call is not `young` any more. */
export async function untilOld(signal: AbortSignal): Promise<void> {
  await systemClock.sleep(TICK_MS + 1, signal);
}

/** The bytes of standard input, in order. */
export function standardInput(): AsyncIterable<Uint8Array> {
  return Bun.stdin.stream();
}

/**
 * A name in a local directory. The directory stays as it is written: `link/..` is what the system
 * takes it for, and not the directory that the link lies in.
 */
export function joinLocal(directory: string, name: string): string {
  if (directory === ".") return name;
  return directory.endsWith("/") ? directory + name : `${directory}/${name}`;
}

/** Where a download to `local` goes: into it when it is a directory (or is written like one). */
export async function resolveTarget(local: string, name: string): Promise<string> {
  if (local.endsWith("/")) return joinLocal(local, name);
  const found = await stat(local).catch(() => undefined);
  return found?.isDirectory() === true ? joinLocal(local, name) : local;
}

/** The error for a source that is not what it was when it was opened. */
export function changedError(path: string): TydfsError {
  const message = `Cannot put ${quotePath(path)}: the file changed while it was read`;
  return new TydfsError("changed", message);
}

function fingerprintOf(
  facts: { size: bigint; mtimeNs: bigint; ino: bigint; dev: bigint },
): Fingerprint {
  return {
    sizeBytes: Number(facts.size),
    modifiedNs: facts.mtimeNs,
    inode: facts.ino,
    device: facts.dev,
  };
}

const REASONS: Record<string, string> = {
  ENOENT: "there is no such file",
  EACCES: "permission denied",
  EPERM: "permission denied",
  ENOSPC: "no space is left on the device",
  EDQUOT: "the quota is used up",
  EROFS: "the file system is read-only",
  EISDIR: "it is a directory",
  ENOTDIR: "a part of the path is not a directory",
  ENAMETOOLONG: "the name is too long",
  EMFILE: "too many files are open",
  ELOOP: "its symbolic links go in a circle",
  EFBIG: "the file is too large for the file system",
};

/** A failure of the system as a `local` error that names the file; one of ours stays as it is. */
export function localError(action: "read" | "write", path: string, cause: unknown): TydfsError {
  if (cause instanceof TydfsError) return cause;
  const { code, syscall } = (cause ?? {}) as { code?: unknown; syscall?: unknown };
  // What was to be made with all that is above it is there, and a file.
  if (code === "EEXIST" && syscall === "mkdir") {
    return localError(action, path, Object.assign(new Error("", { cause }), { code: "ENOTDIR" }));
  }
  const words = cause instanceof Error ? cause.message : String(cause);
  const known = (typeof code === "string" ? REASONS[code] : undefined) ?? words;
  // What is not UTF-8 on the command line has become this mark, and names no file.
  const reason = code === "ENOENT" && path.includes("\ufffd")
    ? `${known}; one whose name is not UTF-8 must be renamed`
    : known;
  return new TydfsError("local", `Cannot ${action} ${quotePath(path)}: ${reason}`, { cause });
}
