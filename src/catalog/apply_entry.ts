/** Single entries: a file copied without moving a byte, and facts that are set in place. */
import { TydfsError } from "../wire/errors.ts";
import { isLinkMode } from "../wire/file.ts";
import { quotePath } from "../wire/names.ts";
import { retainChunk } from "./chunk_rows.ts";
import { checkTarget, switchFile } from "./commit.ts";
import type { Operation, ResultOf } from "./operation.ts";
import { type InodeKind, mustFind } from "./tree.ts";
import type { Tx } from "./transaction.ts";

type Of<K extends Operation["kind"]> = Extract<Operation, { kind: K }>;

interface FileRow {
  size: number;
  mtime_ms: number;
  mode: number;
  checksum: string;
  goal: number;
  asked: number;
  policy: number;
}

/** Permissions with set-user, set-group and sticky bits. */
const MODE_BITS = 0o7777;
/** With the type bits before them. */
const MODE_MAX = 0o177777;

const FILE = "SELECT size, mtime_ms, mode, checksum, goal, asked, policy FROM inode WHERE id = ?";
const COPY_EXTENTS = `INSERT INTO extent (inode, seq, offset, length, chunk, chunk_offset)
  SELECT ?, seq, offset, length, chunk, chunk_offset FROM extent WHERE inode = ?`;
const CHUNKS = "SELECT chunk FROM extent WHERE inode = ?";

/** Makes a second file of the same chunks: `file.copy`. */
export function copyFile(
  tx: Tx,
  operation: Of<"file.copy">,
  sequence: number,
): ResultOf<"file.copy"> {
  const { from, to, replace, owner, atMs } = operation;
  const doing = `copy ${quotePath(from)} to`;
  const cannot = `Cannot ${doing} ${quotePath(to)}`;
  const source = mustFind(tx, from, "copy");
  const row = tx.get<FileRow>(FILE, source.inode);
  if (source.inodeKind === "directory" || row === undefined) {
    throw new TydfsError("is-directory", `Cannot copy ${quotePath(from)}: it is a directory`);
  }
  if (from === to) throw new TydfsError("invalid", `${cannot}: they are the same file`);
  const { size: sizeBytes, mtime_ms: mtimeMs, mode, checksum, goal, asked, policy } = row;
  const asking = asked === 0 ? {} : { replicas: asked };
  const file = { path: to, mode, mtimeMs, owner, exclusive: !replace, ...asking };
  const target = checkTarget(tx, file, doing);
  const version = { sizeBytes, checksum, goal, policy, atMs, sequence };
  const { inode, event } = switchFile(tx, target, file, version);
  tx.run(COPY_EXTENTS, inode, source.inode);
  for (const { chunk } of tx.all<{ chunk: number }>(CHUNKS, inode)) {
    retainChunk(tx, chunk);
  }
  return { version: sequence, event };
}

/** Sets the mode or the time of a file or directory: `file.set`. */
export function setFacts(tx: Tx, operation: Of<"file.set">): Record<string, never> {
  const { path, mode, mtimeMs } = operation;
  const { inode, inodeKind } = mustFind(tx, path, "change");
  if (mode !== undefined) checkMode(mode, inodeKind, `Cannot change ${quotePath(path)}`);
  const sql =
    "UPDATE inode SET mode = ifnull(?, mode), mtime_ms = ifnull(?, mtime_ms) WHERE id = ?";
  tx.run(sql, mode ?? null, mtimeMs ?? null, inode);
  return {};
}

/**
 * Throws `invalid` for a mode with more than permissions; a file may have the type bits of a
 * symbolic link too. `cannot` begins the message.
 */
export function checkMode(mode: number, kind: InodeKind, cannot: string): void {
  if (mode <= MODE_BITS || (kind === "file" && mode <= MODE_MAX && isLinkMode(mode))) return;
  const state = `mode 0${mode.toString(8)} has more than the permissions of a ${kind}`;
  throw new TydfsError("invalid", `${cannot}: ${state}`);
}
