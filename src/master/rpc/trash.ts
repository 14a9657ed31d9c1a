/** `trash.*`: what was removed or replaced: listed, brought back, purged before its time. */
import { formatDuration } from "../../base/bytes.ts";
import type { RemovalCursor, TrashCursor } from "../../catalog/trash_reader.ts";
import { TydfsError } from "../../wire/errors.ts";
import { parsePath, quotePath, ROOT } from "../../wire/names.ts";
import type { TrashEntry } from "../../wire/trash.ts";
import { announceChange } from "../events.ts";
import type { Desk } from "./desk.ts";

/** What the entries of one reply may take, in bytes: half of what NATS carries. */
const PAGE_BYTES_MAX = 480 * 1024;
/** An entry without its path and owner. */
const ENTRY_BYTES = 130;
/** Files that one transaction brings back. */
const RESTORE_MAX = 500;
/** Versions that one transaction purges: large ones have many chunks. */
const DROP_MAX = 200;

/** `trash.list`. */
export function list(
  desk: Desk,
  request: { under: string; after?: TrashCursor | undefined; limit: number },
): { entries: TrashEntry[]; more: boolean } {
  const { under, after, limit } = request;
  const rows = desk.reader.trash(under, after, limit + 1);
  const entries: TrashEntry[] = [];
  let bytes = 0;
  for (const { inode: _inode, ...facts } of rows.slice(0, limit)) {
    bytes += ENTRY_BYTES + Buffer.byteLength(facts.path) + Buffer.byteLength(facts.owner);
    if (bytes > PAGE_BYTES_MAX && entries.length > 0) break;
    entries.push({ ...facts, purgeMs: facts.removedMs + desk.settings.trash_ttl });
  }
  return { entries, more: entries.length < rows.length };
}

/** `trash.restore`. */
export async function restore(
  desk: Desk,
  request: {
    path: string;
    version?: number | undefined;
    to?: string | undefined;
    replace: boolean;
    after?: RemovalCursor | undefined;
  },
): Promise<{ files: number; bytes: number; path: string; next?: RemovalCursor }> {
  const { path, version, to = path, replace, after } = request;
  const { files, next } = desk.reader.restorable(path, { version, after, limit: RESTORE_MAX });
  // A page that finds nothing more is the end of a removal.
  if (files.length === 0 && after === undefined) throw notInTrash(desk, path, version);
  if (files.length > 0) {
    const places = files.map((file) => ({ inode: file.inode, to: moved(file.path, path, to) }));
    const atMs = desk.clock.wallMs();
    const operation = { kind: "trash.restore", files: places, replace, atMs } as const;
    const { events } = await desk.journal.submit(operation);
    for (const event of events) announceChange(desk.announce, event);
  }
  const bytes = files.reduce((total, { size }) => total + size, 0);
  return { files: files.length, bytes, path: to, ...(next === undefined ? {} : { next }) };
}

/** `trash.empty`. */
export async function empty(
  desk: Desk,
  request: { under: string; untilMs?: number | undefined },
): Promise<{ files: number; bytes: number; untilMs: number; more: boolean }> {
  const atMs = desk.clock.wallMs();
  const { under, untilMs = atMs } = request;
  const inodes = desk.reader.trashUntil(under, untilMs, DROP_MAX);
  if (inodes.length === 0) return { files: 0, bytes: 0, untilMs, more: false };
  const { purged, bytes } = await desk.journal.submit({ kind: "trash.drop", inodes, atMs });
  return { files: purged, bytes, untilMs, more: inodes.length === DROP_MAX };
}

/** Where what lay at or below `from` goes when that becomes `to`. */
function moved(path: string, from: string, to: string): string {
  if (from === to) return path;
  const below = path.slice(from === ROOT ? 0 : from.length);
  return parsePath(below === "" ? to : `${to === ROOT ? "" : to}${below}`);
}

function notInTrash(desk: Desk, path: string, version: number | undefined): TydfsError {
  const what = version === undefined ? "it" : `version ${version} of it`;
  const time = formatDuration(desk.settings.trash_ttl).replace(/ 0 \w+$/, "");
  const kept = `where things stay for ${time}`;
  const state = `${what} is not in the trash, ${kept}; tydfs trash ls shows what is`;
  return new TydfsError("not-found", `Cannot restore ${quotePath(path)}: ${state}`);
}
