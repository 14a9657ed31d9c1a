/**
 * The partial file of a local target: opened by its fixed name, and locked, so that one get at a
 * time works on it.
 */
import { closeSync, constants, fchmodSync, fstatSync, openSync, unlinkSync } from "node:fs";
import { lockOpenFile } from "../base/file_lock.ts";

/** Only its owner reads a file that is not whole. */
export const PARTIAL_MODE = 0o600;
/** Tries to open a partial that others rename, remove or plant meanwhile. */
const OPEN_TRIES = 4;

/** A file that is open for what is to become another one. */
export interface OpenPartial {
  path: string;
  fd: number;
  /** Holds the lock; undefined where nobody else knows the name. */
  lock: number | undefined;
  foundBytes: number;
}

/**
 * Opens and locks a partial file by its fixed name. Undefined when someone else is at it, or when
 * it can't be used; what is no plain file of this user's own (a planted link, above all) is removed
 * first.
 */
export function openKept(path: string): OpenPartial | undefined {
  for (let tries = 0; tries < OPEN_TRIES; tries++) {
    const opened = tryOpen(path);
    if (opened === "planted") {
      if (!tryUnlink(path)) return undefined;
    } else if (opened !== "gone") {
      return opened;
    }
  }
  return undefined;
}

function tryOpen(path: string): OpenPartial | "planted" | "gone" | undefined {
  const { O_RDWR, O_CREAT, O_NOFOLLOW, O_NONBLOCK } = constants;
  const opened: number[] = [];
  try {
    const lock = openSync(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK, PARTIAL_MODE);
    opened.push(lock);
    const before = fstatSync(lock);
    // Removed by the one who had it since it was opened: the name is free, or another's already.
    if (before.nlink === 0) return "gone";
    if (!before.isFile() || before.nlink > 1 || before.uid !== process.geteuid?.()) {
      return "planted";
    }
    if (!lockOpenFile(lock)) return undefined;
    // The lock is kept apart from the writing, so that it outlives the file's close.
    const fd = openSync(path, O_RDWR | O_NOFOLLOW);
    opened.push(fd);
    const facts = fstatSync(fd);
    if (facts.ino !== before.ino || facts.dev !== before.dev) return "gone";
    if ((facts.mode & 0o777) !== PARTIAL_MODE) fchmodSync(fd, PARTIAL_MODE);
    opened.length = 0;
    return { path, fd, lock, foundBytes: facts.size };
  } catch (cause) {
    const { code } = cause as { code?: unknown };
    if (code === "ELOOP") return "planted";
    // Its holder has renamed it into place between the two openings.
    if (code === "ENOENT" && opened.length > 0) return "gone";
    return undefined;
  } finally {
    for (const fd of opened) tryClose(fd);
  }
}

/** Whether a name could be taken away. */
export function tryUnlink(path: string): boolean {
  try {
    unlinkSync(path);
    return true;
  } catch {
    return false;
  }
}

/** Closes what nobody has written to. */
export function tryClose(fd: number): void {
  try {
    closeSync(fd);
  } catch {
    // There is nothing in it that could be lost.
  }
}
