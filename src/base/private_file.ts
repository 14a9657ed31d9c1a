/** Small files that only their owner can read, written whole or not at all. */
import { closeSync, fsyncSync, openSync, renameSync, rmSync, writeSync } from "node:fs";
import { dirname } from "node:path";

/**
 * Writes a file that only the owner can read: whole or not at all, and durable when this returns.
 * One writer at a time: its draft is `path` with `.new` behind it.
 */
export function writePrivate(path: string, text: string): void {
  writeDraft(path, text, true);
}

/**
 * The same of a file that is made anew at each start, and that nobody reads after a loss of power:
 * whole for whoever looks, and not synced.
 */
export function writeFleeting(path: string, text: string): void {
  writeDraft(path, text, false);
}

function writeDraft(path: string, text: string, sync: boolean): void {
  const temporary = `${path}.new`;
  rmSync(temporary, { force: true });
  const file = openSync(temporary, "wx", 0o600);
  try {
    writeSync(file, text);
    if (sync) fsyncSync(file);
  } finally {
    closeSync(file);
  }
  renameSync(temporary, path);
  if (sync) syncDirectory(dirname(path));
}

function syncDirectory(path: string): void {
  const directory = openSync(path, "r");
  try {
    fsyncSync(directory);
  } finally {
    closeSync(directory);
  }
}
