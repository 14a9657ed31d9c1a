/**
 * Paths over dentries: the walk from the root to a name, and the few ways in which names are set
 * and taken away.
 */
import { assert, must } from "../base/assert.ts";
import { TydfsError } from "../wire/errors.ts";
import { joinPath, parentPath, quotePath, ROOT, splitPath } from "../wire/names.ts";
import { ROOT_INODE } from "./schema.ts";
import type { Statements } from "./statements.ts";
import type { Tx } from "./transaction.ts";

export type InodeKind = "file" | "directory";

/** A name that is there. The root has parent 0 and no name. */
export interface Found {
  kind: "found";
  parent: number;
  name: string;
  inode: number;
  inodeKind: InodeKind;
}

/** Where a path leads. */
export type Place =
  | Found
  /**
   * `parent` is the last directory that exists, `parts` what is missing below it, the name itself
   * last.
   */
  | { kind: "missing"; parent: number; parts: string[] }
  /** A part above the name is a file: `by` is its path. */
  | { kind: "blocked"; by: string };

/**
 * Directories, by path, that one operation or one read has found so far, so that neighbours are not
 * walked to from the root each. Whoever has it removes and moves no directory.
 */
export type KnownDirectories = Map<string, number>;

/** What directories that are made on the way are recorded with. */
export interface DirectoryFacts {
  mode: number;
  owner: string;
  mtimeMs: number;
  sequence: number;
}

/** The mode of parents that nobody asked for by name. */
export const PARENT_MODE = 0o755;

const ROOT_FOUND: Found = {
  ...{ kind: "found", parent: 0, name: "", inode: ROOT_INODE, inodeKind: "directory" },
};
const CHILD = "SELECT key, inode FROM dentry WHERE parent = ? AND key IN (?, ?)";
const MAKE_DIRECTORY = `INSERT INTO inode
  (kind, size, version, mtime_ms, mode, owner, checksum, goal, replaced)
  VALUES ('directory', 0, ?, ?, ?, ?, '', 0, 0)`;

/** The key of a dentry: a directory sorts as `name/`. */
export function dentryKey(name: string, kind: InodeKind): string {
  return kind === "directory" ? name + "/" : name;
}

/** The kind and the name that a dentry's key tells. */
export function parseKey(key: string): { name: string; kind: InodeKind } {
  return key.endsWith("/")
    ? { name: key.slice(0, -1), kind: "directory" }
    : { name: key, kind: "file" };
}

/**
 * Walks from the root to `path` (in its one form). One indexed look-up a part; with `known`, from
 * the deepest directory in it.
 */
export function walk(store: Statements, path: string, known?: KnownDirectories): Place {
  let place: Found = { ...ROOT_FOUND };
  const parts = splitPath(path);
  let first = 0;
  for (let above = parentPath(path), depth = parts.length - 1; depth > 0; depth--) {
    const inode = known?.get(above);
    if (inode !== undefined) {
      place.inode = inode;
      first = depth;
      break;
    }
    above = parentPath(above);
  }
  for (let index = first; index < parts.length; index++) {
    const name = must(parts[index], "a part of a path");
    if (place.inodeKind === "file") {
      return { kind: "blocked", by: ROOT + parts.slice(0, index).join("/") };
    }
    const parent = place.inode;
    const row = store.get<{ key: string; inode: number }>(CHILD, parent, name, name + "/");
    if (row === undefined) return { kind: "missing", parent, parts: parts.slice(index) };
    const inodeKind = row.key === name ? "file" : "directory";
    place = { kind: "found", parent, name, inode: row.inode, inodeKind };
    if (inodeKind === "directory") {
      known?.set(ROOT + parts.slice(0, index + 1).join("/"), row.inode);
    }
  }
  return place;
}

/** What has this path. Throws `not-found`; `doing` is the action that the error names. */
export function mustFind(store: Statements, path: string, doing: string): Found {
  const place = walk(store, path);
  if (place.kind === "found") return place;
  const state = place.kind === "blocked"
    ? `${quotePath(place.by)} is a file`
    : "no such file or directory";
  throw new TydfsError("not-found", `Cannot ${doing} ${quotePath(path)}: ${state}`);
}

/** Makes one directory. Returns its inode. */
export function makeDirectory(
  tx: Tx,
  parent: number,
  name: string,
  facts: DirectoryFacts,
): number {
  const { sequence, mtimeMs, mode, owner } = facts;
  const { rowid } = tx.run(MAKE_DIRECTORY, sequence, mtimeMs, mode, owner);
  link(tx, parent, dentryKey(name, "directory"), rowid);
  tx.count("directories", 1);
  return rowid;
}

/** Makes the directories `names` one in the other, below `parent`. Returns the last one's inode. */
export function makeDirectories(
  tx: Tx,
  parent: number,
  names: string[],
  facts: DirectoryFacts,
): number {
  return names.reduce((above, name) => makeDirectory(tx, above, name, facts), parent);
}

/** Gives an inode a name. */
export function link(tx: Tx, parent: number, key: string, inode: number): void {
  tx.run("INSERT INTO dentry (parent, key, inode) VALUES (?, ?, ?)", parent, key, inode);
}

/** Takes a name away; the inode stays. */
export function unlink(tx: Tx, parent: number, key: string): void {
  const { changes } = tx.run("DELETE FROM dentry WHERE parent = ? AND key = ?", parent, key);
  // Invariant: apply unlinks only what it has found in the same transaction.
  assert(changes === 1, "a dentry that is removed was there");
}

const TO_TRASH = "INSERT INTO trash (inode, path, removed_ms, replaced) VALUES (?, ?, ?, ?)";

/**
 * Puts a file version without a name into the trash, remembered by the path that it had, and by
 * why it lost it: it was removed, or a newer version has replaced it.
 */
export function discard(
  tx: Tx,
  inode: number,
  path: string,
  { atMs, why }: { atMs: number; why: "removed" | "replaced" },
): void {
  const row = tx.get<{ size: number }>("SELECT size FROM inode WHERE id = ?", inode);
  tx.run(TO_TRASH, inode, path, atMs, why === "replaced" ? 1 : 0);
  tx.count("files", -1);
  tx.count("bytes", -(row?.size ?? 0));
}

// A directory's name ends in "/".
const FILES_TO_TRASH = `INSERT INTO trash (inode, path, removed_ms, replaced)
  SELECT inode, ? || key, ?, 0 FROM dentry WHERE parent = ? AND substr(key, -1) <> '/'`;
const FILES_BYTES = `SELECT ifnull(sum(i.size), 0) AS bytes
  FROM dentry d CROSS JOIN inode i ON i.id = d.inode
  WHERE d.parent = ? AND substr(d.key, -1) <> '/'`;
const DIRECTORIES = `SELECT key, inode FROM dentry
  WHERE parent = ? AND key > ? AND substr(key, -1) = '/' ORDER BY key LIMIT 512`;

/** A directory that is removed: what lies in it has gone, but for the directories not yet seen. */
interface Branch {
  inode: number;
  path: string;
  /** The last one that was fetched, and those fetched that are not yet removed. */
  after: string;
  directories: { key: string; inode: number }[];
}

/**
 * Removes a directory and all below it; files go to the trash, those of one directory at once.
 * Memory is bounded by the depth, not by the number of entries. Returns what was removed, the
 * directory itself included.
 */
export function removeTree(
  tx: Tx,
  top: Found,
  path: string,
  atMs: number,
): { files: number; directories: number } {
  const removed = { files: 0, directories: 0 };
  const enter = (inode: number, path: string): Branch => {
    const bytes = tx.get<{ bytes: number }>(FILES_BYTES, inode)?.bytes ?? 0;
    const { changes: files } = tx.run(FILES_TO_TRASH, path + "/", atMs, inode);
    tx.count("files", -files);
    tx.count("bytes", -bytes);
    removed.files += files;
    return { inode, path, after: "", directories: [] };
  };
  unlink(tx, top.parent, dentryKey(top.name, "directory"));
  const stack = [enter(top.inode, path)];
  for (let here = stack.at(-1); here !== undefined; here = stack.at(-1)) {
    if (here.directories.length === 0) {
      here.directories = tx.all<Branch["directories"][number]>(DIRECTORIES, here.inode, here.after);
      here.after = here.directories.at(-1)?.key ?? here.after;
    }
    const inner = here.directories.pop();
    if (inner !== undefined) {
      stack.push(enter(inner.inode, joinPath(here.path, inner.key.slice(0, -1))));
      continue;
    }
    tx.run("DELETE FROM dentry WHERE parent = ?", here.inode);
    tx.run("DELETE FROM inode WHERE id = ?", here.inode);
    tx.count("directories", -1);
    removed.directories++;
    stack.pop();
  }
  return removed;
}
