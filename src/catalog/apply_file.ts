/** Names: directories made, paths removed and moved. */
import { must } from "../base/assert.ts";
import { TydfsError } from "../wire/errors.ts";
import { baseName, quotePath, ROOT } from "../wire/names.ts";
import { checkMode } from "./apply_entry.ts";
import { makeParents } from "./commit.ts";
import { logEvent } from "./event_log.ts";
import type { NameEvent, Operation, ResultOf } from "./operation.ts";
import {
  dentryKey,
  discard,
  type Found,
  link,
  makeDirectories,
  makeDirectory,
  mustFind,
  PARENT_MODE,
  removeTree,
  unlink,
  walk,
} from "./tree.ts";
import type { Tx } from "./transaction.ts";

type Of<K extends Operation["kind"]> = Extract<Operation, { kind: K }>;

/** Entries that an error counts; more are "over" this. */
const COUNTED_MAX = 1000;

/** Makes a directory: `dir.make`. */
export function makeDir(
  tx: Tx,
  operation: Of<"dir.make">,
  sequence: number,
): ResultOf<"dir.make"> {
  const { path, parents, mode, owner, mtimeMs, atMs } = operation;
  const cannot = `Cannot make directory ${quotePath(path)}`;
  const place = walk(tx, path);
  if (place.kind === "blocked") {
    throw new TydfsError("not-directory", `${cannot}: ${quotePath(place.by)} is a file`);
  }
  if (place.kind === "found") {
    if (parents && place.inodeKind === "directory") return { made: false };
    throw new TydfsError("exists", `${cannot}: a ${place.inodeKind} is there already`);
  }
  if (place.parts.length > 1 && !parents) {
    const state = `the directory above it does not exist; use --parents`;
    throw new TydfsError("not-found", `${cannot}: ${state}`);
  }
  checkMode(mode, "directory", cannot);
  const above = { mode: PARENT_MODE, owner, mtimeMs: atMs, sequence };
  const parent = makeDirectories(tx, place.parent, place.parts.slice(0, -1), above);
  makeDirectory(tx, parent, baseName(path), { mode, owner, mtimeMs, sequence });
  return { made: true };
}

/** Moves files into the trash: `file.remove`. */
export function removePath(tx: Tx, operation: Of<"file.remove">): ResultOf<"file.remove"> {
  const { path, recursive, atMs } = operation;
  if (path === ROOT) {
    throw new TydfsError("invalid", `Cannot remove ${quotePath(path)}: it is the root`);
  }
  const found = mustFind(tx, path, "remove");
  if (found.inodeKind === "directory" && !recursive) {
    const entries = describeEntries(tx, found.inode);
    if (entries !== undefined) {
      const state = `the directory has ${entries}; use --recursive`;
      throw new TydfsError("not-empty", `Cannot remove ${quotePath(path)}: ${state}`);
    }
  }
  const event = logEvent(tx, { kind: "removed", atMs, path, ...describe(tx, found) });
  if (found.inodeKind === "directory") return { ...removeTree(tx, found, path, atMs), event };
  unlink(tx, found.parent, found.name);
  discard(tx, found.inode, path, { atMs, why: "removed" });
  return { files: 1, directories: 0, event };
}

/** Moves a name: `file.rename`. */
export function renamePath(
  tx: Tx,
  operation: Of<"file.rename">,
  sequence: number,
): ResultOf<"file.rename"> {
  const { from, to, replace, atMs } = operation;
  const refuse = (code: "invalid" | "exists" | "is-directory" | "not-directory", state: string) =>
    new TydfsError(code, `Cannot move ${quotePath(from)} to ${quotePath(to)}: ${state}`);
  if (from === ROOT || to === ROOT) throw refuse("invalid", "the root can't be moved or replaced");
  const source = mustFind(tx, from, "move");
  if (from === to) return {};
  if (source.inodeKind === "directory" && to.startsWith(from + "/")) {
    throw refuse("invalid", "a directory can't be moved into itself");
  }
  const target = walk(tx, to);
  if (target.kind === "blocked") {
    throw refuse("not-directory", `${quotePath(target.by)} is a file`);
  }
  if (target.kind === "found") {
    if (target.inodeKind !== source.inodeKind) {
      const there = target.inodeKind;
      throw refuse(there === "file" ? "not-directory" : "is-directory", `a ${there} is there`);
    }
    if (target.inodeKind === "directory") throw refuse("exists", "a directory is there already");
    if (!replace) throw refuse("exists", "a file is there already");
    unlink(tx, target.parent, target.name);
    discard(tx, target.inode, to, { atMs, why: "replaced" });
  }
  const facts = describe(tx, source);
  unlink(tx, source.parent, dentryKey(source.name, source.inodeKind));
  const { parent, name } = target.kind === "found"
    ? target
    : makeParents(tx, target, facts.owner, { atMs, sequence });
  link(tx, parent, dentryKey(name, source.inodeKind), source.inode);
  return { event: logEvent(tx, { kind: "renamed", atMs, path: from, to, ...facts }) };
}

function describeEntries(tx: Tx, directory: number): string | undefined {
  const sql = "SELECT count(*) AS n FROM (SELECT 1 FROM dentry WHERE parent = ? LIMIT ?)";
  const entries = tx.get<{ n: number }>(sql, directory, COUNTED_MAX + 1)?.n ?? 0;
  if (entries === 0) return undefined;
  if (entries > COUNTED_MAX) return `over ${COUNTED_MAX} entries`;
  return entries === 1 ? "1 entry" : `${entries} entries`;
}

/** What an event tells of the entry itself. */
function describe(
  tx: Tx,
  { inode, inodeKind: entry }: Found,
): Pick<NameEvent, "entry" | "version" | "sizeBytes" | "owner"> {
  const sql = "SELECT version, size, owner FROM inode WHERE id = ?";
  const row = must(
    tx.get<{ version: number; size: number; owner: string }>(sql, inode),
    "the inode of a name",
  );
  const { version, size: sizeBytes, owner } = row;
  return { entry, version, owner, ...(entry === "file" ? { sizeBytes } : {}) };
}
