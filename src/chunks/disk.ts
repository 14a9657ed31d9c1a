/**
 * The keeper's disk: its only file calls, as an interface that a simulator can take over. Paths are
 * relative to one root. Nothing here decides; errors come out as the system words them, and
 * `faultOf` says what they mean.
 */
import {
  close,
  closeSync,
  constants,
  fdatasync,
  fsync,
  mkdirSync,
  openSync,
  read,
  readSync,
  renameSync,
  statSync,
  write,
  writeSync,
} from "node:fs";
import { readdir, readFile, statfs, unlink } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { KIB } from "../base/bytes.ts";
import { openLibc } from "../base/libc.ts";

/** A file that is open for reading. */
export interface DiskFile {
  /**
   * Reads at `position` from the page cache or the disk, on this thread; the bytes read, 0 at the
   * end.
   */
  readNow(buffer: Uint8Array, position: number): number;
  /** The same without blocking this thread. */
  read(buffer: Uint8Array, position: number): Promise<number>;
  /** Makes the file's bytes durable. */
  datasync(): Promise<void>;
  /**
   * Lets the page cache forget the file's bytes, so that they are read from the disk itself; does
   * nothing where the system has no way to.
   */
  forget(): void;
  close(): Promise<void>;
}

/** A short file that has just been written, and is open. To be closed once its sync is over. */
export interface NewFile {
  /** Makes the file's bytes durable. */
  datasync(): Promise<void>;
  close(): void;
}

export interface DiskSpace {
  totalBytes: number;
  freeBytes: number;
}

export interface Disk {
  /** Makes a directory and its parents, `private` for the owner alone; whether it is new. */
  makeDirectory(path: string, options?: { private: boolean }): boolean;
  /** Writes a request's body to `path` as it comes in; rejects when the sender goes away. */
  receive(path: string, request: Request): Promise<void>;
  /** Writes a new short file at once, which is not durable yet; fails when there is one. */
  create(path: string, bytes: Uint8Array): NewFile;
  /** Writes a new file; fails when there is one. With `sync` its bytes are durable at the end. */
  write(
    path: string,
    pieces: Iterable<Uint8Array> | AsyncIterable<Uint8Array>,
    options: { sync: boolean },
  ): Promise<void>;
  /** Writes into a file, made when missing, from `position` on; durable at the end. */
  writeAt(path: string, bytes: Uint8Array, position: number): Promise<void>;
  /** Reads a small file; undefined when there is none. */
  read(path: string): Promise<Uint8Array | undefined>;
  open(path: string): DiskFile;
  /** The file as a body that the kernel sends. It is opened when the sending begins. */
  body(path: string): Blob;
  rename(from: string, to: string): void;
  /** Removes a file; whether there was one. */
  remove(path: string): Promise<boolean>;
  /** The names in a directory, sorted; none when it does not exist. */
  list(path: string): Promise<string[]>;
  /** A file's size now; undefined when there is none. */
  sizeOf(path: string): number | undefined;
  /** Makes what was made, renamed or removed in a directory durable. */
  syncDirectory(path: string): Promise<void>;
  space(): Promise<DiskSpace>;
}

/** What a failed file call says about the disk; undefined when the disk is not to blame. */
export type DiskFault = "full" | "read-only" | "broken" | undefined;

const FAULTS: Record<string, DiskFault> = {
  ENOSPC: "full",
  EDQUOT: "full",
  EROFS: "read-only",
  EIO: "broken",
  ENXIO: "broken",
  ENODEV: "broken",
  EUCLEAN: "broken",
  ESTALE: "broken",
  EACCES: "broken",
  EPERM: "broken",
};

/** What `error` says about the disk. */
export function faultOf(error: unknown): DiskFault {
  return FAULTS[codeOf(error)];
}

/**
 * Whether a failed read means that the bytes themselves are gone. Anything else may pass (too many
 * open files, no memory) and says nothing about them.
 */
export function isUnreadable(error: unknown): boolean {
  return ["EIO", "EUCLEAN"].includes(codeOf(error));
}

/** Failures of this process or machine at this moment, which say nothing about the disk. */
const PASSING = ["EMFILE", "ENFILE", "ENOMEM", "ENOBUFS", "EINTR", "EAGAIN"];

/** Whether a file call failed for want of something else than the disk. */
export function isPassing(error: unknown): boolean {
  return PASSING.includes(codeOf(error));
}

function codeOf(error: unknown): string {
  return error instanceof Error && "code" in error ? String(error.code) : "";
}

const fsyncLater = promisify(fsync);
const datasyncLater = promisify(fdatasync);
const closeLater = promisify(close);
const readLater = promisify(read);
const writeLater = promisify(write);

/**
 * Up to so many bytes are written at once, into the page cache: the pool would take longer to be
 * told of them, and they would wait there behind syncs.
 */
const AT_ONCE_BYTES = 16 * KIB;

/**
 * The disk of this machine below `root`. Short calls on metadata and few bytes are made at once,
 * syncs and all other data in the pool, which has but as many threads as the machine has cores.
 */
export function systemDisk(root: string): Disk {
  const at = (path: string) => join(root, path);
  return {
    makeDirectory: (path, options) => {
      const mode = options?.private === true ? { mode: 0o700 } : {};
      return mkdirSync(at(path), { recursive: true, ...mode }) !== undefined;
    },
    async receive(path, request) {
      const length = request.headers.get("content-length");
      if (length === null || Number(length) > AT_ONCE_BYTES) {
        await Bun.write(at(path), request);
        return;
      }
      const bytes = await request.bytes();
      const handle = openSync(at(path), "w");
      try {
        await writeAll(handle, bytes, 0);
      } finally {
        closeSync(handle);
      }
    },
    create(path, bytes) {
      const handle = openSync(at(path), "wx");
      try {
        for (let done = 0; done < bytes.length;) {
          done += writeSync(handle, bytes, done, bytes.length - done, done);
        }
      } catch (error) {
        closeSync(handle);
        throw error;
      }
      return { datasync: () => datasyncLater(handle), close: () => closeSync(handle) };
    },
    async write(path, pieces, options) {
      const handle = openSync(at(path), "wx");
      try {
        let position = 0;
        for await (const piece of pieces) {
          await writeAll(handle, piece, position);
          position += piece.length;
        }
        if (options.sync) await datasyncLater(handle);
      } finally {
        // Some file systems write at the close what was not synced.
        if (options.sync) closeSync(handle);
        else await closeLater(handle);
      }
    },
    async writeAt(path, bytes, position) {
      const handle = openSync(at(path), constants.O_WRONLY | constants.O_CREAT, 0o600);
      try {
        await writeAll(handle, bytes, position);
        await datasyncLater(handle);
      } finally {
        closeSync(handle);
      }
    },
    read: (path) => unlessMissing(readFile(at(path)), undefined),
    open: (path) => systemFile(openSync(at(path), "r")),
    body: (path) => Bun.file(at(path)),
    rename: (from, to) => renameSync(at(from), at(to)),
    remove: (path) => unlessMissing(unlink(at(path)).then(() => true), false),
    list: async (path) => (await unlessMissing(readdir(at(path)), [])).sort(),
    sizeOf: (path) => statSync(at(path), { throwIfNoEntry: false })?.size,
    async syncDirectory(path) {
      const handle = openSync(at(path), "r");
      try {
        await fsyncLater(handle);
      } finally {
        closeSync(handle);
      }
    },
    async space() {
      const { blocks, bavail, bsize } = await statfs(root);
      return { totalBytes: blocks * bsize, freeBytes: bavail * bsize };
    },
  };
}

function systemFile(handle: number): DiskFile {
  return {
    readNow: (buffer, position) => readSync(handle, buffer, 0, buffer.length, position),
    async read(buffer, position) {
      return (await readLater(handle, buffer, 0, buffer.length, position)).bytesRead;
    },
    datasync: () => datasyncLater(handle),
    forget: () => forgetPages(handle),
    // It was only read: there is nothing to wait for.
    async close() {
      closeSync(handle);
    },
  };
}

/** Writes all of `bytes` at `position` of an open file. */
async function writeAll(handle: number, bytes: Uint8Array, position: number): Promise<void> {
  for (let done = 0; done < bytes.length;) {
    const rest = bytes.length - done;
    done += rest <= AT_ONCE_BYTES
      ? writeSync(handle, bytes, done, rest, position + done)
      : (await writeLater(handle, bytes, done, rest, position + done)).bytesWritten;
  }
}

const DONT_NEED = 4;
let libc: ReturnType<typeof openAdvice>;
let isLibcOpen = false;

function openAdvice() {
  return openLibc({
    posix_fadvise: { args: ["i32", "i64", "i64", "i32"], returns: "i32" },
  });
}

/** posix_fadvise(2) over the whole file. It is only advice: what it answers does not matter. */
function forgetPages(handle: number): void {
  // macOS has no such call, and other systems other numbers for it.
  if (process.platform !== "linux") return;
  if (!isLibcOpen) libc = openAdvice();
  isLibcOpen = true;
  libc?.posix_fadvise(handle, 0n, 0n, DONT_NEED);
}

async function unlessMissing<T, U>(result: Promise<T>, missing: U): Promise<T | U> {
  try {
    return await result;
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return missing;
    throw error;
  }
}
