/** `dir.*`: lists directories by pages, makes them. */
import type { Entry } from "../../wire/file.ts";
import type { Desk } from "./desk.ts";

/** What the entries of one reply may take, in bytes: half of what NATS carries. */
const PAGE_BYTES_MAX = 480 * 1024;
/** An entry without its path and owner. */
const ENTRY_BYTES = 120;
const MODE_NEW = 0o755;

/** `dir.list`. */
export function list(
  desk: Desk,
  request: { path: string; recursive: boolean; after?: string | undefined; limit: number },
): { entries: Entry[]; next?: string } {
  const { path, recursive, after, limit } = request;
  const { entries, next } = desk.reader.list(path, { recursive, after, limit });
  let bytes = 0;
  for (const [index, entry] of entries.entries()) {
    bytes += ENTRY_BYTES + Buffer.byteLength(entry.path) + Buffer.byteLength(entry.owner);
    const last = entries[index - 1];
    if (bytes > PAGE_BYTES_MAX && last !== undefined) {
      return { entries: entries.slice(0, index), next: cursorOf(last) };
    }
  }
  return { entries, ...(next === undefined ? {} : { next }) };
}

/** `dir.make`. */
export async function make(
  desk: Desk,
  request: {
    path: string;
    parents: boolean;
    owner: string;
    mode?: number | undefined;
    mtimeMs?: number | undefined;
  },
): Promise<{ path: string; made: boolean }> {
  const atMs = desk.clock.wallMs();
  const { path, parents, owner, mode = MODE_NEW, mtimeMs = atMs } = request;
  const facts = { path, parents, owner, mode, mtimeMs };
  const { made } = await desk.journal.submit({ kind: "dir.make", ...facts, atMs });
  return { path, made };
}

/** The cursor behind an entry: its sort key. */
function cursorOf(entry: Entry): string {
  return entry.kind === "directory" ? `${entry.path}/` : entry.path;
}
