/** Files in the master's data directory while snapshots are made, or read: the owner's alone. */
import {
  closeSync,
  existsSync,
  fsyncSync,
  ftruncateSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  writeSync,
} from "node:fs";
import { dirname } from "node:path";
import { TydfsError } from "../wire/errors.ts";
import type { ByteSink } from "./snapshot_file.ts";

/** A file that is written from its beginning to its end, and then read, kept or dropped. */
export class DraftFile implements ByteSink {
  readonly path: string;
  #handle: number | undefined;

  /** Makes the file anew. Throws `local`. */
  constructor(path: string) {
    this.path = path;
    dropFiles(path);
    this.#handle = guard(path, () => openSync(path, "wx", 0o600));
  }

  /** Appends. Throws `local`, e.g. when the disk is full. */
  write(bytes: Uint8Array): void {
    const handle = this.#handle;
    if (handle === undefined) return;
    for (let done = 0; done < bytes.length;) {
      done += guard(this.path, () => writeSync(handle, bytes, done));
    }
  }

  /** Makes it durable, and closes it. */
  close(): void {
    const handle = this.#handle;
    if (handle === undefined) return;
    this.#handle = undefined;
    guard(this.path, () => fsyncSync(handle));
    closeSync(handle);
  }

  /** Removes it. */
  drop(): void {
    if (this.#handle !== undefined) closeSync(this.#handle);
    this.#handle = undefined;
    dropFiles(this.path);
  }
}

/** A file that grows at its end, and is emptied from time to time. It is not synced. */
export class TailFile {
  readonly #path: string;
  #handle: number | undefined;

  constructor(path: string) {
    this.#path = path;
  }

  /** Everything in it; empty when there is no file. */
  read(): Uint8Array {
    return existsSync(this.#path) ? readFileSync(this.#path) : new Uint8Array(0);
  }

  /** Throws `local`. */
  append(bytes: Uint8Array): void {
    const handle = this.#open();
    for (let done = 0; done < bytes.length;) {
      done += guard(this.#path, () => writeSync(handle, bytes, done));
    }
  }

  /** Throws `local`. */
  empty(): void {
    guard(this.#path, () => ftruncateSync(this.#open()));
  }

  close(): void {
    if (this.#handle !== undefined) closeSync(this.#handle);
    this.#handle = undefined;
  }

  #open(): number {
    this.#handle ??= guard(this.#path, () => openSync(this.#path, "a", 0o600));
    return this.#handle;
  }
}

/** A file as a body that the kernel sends, or of which parts are read. */
export function bodyOf(path: string): Blob {
  return Bun.file(path);
}

/** Puts a finished file into its place, durably. */
export function moveFile(from: string, to: string): void {
  guard(to, () => renameSync(from, to));
  const directory = openSync(dirname(to), "r");
  try {
    fsyncSync(directory);
  } finally {
    closeSync(directory);
  }
}

/** Removes a file, and what SQLite may have put beside it. */
export function dropFiles(path: string): void {
  for (const ending of ["", "-wal", "-shm", "-journal"]) rmSync(path + ending, { force: true });
}

function guard<T>(path: string, act: () => T): T {
  try {
    return act();
  } catch (cause) {
    const words = cause instanceof Error ? cause.message : String(cause);
    throw new TydfsError("local", `Cannot write "${path}": ${words}`, { cause });
  }
}
