/**
 * A lock on a file that dies with its holder: flock(2) through libc, so that a crash leaves nothing
 * to clean up. It excludes processes on one machine; it guards nothing that other machines reach
 * over a network file system.
 */
import { ptr } from "bun:ffi";
import { cString, openLibc } from "./libc.ts";

/** A lock that is held; `release` is idempotent. */
export interface FileLock {
  release(): void;
}

/**
 * Locks an open file until it is closed.
 * Returns false when it is locked through another opening of it, also of this process. Throws where
 * this platform knows no such lock.
 */
export function lockOpenFile(fd: number): boolean {
  return openLibrary().flock(fd, LOCK_EXCLUSIVE | LOCK_NON_BLOCKING) === 0;
}

const LOCK_EXCLUSIVE = 2;
const LOCK_NON_BLOCKING = 4;

/**
 * Locks the file at `path` (made when absent) until `release` or the death of this process. Returns
 * undefined when someone else holds it. Throws when the file can't be opened, or where this
 * platform knows no such lock.
 */
export function takeFileLock(path: string): FileLock | undefined {
  const libc = openLibrary();
  // fopen, not open(2): that one has variable arguments, which the FFI can't pass on every
  // platform. "e" is O_CLOEXEC.
  const stream = libc.fopen(ptr(cString(path)), ptr(cString("ae")));
  if (stream === null) throw new Error(`Cannot lock "${path}": it can't be opened for writing`);
  if (libc.flock(libc.fileno(stream), LOCK_EXCLUSIVE | LOCK_NON_BLOCKING) !== 0) {
    libc.fclose(stream);
    return undefined;
  }
  let held = true;
  return {
    release() {
      if (held) libc.fclose(stream);
      held = false;
    },
  };
}

const FUNCTIONS = {
  fopen: { args: ["ptr", "ptr"], returns: "ptr" },
  fileno: { args: ["ptr"], returns: "i32" },
  flock: { args: ["i32", "i32"], returns: "i32" },
  fclose: { args: ["ptr"], returns: "i32" },
} as const;

/** Opened once: each opening makes its functions anew, and each file that is got is locked. */
let opened: ReturnType<typeof openLibc<typeof FUNCTIONS>>;

function openLibrary() {
  const libc = opened ??= openLibc(FUNCTIONS);
  if (libc !== undefined) return libc;
  throw new Error(`Cannot lock files on ${process.platform}: no C library with flock was found`);
}
