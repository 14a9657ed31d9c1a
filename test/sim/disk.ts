/**
 * A keeper's disk as one process has it: the calls of `Disk` on a drive, each with the time that it
 * takes, and with faults. Calls of a process that dies meanwhile never end; what they had done is
 * done.
 */
import type { Random } from "../../src/base/random.ts";
import type { Disk, DiskFile, DiskSpace, NewFile } from "../../src/chunks/disk.ts";
import type { Drive, Inode } from "./drive.ts";
import { diskError } from "./drive.ts";
import type { SimProcess } from "./process.ts";
import { bodyOf } from "./request.ts";

/** What is wrong with a disk now. */
export interface DiskFaults {
  /** The share of syncs that fail with EIO. */
  syncErrors: number;
  /** The share of reads that fail with EIO. */
  readErrors: number;
  readOnly: boolean;
  /** Every call takes so many times as long. */
  slowness: number;
}

export const SOUND: DiskFaults = { syncErrors: 0, readErrors: 0, readOnly: false, slowness: 1 };

export interface SimDiskOptions {
  drive: Drive;
  process: SimProcess;
  random: Random;
  /** Looked at with each call. */
  faults: () => DiskFaults;
}

const SYNC_MS = 4;
const CALL_MS = 0.2;
const DIRECTORY_BYTES = 4096;

export class SimDisk implements Disk {
  readonly #options: SimDiskOptions;

  constructor(options: SimDiskOptions) {
    this.#options = options;
  }

  makeDirectory(path: string): boolean {
    this.#checkWritable(path);
    return this.#options.drive.makeDirectory(path);
  }

  async receive(path: string, request: Request): Promise<void> {
    const { drive } = this.#options;
    this.#checkWritable(path);
    const inode = drive.create(path, false);
    for await (const piece of bodyOf(request)) await this.#append(path, inode, piece);
  }

  create(path: string, bytes: Uint8Array): NewFile {
    const { drive } = this.#options;
    this.#checkWritable(path);
    const inode = drive.create(path, true);
    drive.grow(inode, Uint8Array.from(bytes));
    return { datasync: () => this.#sync(inode), close: () => {} };
  }

  async write(
    path: string,
    pieces: Iterable<Uint8Array> | AsyncIterable<Uint8Array>,
    options: { sync: boolean },
  ): Promise<void> {
    const inode = await this.#call(CALL_MS, () => {
      this.#checkWritable(path);
      return this.#options.drive.create(path, true);
    });
    for await (const piece of pieces) await this.#append(path, inode, piece);
    if (options.sync) await this.#sync(inode);
  }

  async writeAt(path: string, bytes: Uint8Array, position: number): Promise<void> {
    const { drive } = this.#options;
    const inode = await this.#call(CALL_MS, () => {
      this.#checkWritable(path);
      const found = drive.find(path) ?? drive.create(path, false);
      const whole = new Uint8Array(Math.max(found.bytes.length, position + bytes.length));
      whole.set(found.bytes);
      whole.set(bytes, position);
      drive.grow(found, whole);
      return found;
    });
    await this.#sync(inode);
  }

  read(path: string): Promise<Uint8Array | undefined> {
    return this.#call(CALL_MS, () => {
      const bytes = this.#options.drive.find(path)?.bytes;
      if (bytes !== undefined) this.#mayFailToRead(path);
      return bytes;
    });
  }

  open(path: string): DiskFile {
    const inode = this.#mustFind(path);
    return {
      readNow: (buffer, position) => {
        this.#check();
        return copyTo(buffer, inode.bytes, position);
      },
      read: (buffer, position) =>
        this.#call(CALL_MS, () => {
          this.#mayFailToRead(path);
          return copyTo(buffer, inode.bytes, position);
        }),
      datasync: () => this.#sync(inode),
      forget: () => {},
      close: () => this.#call(0, () => {}),
    };
  }

  body(path: string): Blob {
    this.#check();
    return new Blob([(this.#options.drive.find(path)?.bytes ?? new Uint8Array()) as BlobPart]);
  }

  rename(from: string, to: string): void {
    this.#checkWritable(from);
    this.#options.drive.rename(from, to);
  }

  remove(path: string): Promise<boolean> {
    return this.#call(CALL_MS, () => {
      if (this.#options.drive.find(path) === undefined) return false;
      this.#checkWritable(path);
      return this.#options.drive.remove(path);
    });
  }

  list(path: string): Promise<string[]> {
    return this.#call(CALL_MS, () => this.#options.drive.list(path));
  }

  sizeOf(path: string): number | undefined {
    this.#check();
    const { drive } = this.#options;
    return drive.find(path)?.bytes.length ??
      (drive.hasDirectory(path) ? DIRECTORY_BYTES : undefined);
  }

  syncDirectory(path: string): Promise<void> {
    return this.#call(SYNC_MS, () => {
      this.#mayFailToSync(path);
      this.#options.drive.syncDirectory(path);
    });
  }

  space(): Promise<DiskSpace> {
    return this.#call(CALL_MS, () => {
      const { totalBytes, freeBytes } = this.#options.drive;
      return { totalBytes, freeBytes };
    });
  }

  #append(path: string, inode: Inode, piece: Uint8Array): Promise<void> {
    return this.#call(CALL_MS, () => {
      this.#checkWritable(path);
      const whole = new Uint8Array(inode.bytes.length + piece.length);
      whole.set(inode.bytes);
      whole.set(piece, inode.bytes.length);
      this.#options.drive.grow(inode, whole);
    });
  }

  #sync(inode: Inode): Promise<void> {
    return this.#call(SYNC_MS, () => {
      try {
        this.#mayFailToSync("");
      } catch (error) {
        inode.dropped = true;
        throw error;
      }
      this.#options.drive.syncFile(inode);
    });
  }

  #mustFind(path: string): Inode {
    this.#check();
    const inode = this.#options.drive.find(path);
    if (inode === undefined) throw diskError("ENOENT", path);
    return inode;
  }

  #call<T>(ms: number, task: () => T): Promise<T> {
    const { process, random, faults } = this.#options;
    return process.later(ms * random.next() * faults().slowness, task);
  }

  #check(): void {
    this.#options.process.check();
  }

  #checkWritable(path: string): void {
    this.#check();
    if (this.#options.faults().readOnly) throw diskError("EROFS", path);
  }

  #mayFailToSync(path: string): void {
    const { faults, random } = this.#options;
    if (faults().readOnly) throw diskError("EROFS", path);
    const { syncErrors } = faults();
    if (syncErrors > 0 && random.next() < syncErrors) throw diskError("EIO", path);
  }

  #mayFailToRead(path: string): void {
    const { faults, random } = this.#options;
    const { readErrors } = faults();
    if (readErrors > 0 && random.next() < readErrors) throw diskError("EIO", path);
  }
}

function copyTo(buffer: Uint8Array, bytes: Uint8Array, position: number): number {
  const part = bytes.subarray(position, position + buffer.length);
  buffer.set(part);
  return part.length;
}
