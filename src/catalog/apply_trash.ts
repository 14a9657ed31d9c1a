/** The trash: versions that come back from it, that leave it early, or when their time is over. */
import { TydfsError } from "../wire/errors.ts";
import { quotePath } from "../wire/names.ts";
import { getChunk, loseReferences } from "./chunk_rows.ts";
import { nameFile, type Target } from "./commit.ts";
import { logEvent } from "./event_log.ts";
import type { NameEvent, Operation, RestoredFile, ResultOf } from "./operation.ts";
import { type KnownDirectories, walk } from "./tree.ts";
import { liveBytes } from "./pack_places.ts";
import type { Tx } from "./transaction.ts";
import { addWish, type Wish } from "./wish.ts";

type Of<K extends Operation["kind"]> = Extract<Operation, { kind: K }>;

interface TrashedRow {
  size: number;
  version: number;
  owner: string;
}

interface ExtentRow {
  chunk: number;
  chunk_offset: number;
  length: number;
}

/** What chunks lose, by their numbers: of the many files of a pack all at once. */
type LostReferences = Map<number, { refs: number; bytes: number }>;

const TRASHED = `SELECT i.size, i.version, i.owner FROM trash t CROSS JOIN inode i ON i.id = t.inode
  WHERE t.inode = ?`;
const EXTENTS = "SELECT chunk, chunk_offset, length FROM extent WHERE inode = ? ORDER BY seq";
const ELSEWHERE =
  `SELECT e.chunk, i.goal, i.policy FROM extent e CROSS JOIN inode i ON i.id = e.inode
  CROSS JOIN chunk c ON c.no = e.chunk
  WHERE e.inode = ? AND c.packed = 1 AND (c.goal <> i.goal OR c.policy <> i.policy)`;

/** Brings versions back: `trash.restore`. The caller undoes all when one can't be. */
export function restoreVersions(
  tx: Tx,
  operation: Of<"trash.restore">,
  sequence: number,
): ResultOf<"trash.restore"> {
  const { files, replace, atMs } = operation;
  const when = { atMs, sequence };
  const known: KnownDirectories = new Map();
  return { events: files.map((file) => restoreVersion(tx, file, { replace, known }, when)) };
}

/** Purges versions before their time: `trash.drop`. */
export function dropVersions(tx: Tx, operation: Of<"trash.drop">): ResultOf<"trash.drop"> {
  const dropped = { purged: 0, bytes: 0 };
  const lost: LostReferences = new Map();
  for (const inode of operation.inodes) {
    const row = tx.get<TrashedRow>(TRASHED, inode);
    if (row === undefined) continue;
    purgeVersion(tx, inode, lost);
    dropped.purged++;
    dropped.bytes += row.size;
  }
  releaseLost(tx, lost, operation.atMs);
  return dropped;
}

/** Gives up what the trash has kept long enough: `trash.purge`. */
export function purgeTrash(tx: Tx, operation: Of<"trash.purge">): ResultOf<"trash.purge"> {
  const { beforeMs, limit, atMs } = operation;
  const sql = "SELECT inode FROM trash WHERE removed_ms < ? ORDER BY removed_ms, inode LIMIT ?";
  const due = tx.all<{ inode: number }>(sql, beforeMs, limit);
  const lost: LostReferences = new Map();
  for (const { inode } of due) purgeVersion(tx, inode, lost);
  releaseLost(tx, lost, atMs);
  return { purged: due.length };
}

function restoreVersion(
  tx: Tx,
  { inode, to: path }: RestoredFile,
  { replace, known }: { replace: boolean; known: KnownDirectories },
  { atMs, sequence }: { atMs: number; sequence: number },
): NameEvent {
  const row = tx.get<TrashedRow>(TRASHED, inode);
  if (row === undefined) {
    const state = "it has just left the trash for good";
    throw new TydfsError("not-found", `Cannot restore ${quotePath(path)}: ${state}`);
  }
  const { size: sizeBytes, version, owner } = row;
  const target = checkPlace(tx, path, replace, known);
  const kind = target.kind === "found" ? "replaced" : "put";
  tx.run("DELETE FROM trash WHERE inode = ?", inode);
  nameFile(tx, target, inode, { path, owner, atMs, sequence });
  tx.count("files", 1);
  tx.count("bytes", sizeBytes);
  // Others of its pack may have got another place meanwhile.
  for (const { chunk, ...wish } of tx.all<Wish & { chunk: number }>(ELSEWHERE, inode)) {
    addWish(tx, getChunk(tx, chunk), wish, atMs);
  }
  return logEvent(tx, { kind, atMs, path, entry: "file", version, sizeBytes, owner });
}

/** Where a version can come back to; throws why it can't. */
function checkPlace(tx: Tx, path: string, replace: boolean, known: KnownDirectories): Target {
  const place = walk(tx, path, known);
  const cannot = `Cannot restore ${quotePath(path)}`;
  if (place.kind === "blocked") {
    throw new TydfsError("not-directory", `${cannot}: ${quotePath(place.by)} is a file`);
  }
  if (place.kind === "missing") return place;
  if (place.inodeKind === "directory") {
    throw new TydfsError("is-directory", `${cannot}: a directory is there`);
  }
  if (replace) return place;
  const state = "a file is there; use --replace, or --to for another place";
  throw new TydfsError("exists", `${cannot}: ${state}`);
}

/** Forgets a version that lies in the trash, and adds what its chunks lose to `lost`. */
function purgeVersion(tx: Tx, inode: number, lost: LostReferences): void {
  const extents = tx.all<ExtentRow>(EXTENTS, inode);
  tx.run("DELETE FROM extent WHERE inode = ?", inode);
  for (const { chunk, chunk_offset, length } of extents) {
    const sum = lost.get(chunk) ?? { refs: 0, bytes: 0 };
    const bytes = length - liveBytes(tx, chunk, chunk_offset, length);
    lost.set(chunk, { refs: sum.refs + 1, bytes: sum.bytes + bytes });
  }
  tx.run("DELETE FROM trash WHERE inode = ?", inode);
  tx.run("DELETE FROM inode WHERE id = ?", inode);
}

/** Takes lost references off their chunks; some may become unreferenced. */
function releaseLost(tx: Tx, lost: LostReferences, atMs: number): void {
  for (const [chunk, sum] of lost) loseReferences(tx, getChunk(tx, chunk), sum, atMs);
}
