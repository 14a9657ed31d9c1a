/** What lies in the trash: by path, and by what came there in one removal. */
import { ROOT } from "../wire/names.ts";
import type { Statements } from "./statements.ts";

/** A version in the trash. */
export interface TrashRecord {
  inode: number;
  version: number;
  path: string;
  size: number;
  mtimeMs: number;
  owner: string;
  removedMs: number;
  /** A newer version took its place; it was not removed. */
  replaced: boolean;
}

/** The place of the last entry of a page. */
export type TrashCursor = Pick<TrashRecord, "path" | "removedMs" | "version">;

/** Where the restoring of a directory goes on: one removal, behind a path. */
export type RemovalCursor = Pick<TrashRecord, "path" | "removedMs">;

/** What is to come back. */
export interface Restorable {
  files: Pick<TrashRecord, "inode" | "path" | "size">[];
  /** The rest of the removal. */
  next?: RemovalCursor;
}

export interface RestoreWish {
  /** Only this version, and of the path itself. */
  version?: number | undefined;
  /** `next` of the page before. */
  after?: RemovalCursor | undefined;
  limit: number;
}

/** What the paths of one page may take: an operation is to stay small. */
const PATHS_BYTES_MAX = 128 * 1024;

type Row = Omit<TrashRecord, "replaced"> & { replaced: number };
type FileRow = Restorable["files"][number];

const COLUMNS = `t.inode, i.version, t.path, i.size, i.mtime_ms AS mtimeMs, i.owner,
  t.removed_ms AS removedMs, t.replaced`;
const FROM = "FROM trash t INDEXED BY trash_path CROSS JOIN inode i ON i.id = t.inode";
const ORDER = "ORDER BY t.path, t.removed_ms DESC, t.inode DESC LIMIT ?";
const AT = `SELECT ${COLUMNS} ${FROM} WHERE t.path = ? AND t.removed_ms <= ?
  AND (t.removed_ms < ? OR i.version < ?) ${ORDER}`;
const BETWEEN = `SELECT ${COLUMNS} ${FROM} WHERE t.path > ? AND t.path < ? ${ORDER}`;
const VERSION = `SELECT t.inode, t.path, i.size ${FROM} WHERE t.path = ? AND i.version = ?`;
const LATEST = `SELECT t.inode, t.path, i.size, t.removed_ms AS removedMs ${FROM}
  WHERE t.path = ? ${ORDER}`;
const LATEST_BELOW = `SELECT max(removed_ms) AS removedMs FROM trash
  WHERE path > ? AND path < ? AND replaced = 0`;
const REMOVAL = `SELECT t.inode, t.path, i.size ${FROM}
  WHERE t.path > ? AND t.path < ? AND +t.removed_ms = ? AND t.replaced = 0 ${ORDER}`;
const BEFORE = `SELECT inode FROM trash INDEXED BY trash_path
  WHERE path = ? AND removed_ms <= ? LIMIT ?`;
const BEFORE_BETWEEN = `SELECT inode FROM trash INDEXED BY trash_path
  WHERE path > ? AND path < ? AND removed_ms <= ? LIMIT ?`;

export class TrashReader {
  readonly #store: Statements;

  constructor(store: Statements) {
    this.#store = store;
  }

  /** What lies at `under` or below it: in path order, of one path the latest first. */
  list(under: string, after: TrashCursor | undefined, limit: number): TrashRecord[] {
    const { above, end } = rangeBelow(under);
    const from = after ?? { path: under, removedMs: Number.MAX_SAFE_INTEGER, version: 0 };
    const { path, removedMs, version } = from;
    const rows = this.#store.all<Row>(AT, path, removedMs, removedMs, version, limit);
    if (rows.length < limit) {
      const behind = path.startsWith(above) ? path : above;
      rows.push(...this.#store.all<Row>(BETWEEN, behind, end, limit - rows.length));
    }
    return rows.map((row) => ({ ...row, replaced: row.replaced === 1 }));
  }

  /**
   * What restoring `path` brings back: a version of it, or, when files below it were removed later
   * than it was, those of the latest removal there. None: nothing of it is in the trash.
   */
  restorable(path: string, { version, after, limit }: RestoreWish): Restorable {
    if (version !== undefined) return { files: this.#store.all<FileRow>(VERSION, path, version) };
    if (after !== undefined) return this.#removal(path, after, limit);
    const latest = this.#store.get<FileRow & { removedMs: number }>(LATEST, path, 1);
    const { above, end } = rangeBelow(path);
    const below = this.#store.get<{ removedMs: number | null }>(LATEST_BELOW, above, end);
    const belowMs = below?.removedMs ?? undefined;
    if (belowMs !== undefined && belowMs > (latest?.removedMs ?? -1)) {
      return this.#removal(path, { path: above, removedMs: belowMs }, limit);
    }
    return { files: latest === undefined ? [] : [latest] };
  }

  /** Inodes of what came into the trash until `untilMs`, at `under` or below it. */
  until(under: string, untilMs: number, limit: number): number[] {
    const { above, end } = rangeBelow(under);
    const rows = this.#store.all<{ inode: number }>(BEFORE, under, untilMs, limit);
    const left = limit - rows.length;
    if (left > 0) {
      rows.push(...this.#store.all<{ inode: number }>(BEFORE_BETWEEN, above, end, untilMs, left));
    }
    return rows.map(({ inode }) => inode);
  }

  #removal(path: string, after: RemovalCursor, limit: number): Restorable {
    const { end } = rangeBelow(path);
    const { removedMs } = after;
    const rows = this.#store.all<FileRow>(REMOVAL, after.path, end, removedMs, limit + 1);
    const files: FileRow[] = [];
    let pathBytes = 0;
    for (const row of rows) {
      const last = files.at(-1);
      // A path comes twice when it was removed twice within a millisecond: the newest comes first.
      if (row.path === last?.path) continue;
      if (last !== undefined && (files.length === limit || pathBytes > PATHS_BYTES_MAX)) {
        return { files, next: { path: last.path, removedMs } };
      }
      files.push(row);
      pathBytes += Buffer.byteLength(row.path);
    }
    return { files };
  }
}

/** Paths below a directory lie between these two, in byte order: "0" is what follows "/". */
function rangeBelow(path: string): { above: string; end: string } {
  const name = path === ROOT ? "" : path;
  return { above: `${name}/`, end: `${name}0` };
}
