/**
 * A drive: what a disk holds, once as programs see it and once as it would be after a power loss.
 * Bytes are durable when the file was synced, names when their directory was; of the rest a power
 * loss keeps as much as the dice say, as file systems do. The drive outlives all processes.
 */
import type { Random } from "../../src/base/random.ts";

/** A file without its name. */
export interface Inode {
  /** What programs read. Never changed in place: who has read it keeps what it was. */
  bytes: Uint8Array;
  /** What a power loss leaves; undefined: it was never synced. */
  durable: Uint8Array | undefined;
  /** A rename of it is durable: its first name can't come back. */
  moved: boolean;
  /** A sync has failed: the kernel has given up these pages, and further syncs do nothing. */
  dropped: boolean;
}

interface Directory {
  files: Map<string, Inode>;
  durable: Map<string, Inode>;
  /** What was done since the last sync, in order. */
  pending: (() => void)[];
  /** The directory itself is there after a power loss. */
  isDurable: boolean;
}

const ROOT = "";

export class Drive {
  readonly #random: Random;
  readonly #directories = new Map<string, Directory>();
  /** Paths that were damaged from outside: nobody is to blame for them. */
  readonly damaged = new Set<string>();
  /** Hears of each file that a program removes, before it is gone. */
  onRemove: (path: string) => void = () => {};
  totalBytes = 2 ** 30;
  #usedBytes = 0;

  constructor(random: Random) {
    this.#random = random;
    this.#directories.set(ROOT, newDirectory(true));
  }

  get freeBytes(): number {
    return Math.max(0, this.totalBytes - this.#usedBytes);
  }

  /** Makes a directory and its parents; whether it is new. */
  makeDirectory(path: string): boolean {
    const key = normal(path);
    if (this.#directories.has(key)) return false;
    this.makeDirectory(parentOf(key));
    const directory = newDirectory(false);
    this.#directories.set(key, directory);
    this.#must(parentOf(key)).pending.push(() => directory.isDurable = true);
    return true;
  }

  find(path: string): Inode | undefined {
    return this.#directories.get(parentOf(normal(path)))?.files.get(nameOf(path));
  }

  hasDirectory(path: string): boolean {
    return this.#directories.has(normal(path));
  }

  /** Makes an empty file; fails when there is one, unless it may be truncated. */
  create(path: string, exclusive: boolean): Inode {
    const key = normal(path);
    const directory = this.#must(parentOf(key));
    const present = directory.files.get(nameOf(key));
    if (present !== undefined) {
      if (exclusive) throw diskError("EEXIST", path);
      this.grow(present, new Uint8Array());
      return present;
    }
    const inode: Inode = {
      bytes: new Uint8Array(),
      durable: undefined,
      dropped: false,
      moved: false,
    };
    const name = nameOf(key);
    directory.files.set(name, inode);
    directory.pending.push(() => {
      if (!inode.moved) directory.durable.set(name, inode);
    });
    return inode;
  }

  /** Gives a file other bytes. Throws `ENOSPC` when the drive is full. */
  grow(inode: Inode, bytes: Uint8Array): void {
    const moreBytes = bytes.length - inode.bytes.length;
    if (moreBytes > this.freeBytes) throw diskError("ENOSPC", "");
    this.#usedBytes += moreBytes;
    inode.bytes = bytes;
  }

  rename(from: string, to: string): void {
    const source = this.#must(parentOf(normal(from)));
    const target = this.#must(parentOf(normal(to)));
    const [oldName, newName] = [nameOf(from), nameOf(to)];
    const inode = source.files.get(oldName);
    if (inode === undefined) throw diskError("ENOENT", from);
    source.files.delete(oldName);
    const replaced = target.files.get(newName);
    if (replaced !== undefined) this.#usedBytes -= replaced.bytes.length;
    target.files.set(newName, inode);
    this.damaged.delete(normal(to));
    // The old name may stay as long as the new one is not durable, and goes with it.
    target.pending.push(() => {
      target.durable.set(newName, inode);
      inode.moved = true;
      // Something else may have that name by now.
      if (source.durable.get(oldName) === inode) source.durable.delete(oldName);
    });
  }

  remove(path: string): boolean {
    const directory = this.#directories.get(parentOf(normal(path)));
    const name = nameOf(path);
    const inode = directory?.files.get(name);
    if (directory === undefined || inode === undefined) return false;
    this.onRemove(path);
    this.#usedBytes -= inode.bytes.length;
    directory.files.delete(name);
    directory.pending.push(() => directory.durable.delete(name));
    return true;
  }

  /** The names in a directory, sorted; none when there is no such directory. */
  list(path: string): string[] {
    const key = normal(path);
    const directory = this.#directories.get(key);
    if (directory === undefined) return [];
    const names = [...directory.files.keys()];
    const prefix = key === ROOT ? "" : `${key}/`;
    for (const each of this.#directories.keys()) {
      if (each === ROOT || !each.startsWith(prefix)) continue;
      if (!each.includes("/", prefix.length)) names.push(each.slice(prefix.length));
    }
    return names.sort();
  }

  syncFile(inode: Inode): void {
    if (!inode.dropped) inode.durable = inode.bytes;
  }

  syncDirectory(path: string): void {
    const directory = this.#must(normal(path));
    for (const task of directory.pending.splice(0)) task();
  }

  /** Whether a file would be there whole after a power loss now. */
  isDurable(path: string): boolean {
    const key = normal(path);
    let holder = parentOf(key);
    const directory = this.#directories.get(holder);
    const inode = directory?.files.get(nameOf(key));
    if (inode === undefined || inode.durable !== inode.bytes) return false;
    if (directory?.durable.get(nameOf(key)) !== inode) return false;
    for (; holder !== ROOT; holder = parentOf(holder)) {
      if (this.#directories.get(holder)?.isDurable !== true) return false;
    }
    return true;
  }

  /** The power goes: what was not synced is gone, but for what the dice keep. */
  losePower(): void {
    const random = this.#random;
    for (const { pending } of this.#directories.values()) {
      // A journal is written in order, up to some point.
      const kept = random.next() < 0.5 ? 0 : Math.floor(random.next() * (pending.length + 1));
      for (const task of pending.splice(0).slice(0, kept)) task();
    }
    this.#usedBytes = 0;
    for (const [path, directory] of this.#directories) {
      if (path === ROOT) continue;
      const above = this.#directories.get(parentOf(path));
      if (!directory.isDurable || above === undefined) this.#directories.delete(path);
    }
    for (const { files, durable } of this.#directories.values()) {
      files.clear();
      for (const [name, inode] of durable) {
        inode.bytes = inode.durable ?? this.#remains(inode.bytes);
        inode.durable = inode.bytes;
        inode.dropped = false;
        this.#usedBytes += inode.bytes.length;
        files.set(name, inode);
      }
    }
  }

  /** Damages a file behind everyone's back. */
  damage(path: string, change: (bytes: Uint8Array) => Uint8Array | undefined): void {
    const inode = this.find(path);
    if (inode === undefined) return;
    this.damaged.add(normal(path));
    const bytes = change(inode.bytes);
    if (bytes === undefined) {
      this.remove(path);
      this.syncDirectory(parentOf(normal(path)));
      return;
    }
    this.#usedBytes += bytes.length - inode.bytes.length;
    inode.bytes = bytes;
    inode.durable = bytes;
  }

  /** The paths of all files below a directory, sorted. */
  walk(path: string): string[] {
    const below = normal(path);
    return [...this.#directories].filter(([key]) => key === below || key.startsWith(`${below}/`))
      .flatMap(([key, { files }]) => [...files.keys()].map((name) => `${key}/${name}`)).sort();
  }

  /** What is left of bytes that were never synced: all, a part, zeros, or nothing. */
  #remains(bytes: Uint8Array): Uint8Array {
    const kind = Math.floor(this.#random.next() * 4);
    if (kind === 0) return bytes;
    if (kind === 1) return bytes.slice(0, Math.floor(this.#random.next() * bytes.length));
    return kind === 2 ? new Uint8Array(bytes.length) : new Uint8Array();
  }

  #must(path: string): Directory {
    const directory = this.#directories.get(path);
    if (directory === undefined) throw diskError("ENOENT", path);
    return directory;
  }
}

/** An error as the system words it. */
export function diskError(code: string, path: string): Error {
  return Object.assign(new Error(`${code}: simulated, "${path}"`), { code });
}

function newDirectory(isDurable: boolean): Directory {
  return { files: new Map(), durable: new Map(), pending: [], isDurable };
}

function normal(path: string): string {
  if (path === ".") return ROOT;
  const start = path.startsWith("./") ? 2 : 0;
  return path.slice(start, path.endsWith("/") ? -1 : undefined);
}

function parentOf(path: string): string {
  return path.includes("/") ? path.slice(0, path.lastIndexOf("/")) : ROOT;
}

function nameOf(path: string): string {
  return path.slice(path.lastIndexOf("/") + 1);
}
