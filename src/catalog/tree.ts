/** Paths over dentries: the walk from the root to a name, and the few ways in which names are set and taken away. */
import { assert } from "../base/assert.ts";
import { joinPath, ROOT, splitPath } from "../wire/names.ts";
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
  /** `parent` is the last directory that exists, `parts` what is missing below it, the name itself last. */
  | { kind: "missing"; parent: number; parts: string[] }
  /** A part above the name is a file: `by` is its path. */
  | { kind: "blocked"; by: string };

/** What directories that are made on the way are recorded with. */
export interface DirectoryFacts {
  mode: number;
  owner: string;
  atMs: number;
  sequence: number;
}

/** The mode of parents that nobody asked for by name. */
export const PARENT_MODE = 0o755;

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

/** Walks from the root to `path` (in its one form). One indexed look-up a part. */
export function walk(store: Statements, path: string): Place {
  let place: Found = {
    kind: "found",
    parent: 0,
    name: "",
    inode: ROOT_INODE,
    inodeKind: "directory",
  };
  const parts = splitPath(path);
  for (const [index, name] of parts.entries()) {
    if (place.inodeKind === "file") {
      return { kind: "blocked", by: ROOT + parts.slice(0, index).join("/") };
    }
    const parent = place.inode;
    const row = store.get<{ key: string; inode: number }>(CHILD, parent, name, name + "/");
    if (row === undefined) return { kind: "missing", parent, parts: parts.slice(index) };
    const inodeKind = row.key === name ? "file" : "directory";
    place = { kind: "found", parent, name, inode: row.inode, inodeKind };
  }
  return place;
}

/** Makes one directory. Returns its inode. */
export function makeDirectory(
  tx: Tx,
  parent: number,
  name: string,
  facts: DirectoryFacts,
): number {
  const { rowid } = tx.run(MAKE_DIRECTORY, facts.sequence, facts.atMs, facts.mode, facts.owner);
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

/** Puts a file version without a name into the trash, remembered by the path that it had. */
export function discard(tx: Tx, inode: number, path: string, atMs: number): void {
  const row = tx.get<{ size: number }>("SELECT size FROM inode WHERE id = ?", inode);
  tx.run("INSERT INTO trash (inode, path, removed_ms) VALUES (?, ?, ?)", inode, path, atMs);
  tx.count("files", -1);
  tx.count("bytes", -(row?.size ?? 0));
}

const CHILDREN = "SELECT key, inode FROM dentry WHERE parent = ? ORDER BY key LIMIT 512";

/**
 * Removes a directory and all below it; files go to the trash. Memory is bounded by the depth, not by the number of
 * entries. Returns what was removed, the directory itself included.
 */
export function removeTree(
  tx: Tx,
  top: Found,
  path: string,
  atMs: number,
): { files: number; directories: number } {
  const removed = { files: 0, directories: 0 };
  const stack = [{ parent: top.parent, name: top.name, inode: top.inode, path }];
  for (let here = stack.at(-1); here !== undefined; here = stack.at(-1)) {
    const children = tx.all<{ key: string; inode: number }>(CHILDREN, here.inode);
    const below = children.find((child) => child.key.endsWith("/"));
    for (const { key, inode } of children) {
      if (key.endsWith("/")) continue;
      unlink(tx, here.inode, key);
      discard(tx, inode, joinPath(here.path, key), atMs);
      removed.files++;
    }
    if (below !== undefined) {
      const name = below.key.slice(0, -1);
      const inner = joinPath(here.path, name);
      stack.push({ parent: here.inode, name, inode: below.inode, path: inner });
    } else if (children.length === 0) {
      unlink(tx, here.parent, dentryKey(here.name, "directory"));
      tx.run("DELETE FROM inode WHERE id = ?", here.inode);
      tx.count("directories", -1);
      removed.directories++;
      stack.pop();
    }
  }
  return removed;
}
