/** Where commands that go on after a restart keep what they know. */
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";

/** The directory of state: `$XDG_STATE_HOME/tydfs`, else `~/.local/state/tydfs`. */
export function stateDirectory(env: Record<string, string | undefined>, home: string): string {
  const given = env["XDG_STATE_HOME"] ?? "";
  // The specification has relative ones ignored.
  const base = given.startsWith("/") ? given : join(env["HOME"] || home, ".local", "state");
  return join(base, "tydfs");
}

/** Sixteen hexadecimal digits for what a state belongs to: one for each combination of `parts`. */
export function stateName(...parts: string[]): string {
  return Bun.hash.xxHash3(JSON.stringify(parts)).toString(16).padStart(16, "0");
}

/** Makes a directory of state, for its owner only. */
export function makeStateDirectory(path: string): void {
  mkdirSync(path, { recursive: true, mode: 0o700 });
}

/** Moves a database that can't be used aside; returns where it is now. */
export function moveAside(path: string): string {
  const aside = `${path}.damaged`;
  for (const tail of ["", "-wal", "-shm"]) {
    rmSync(aside + tail, { force: true });
    if (existsSync(path + tail)) renameSync(path + tail, aside + tail);
  }
  return aside;
}

/** The text of a file; undefined when there is none. */
export function findStateText(path: string): string | undefined {
  return existsSync(path) ? readFileSync(path, "utf8") : undefined;
}
