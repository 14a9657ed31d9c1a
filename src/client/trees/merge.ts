/**
 * Compares two trees that come as streams in the cluster's order (bytes; a directory sorts as
 * `name/`): what only one has, what both have, and what is in each other's way. Pure, and with
 * memory for a path's own parents only, however large the trees are.
 */
import { isLinkMode, PERMISSION_BITS } from "../../wire/file.ts";
import { fileChecksum, sumsOf } from "../../wire/sums.ts";

/** An entry of either side. */
export interface TreeEntry {
  /** Below the root, `a/b`; never empty. */
  path: string;
  kind: "file" | "directory" | "link";
  sizeBytes: number;
  mtimeMs: number;
  mode: number;
  /** Known of files in the cluster. */
  checksum?: string;
  /** Known of local links. */
  target?: string;
}

/** What the merge says of one path. */
export type TreePair =
  /** The same kind of thing is on both sides, or a file and a link, which replace each other. */
  | { kind: "both"; source: TreeEntry; target: TreeEntry }
  | { kind: "source"; source: TreeEntry }
  | { kind: "target"; target: TreeEntry }
  /** A directory where the target has a file: the file is in the way of all that is below. */
  | { kind: "in-the-way"; source: TreeEntry; target: TreeEntry }
  /** A file where the target has a directory. What the directory holds follows as `target`. */
  | { kind: "blocked"; source: TreeEntry; target: TreeEntry };

/** Times that differ by less are the same: file systems keep them coarser or finer. */
const TIME_TOLERANCE_MS = 2;

/** Compares two paths (or keys) by their UTF-8 bytes. */
export function compareBytes(left: string, right: string): number {
  const length = Math.min(left.length, right.length);
  for (let at = 0; at < length; at++) {
    const a = left.charCodeAt(at);
    const b = right.charCodeAt(at);
    if (a !== b) return utf8Rank(a) - utf8Rank(b);
  }
  return left.length - right.length;
}

/** Where an entry sorts: a directory as `name/`. */
export function keyOf({ path, kind }: { path: string; kind: string }): string {
  return kind === "directory" ? `${path}/` : path;
}

/**
 * Merges two streams. Pairs come in the order of their keys, but for a file whose name a directory
 * of the other side may still have: that one comes as soon as this is known.
 */
export async function* mergeTrees(
  source: AsyncIterable<TreeEntry>,
  target: AsyncIterable<TreeEntry>,
): AsyncGenerator<TreePair> {
  const sources = source[Symbol.asyncIterator]();
  const targets = target[Symbol.asyncIterator]();
  // Files of one side whose name may yet turn up as a directory of the other side. Each is a
  // beginning of the next one's name, so that they are few.
  const held: TreePair[] = [];
  try {
    let left = await next(sources);
    let right = await next(targets);
    while (left !== undefined || right !== undefined) {
      const order = orderOf(left, right);
      const key = keyOf((order <= 0 ? left : right) as TreeEntry);
      yield* passed(held, key);
      const pair = pairOf(order, left, right);
      const other = pair.kind === "both" ? undefined : matchHeld(held, pair);
      if (other !== undefined) yield other;
      else if (pair.kind !== "both" && entryOf(pair).kind !== "directory") held.push(pair);
      else yield pair;
      if (order <= 0) left = await next(sources);
      if (order >= 0) right = await next(targets);
    }
    yield* passed(held, undefined);
  } finally {
    await sources.return?.(undefined);
    await targets.return?.(undefined);
  }
}

/** What is to be done where both sides have something of the same name. */
export type Comparison =
  | "same"
  /** Only mode or time differ. */
  | "facts"
  | "copy"
  /** The sizes are equal, and only the checksum can tell. */
  | "checksum";

export interface CompareOptions {
  /** Compare checksums also where size and time are equal. */
  byChecksum: boolean;
}

/** Compares an entry of the source with that of the target. */
export function compareEntries(
  source: TreeEntry,
  target: TreeEntry,
  options: CompareOptions,
): Comparison {
  if (source.kind !== target.kind) return "copy";
  const sameTime = Math.abs(source.mtimeMs - target.mtimeMs) < TIME_TOLERANCE_MS;
  if (source.kind === "link") {
    if (linkSum(source) !== linkSum(target)) return "copy";
    return sameTime ? "same" : "facts";
  }
  if (source.kind === "file") {
    if (source.sizeBytes !== target.sizeBytes) return "copy";
    if (!sameTime || options.byChecksum) return "checksum";
  }
  const sameMode = (source.mode & PERMISSION_BITS) === (target.mode & PERMISSION_BITS);
  return sameTime && sameMode ? "same" : "facts";
}

/** Whether mode and time are equal, for entries whose bytes are. */
export function sameFacts(source: TreeEntry, target: TreeEntry): boolean {
  const sameMode = (source.mode & PERMISSION_BITS) === (target.mode & PERMISSION_BITS);
  return sameMode && Math.abs(source.mtimeMs - target.mtimeMs) < TIME_TOLERANCE_MS;
}

/** The kind of an entry of the cluster, where a link is a file by its mode. */
export function kindOf(entry: { kind: "file" | "directory"; mode: number }): TreeEntry["kind"] {
  return entry.kind === "file" && isLinkMode(entry.mode) ? "link" : entry.kind;
}

/** The checksum of a link's target, known on either side. */
function linkSum({ target, checksum }: TreeEntry): string | undefined {
  return target === undefined ? checksum : fileChecksum([sumsOf(Buffer.from(target))]);
}

async function next(entries: AsyncIterator<TreeEntry>): Promise<TreeEntry | undefined> {
  const result = await entries.next();
  return result.done === true ? undefined : result.value;
}

function orderOf(left: TreeEntry | undefined, right: TreeEntry | undefined): number {
  if (left === undefined) return 1;
  if (right === undefined) return -1;
  return compareBytes(keyOf(left), keyOf(right));
}

function pairOf(
  order: number,
  source: TreeEntry | undefined,
  target: TreeEntry | undefined,
): TreePair {
  if (source !== undefined && target !== undefined && order === 0) {
    return { kind: "both", source, target };
  }
  return order < 0
    ? { kind: "source", source: source as TreeEntry }
    : { kind: "target", target: target as TreeEntry };
}

function entryOf(pair: TreePair): TreeEntry {
  return pair.kind === "target" ? pair.target : pair.source;
}

/** Those that the merge has passed: nothing with their name can come any more. */
function* passed(held: TreePair[], key: string | undefined): Generator<TreePair> {
  for (let last = held.at(-1); last !== undefined; last = held.at(-1)) {
    if (key !== undefined && compareBytes(key, `${entryOf(last).path}/`) <= 0) return;
    yield last;
    held.pop();
  }
}

/** Joins a directory with the file of the other side that has its name. */
function matchHeld(held: TreePair[], pair: TreePair): TreePair | undefined {
  const entry = entryOf(pair);
  if (entry.kind !== "directory") return undefined;
  const index = held.findLastIndex((other) => {
    return other.kind !== pair.kind && entryOf(other).path === entry.path;
  });
  const [file] = index < 0 ? [] : held.splice(index, 1);
  if (file?.kind === "target" && pair.kind === "source") {
    return { kind: "in-the-way", source: pair.source, target: file.target };
  }
  if (file?.kind === "source" && pair.kind === "target") {
    return { kind: "blocked", source: file.source, target: pair.target };
  }
  return undefined;
}

/** Surrogates stand for characters above all others, but their codes are below some. */
function utf8Rank(code: number): number {
  if (code < 0xd800) return code;
  return code >= 0xe000 ? code - 0x800 : code + 0x2000;
}
