/**
 * What differs between the disk and what was sent, and what was only renamed: pure decisions of a
 * watch. Times are compared by the millisecond: a file is looked at only when it has been quiet for
 * longer than that.
 */
import type { LocalEntry } from "../trees/local_tree.ts";

/** What was sent of a path, as the state database has it. */
export interface KnownEntry {
  /** Below the watched directory, `a/b`. */
  path: string;
  kind: "file" | "directory" | "link";
  sizeBytes: number;
  mtimeMs: number;
  mode: number;
  inode: bigint;
  device: bigint;
  /** The remote file's version; 0 for a directory. */
  version: number;
  checksum: string;
}

/**
 * How an entry on the disk differs from what was sent:
 * `none`: not at all · `identity`: by inode or device alone, which says nothing of its content ·
 * `facts`: by its mode · `maybe`: its size is the same, its time or inode is not: only the bytes
 * tell · `content`: it must be sent · `kind`: something else has its name · `new`: it was never
 * sent.
 */
export type Difference = "none" | "identity" | "facts" | "maybe" | "content" | "kind" | "new";

export interface CompareOptions {
  /** Whether another inode means another file; on network mounts the numbers may come and go. */
  trustInodes: boolean;
}

/** Compares an entry on the disk with what was sent of its path. */
export function compareEntry(
  disk: LocalEntry,
  known: KnownEntry | undefined,
  { trustInodes }: CompareOptions,
): Difference {
  if (known === undefined) return "new";
  if (disk.kind !== known.kind) return "kind";
  const sameDevice = disk.device === known.device;
  const sameIdentity = sameDevice && disk.inode === known.inode;
  if (disk.kind !== "directory") {
    if (disk.sizeBytes !== known.sizeBytes) return "content";
    if (disk.mtimeMs !== known.mtimeMs) return disk.kind === "link" ? "content" : "maybe";
    // Where the device is another one, the disk was mounted anew, and all inodes may be others.
    if (trustInodes && sameDevice && !sameIdentity) {
      return disk.kind === "link" ? "content" : "maybe";
    }
  }
  if (disk.kind !== "link" && disk.mode !== known.mode) return "facts";
  return sameIdentity ? "none" : "identity";
}

/** Whether two looks at a path saw the same: nothing was there, or the same unchanged entry. */
export function sameLook(left: LocalEntry | undefined, right: LocalEntry | undefined): boolean {
  if (left === undefined || right === undefined) return left === right;
  const same = left.kind === right.kind && left.inode === right.inode &&
    left.device === right.device;
  // A directory's size and time tell of what is in it, which is looked at by itself.
  if (!same || left.kind === "directory") return same;
  return left.sizeBytes === right.sizeBytes && left.mtimeMs === right.mtimeMs &&
    left.mode === right.mode;
}

/** Whether `disk` is what was sent as `known`, under whatever name. */
export function isSameFile(disk: LocalEntry, known: KnownEntry): boolean {
  const same = disk.kind === known.kind && disk.inode === known.inode &&
    disk.device === known.device;
  if (!same || disk.kind === "directory") return same;
  return disk.sizeBytes === known.sizeBytes && disk.mtimeMs === known.mtimeMs;
}

/** What is known of an entry that has been sent, or found in the cluster as it is here. */
export function knownOf(
  entry: LocalEntry,
  remote: { version: number; checksum: string },
): KnownEntry {
  const { path, kind, sizeBytes, mtimeMs, mode, inode, device } = entry;
  const { version, checksum } = remote;
  return { path, kind, sizeBytes, mtimeMs, mode, inode, device, version, checksum };
}

/** The directories above a path, the topmost first; `a/b/c` has `a` and `a/b`. */
export function directoriesAbove(path: string): string[] {
  const above: string[] = [];
  for (let end = path.indexOf("/"); end !== -1; end = path.indexOf("/", end + 1)) {
    above.push(path.slice(0, end));
  }
  return above;
}

export interface MissingFacts {
  /** Known entries that are not there any more. */
  missing: number;
  /** Known entries. */
  known: number;
  /** The watched directory is another one than the one whose files are known. */
  otherRoot: boolean;
}

/**
 * Whether so much is missing that a disk that isn't mounted is more likely than someone's removals.
 */
export function looksUnmounted({ missing, known, otherRoot }: MissingFacts): boolean {
  return otherRoot && missing > 0 && missing * 2 >= known;
}
