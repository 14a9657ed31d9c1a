/**
 * Lists a directory by pages, flat or with all below it, in byte order of the full paths (a
 * directory sorts as `path/`). A page costs what it holds: the cursor is the sort key of the last
 * entry, from which each level's place is found again by its index, so that entries which come and
 * go between pages neither repeat nor hide others.
 */
import { TydfsError } from "../wire/errors.ts";
import type { Entry } from "../wire/file.ts";
import { joinPath, quotePath, ROOT } from "../wire/names.ts";
import type { Statements } from "./statements.ts";
import { parseKey } from "./tree.ts";

export interface ListPage {
  entries: Entry[];
  /** The cursor of the page after this; undefined at the end. */
  next: string | undefined;
}

export interface ListOptions {
  recursive: boolean;
  /** `next` of the page before. */
  after: string | undefined;
  limit: number;
}

interface ChildRow {
  key: string;
  inode: number;
  size: number;
  version: number;
  mtime_ms: number;
  mode: number;
  owner: string;
  checksum: string;
}

/**
 * A directory on the way: the children fetched and not yet told, and where the next fetch begins.
 */
interface Frame {
  directory: number;
  path: string;
  after: string;
  fetched: ChildRow[];
  /** Rows of the next fetch: grows, so that a passing visit is cheap and a long one too. */
  fetchRows: number;
  done: boolean;
}

const FETCH_FIRST_ROWS = 16;
const CHILDREN = `SELECT d.key, d.inode, i.size, i.version, i.mtime_ms, i.mode, i.owner,
    i.checksum
  FROM dentry d CROSS JOIN inode i ON i.id = d.inode
  WHERE d.parent = ? AND d.key > ? ORDER BY d.key LIMIT ?`;
const CHILD_DIRECTORY = "SELECT inode FROM dentry WHERE parent = ? AND key = ?";

/**
 * One page of the entries below `path`, whose inode is `directory`. Throws `invalid` for a cursor
 * of another listing.
 */
export function listDirectory(
  store: Statements,
  path: string,
  directory: number,
  options: ListOptions,
): ListPage {
  const { recursive, after, limit } = options;
  const stack = openFrames(store, path, directory, recursive, after);
  const updating = updatingPaths(store);
  const entries: Entry[] = [];
  let last = "";
  while (entries.length < limit) {
    const frame = stack.at(-1);
    if (frame === undefined) break;
    const row = nextChild(store, frame, limit - entries.length + 1);
    if (row === undefined) {
      stack.pop();
      continue;
    }
    const entry = makeEntry(frame.path, row, updating);
    entries.push(entry);
    last = entry.kind === "directory" ? entry.path + "/" : entry.path;
    if (recursive && entry.kind === "directory") stack.push(makeFrame(row.inode, entry.path, ""));
  }
  const more = stack.some((frame) => nextExists(store, frame));
  return { entries, next: more ? last : undefined };
}

/**
 * Whether an upload to a path is under way, and not only paused; asked of the index only while
 * there are any.
 */
export function updatingPaths(store: Statements): (path: string) => boolean {
  const live = "SELECT id FROM upload WHERE paused = 0 LIMIT 1";
  if (store.get<{ id: string }>(live) === undefined) return () => false;
  const sql = "SELECT 1 AS one FROM upload WHERE path = ? AND paused = 0 LIMIT 1";
  return (path) => store.get<{ one: number }>(sql, path) !== undefined;
}

/** The frames at which a listing goes on behind `after`; as deep as the way there still exists. */
function openFrames(
  store: Statements,
  path: string,
  directory: number,
  recursive: boolean,
  after: string | undefined,
): Frame[] {
  const top = makeFrame(directory, path, "");
  if (after === undefined) return [top];
  const prefix = path === ROOT ? ROOT : path + "/";
  if (!after.startsWith(prefix) || after === prefix) {
    throw new TydfsError(
      "invalid",
      `Cannot list ${quotePath(path)}: the cursor is of another list`,
    );
  }
  const stack = [top];
  let here = top;
  let rest = after.slice(prefix.length);
  while (rest !== "") {
    const end = rest.indexOf("/") + 1;
    here.after = end === 0 ? rest : rest.slice(0, end);
    if (end === 0 || !recursive) break;
    rest = rest.slice(end);
    const row = store.get<{ inode: number }>(CHILD_DIRECTORY, here.directory, here.after);
    if (row === undefined) break;
    here = makeFrame(row.inode, joinPath(here.path, here.after.slice(0, -1)), "");
    stack.push(here);
  }
  return stack;
}

function makeFrame(directory: number, path: string, after: string): Frame {
  return { directory, path, after, fetched: [], fetchRows: FETCH_FIRST_ROWS, done: false };
}

/** Takes the next child of a frame; `wanted` is how many the page could still need. */
function nextChild(store: Statements, frame: Frame, wanted: number): ChildRow | undefined {
  fetchChildren(store, frame, wanted);
  const row = frame.fetched.pop();
  if (row !== undefined) frame.after = row.key;
  return row;
}

function nextExists(store: Statements, frame: Frame): boolean {
  fetchChildren(store, frame, 1);
  return frame.fetched.length > 0;
}

function fetchChildren(store: Statements, frame: Frame, wanted: number): void {
  if (frame.fetched.length > 0 || frame.done) return;
  const rows = Math.min(frame.fetchRows, wanted);
  frame.fetched = store.all<ChildRow>(CHILDREN, frame.directory, frame.after, rows).reverse();
  frame.done = frame.fetched.length < rows;
  frame.fetchRows *= 2;
}

function makeEntry(
  directory: string,
  row: ChildRow,
  updating: (path: string) => boolean,
): Entry {
  const { name, kind } = parseKey(row.key);
  const path = joinPath(directory, name);
  const { size, version, mode, owner, checksum } = row;
  return {
    path,
    kind,
    size,
    version,
    mtimeMs: row.mtime_ms,
    mode,
    owner,
    checksum,
    updating: kind === "file" && updating(path),
  };
}
