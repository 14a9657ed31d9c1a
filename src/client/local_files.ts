/**
 * The client's only door to local files: sources that are read, targets that appear whole or not at
 * all. Every failure of the system becomes a `local` error that names the file.
 */
import type { FileHandle } from "node:fs/promises";
import { mkdir, open, rename, stat, unlink, utimes } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { KIB } from "../base/bytes.ts";
import { Limiter } from "../base/limit.ts";
import type { Random } from "../base/random.ts";
import { randomHex } from "../base/random.ts";
import { TydfsError } from "../wire/errors.ts";
import { quotePath } from "../wire/names.ts";

const PIPE_READ_BYTES = 256 * KIB;

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

  /** Opens `path`. Throws `is-directory` on a directory, `local` on what can't be read. */
  static async open(path: string): Promise<LocalSource> {
    const handle = await open(path, "r").catch((cause) => {
      throw localError("read", path, cause);
    });
    const facts = await handle.stat({ bigint: true });
    if (facts.isDirectory()) {
      await handle.close();
      const message = `Cannot put ${quotePath(path)}: it is a directory; put its files one by one`;
      throw new TydfsError("is-directory", message);
    }
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

/** A local file in the making: a temporary file beside its name until `finish` renames it. */
export class LocalTarget {
  readonly path: string;
  readonly #temporary: string;
  readonly #handle: FileHandle;
  /**
   * Writers of one file wait for its lock in the kernel, and burn a core by that: one at a time is
   * faster.
   */
  readonly #turns = new Limiter(1);

  private constructor(path: string, temporary: string, handle: FileHandle) {
    this.path = path;
    this.#temporary = temporary;
    this.#handle = handle;
  }

  /**
   * Begins a file at `path`; makes the directories above it. A file that is there stays until
   * `finish`.
   */
  static async create(path: string, random: Random): Promise<LocalTarget> {
    const name = basename(path);
    // A name of up to 255 bytes is allowed, and the temporary one must fit too.
    const stem = Buffer.byteLength(name) <= 200 ? name : "download";
    const temporary = join(dirname(path), `.${stem}.tydfs-${randomHex(random, 6)}`);
    try {
      await mkdir(dirname(path), { recursive: true });
      return new LocalTarget(path, temporary, await open(temporary, "wx"));
    } catch (cause) {
      throw localError("write", path, cause);
    }
  }

  /** Sets the length at once, so that parts can come in any order. */
  async reserve(sizeBytes: number): Promise<void> {
    await this.#handle.truncate(sizeBytes).catch((cause) => {
      throw localError("write", this.path, cause);
    });
  }

  /** Writes all of `bytes` at `position`. */
  write(bytes: Uint8Array, position: number): Promise<void> {
    return this.#turns.run(async () => {
      try {
        for (let done = 0; done < bytes.length;) {
          const length = bytes.length - done;
          const at = position + done;
          const { bytesWritten } = await this.#handle.write(bytes, done, length, at);
          done += bytesWritten;
        }
      } catch (cause) {
        throw localError("write", this.path, cause);
      }
    });
  }

  /** Puts the file in its place, in one step, with its times and mode. */
  async finish(facts: { mtimeMs: number; mode: number; sync: boolean }): Promise<void> {
    try {
      await this.#handle.chmod(facts.mode & 0o777);
      if (facts.sync) await this.#handle.sync();
      await this.#handle.close();
      await utimes(this.#temporary, facts.mtimeMs / 1000, facts.mtimeMs / 1000);
      await rename(this.#temporary, this.path);
      if (facts.sync) await syncDirectory(dirname(this.path));
    } catch (cause) {
      throw localError("write", this.path, cause);
    }
  }

  /** Removes the temporary file; does nothing after `finish`. */
  async discard(): Promise<void> {
    await this.#handle.close().catch(() => {});
    await unlink(this.#temporary).catch(() => {});
  }
}

/** The bytes of standard input, in order. */
export function standardInput(): AsyncIterable<Uint8Array> {
  return Bun.stdin.stream();
}

/** Where a download to `local` goes: into it when it is a directory (or is written like one). */
export async function resolveTarget(local: string, name: string): Promise<string> {
  if (local.endsWith("/")) return join(local, name);
  const found = await stat(local).catch(() => undefined);
  return found?.isDirectory() === true ? join(local, name) : local;
}

/** The error for a source that is not what it was when it was opened. */
export function changedError(path: string): TydfsError {
  const message = `Cannot put ${quotePath(path)}: the file changed while it was read`;
  return new TydfsError("changed", message);
}

async function syncDirectory(path: string): Promise<void> {
  const handle = await open(path, "r");
  await handle.sync().finally(() => handle.close());
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

/** A failure of the system as an error that names the file and says why. */
export function localError(action: "read" | "write", path: string, cause: unknown): TydfsError {
  if (cause instanceof TydfsError) return cause;
  const code = (cause as { code?: unknown } | undefined)?.code;
  const words = cause instanceof Error ? cause.message : String(cause);
  const reason = (typeof code === "string" ? REASONS[code] : undefined) ?? words;
  return new TydfsError("local", `Cannot ${action} ${quotePath(path)}: ${reason}`, { cause });
}
