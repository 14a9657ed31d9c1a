/**
 * Walks a local tree in the order in which the cluster lists: depth first, by bytes, a directory as
 * `name/` and before what is in it. One directory's names are held at a time for each level; what
 * can't be read is told, and the walk goes on.
 */
import { lstatSync, readlinkSync } from "node:fs";
import { lstat, readdir, readlink, stat } from "node:fs/promises";
import { TydfsError } from "../../wire/errors.ts";
import { quotePath } from "../../wire/names.ts";
import type { TreeFilter } from "./filter.ts";
import { joinLocal, localError } from "../local_files.ts";
import { isPartialName } from "../local_target.ts";

/** Entries that are looked at together; the system answers many at once. */
const BATCH_MAX = 64;
const SLASH = 0x2f;

/** What becomes of symbolic links. */
export type LinkRule = "follow" | "keep" | "skip";

/** What the walk finds. */
export interface LocalEntry {
  /** Below the root, `a/b`; empty for the root itself. */
  path: string;
  /** The local path. */
  local: string;
  kind: "file" | "directory" | "link";
  sizeBytes: number;
  mtimeMs: number;
  mode: number;
  inode: bigint;
  device: bigint;
  /** Of a link. */
  target?: string;
}

export interface WalkOptions {
  filter: TreeFilter;
  /** What becomes of symbolic links below the root: the root itself is always followed. */
  links: LinkRule;
  signal: AbortSignal;
  /**
   * Hears of what can't be read; the walk goes on. Of what is no file at all (sockets, devices)
   * the error's data says `skipped`.
   */
  onTrouble: (error: TydfsError) => void;
}

type Facts = Awaited<ReturnType<typeof statBig>>;

/** A directory that is being walked. */
interface Level {
  path: string;
  local: string;
  inode: bigint;
  device: bigint;
  /** Names in order, as Latin-1: one character a byte. */
  names: string[];
  /** Where it matters to their order: whether names are those of directories, as it was seen. */
  sorted: Map<string, boolean>;
  next: number;
  ready: LocalEntry[];
}

/**
 * The tree at `root`, beginning with the root itself (which may be a file). Throws `local` when the
 * root can't be read.
 */
export async function* walkTree(root: string, options: WalkOptions): AsyncGenerator<LocalEntry> {
  const { filter, signal } = options;
  signal.throwIfAborted();
  const facts = await statBig(root).catch((cause) => {
    throw localError("read", root, cause);
  });
  const top = entryOf("", root, facts);
  if (top === undefined) throw specialError(root, facts);
  if (top.kind !== "directory") return yield top;
  const levels = [await openLevel(top, options)];
  // Directories that are told of only when something in them is taken.
  const waiting: LocalEntry[] = [];
  yield top;
  for (let level = levels.at(-1); level !== undefined; level = levels.at(-1)) {
    const entry = level.ready.shift();
    if (entry === undefined) {
      if (await fillLevel(level, options)) continue;
      levels.pop();
      if (waiting.at(-1)?.path === level.path) waiting.pop();
      continue;
    }
    if (entry.kind !== "directory") {
      if (!filter.takesFile(entry.path)) continue;
      yield* waiting.splice(0);
      yield entry;
      continue;
    }
    if (!filter.entersDirectory(entry.path) || isLoop(entry, levels, options)) continue;
    if (filter.keepsEmpty) yield entry;
    else waiting.push(entry);
    const inner = await openLevel(entry, options).catch((cause) => {
      options.onTrouble(localError("read", entry.local, cause));
    });
    if (inner !== undefined) levels.push(inner);
    else if (!filter.keepsEmpty) waiting.pop();
  }
}

/**
 * What a path named by a user is, through links; undefined when it is neither a file nor a
 * directory (a named pipe, say). Throws `local` when it can't be read.
 */
export async function lookAt(local: string): Promise<LocalEntry | undefined> {
  const facts = await statBig(local).catch((cause) => {
    throw localError("read", local, cause);
  });
  return entryOf("", local, facts);
}

/**
 * What is at a path itself, a link as a link; undefined when it is nothing that trees have. At
 * once: it is asked of each entry, and to wait for another thread would cost many times as much.
 */
export function lookHere(local: string): LocalEntry | undefined {
  try {
    const facts = lstatSync(local, { bigint: true, throwIfNoEntry: false });
    if (facts === undefined) return undefined;
    if (!facts.isSymbolicLink()) return entryOf("", local, facts);
    return { ...factsOf("", local, facts), kind: "link", target: readlinkSync(local) };
  } catch {
    return undefined;
  }
}

/** Reads a directory's names, sorted as the cluster sorts them. */
async function openLevel(directory: LocalEntry, options: WalkOptions): Promise<Level> {
  const { path, local, inode, device } = directory;
  options.signal.throwIfAborted();
  const names = (await readdir(local, { encoding: "latin1" }).catch((cause) => {
    throw localError("read", local, cause);
  })).sort();
  // A directory sorts as `name/`, which matters only where another name goes on from its own with
  // a character below the slash: those few are looked at beforehand.
  const unsure = names.filter((name, index) => {
    const next = names[index + 1];
    return next?.startsWith(name) === true && next.charCodeAt(name.length) < SLASH;
  });
  const sorted = new Map<string, boolean>();
  for (let at = 0; at < unsure.length; at += BATCH_MAX) {
    await Promise.all(
      unsure.slice(at, at + BATCH_MAX).map(async (name) => {
        const look = options.links === "follow" ? statBig : lstatBig;
        const facts = await look(localName(local, name)).catch(() => undefined);
        sorted.set(name, facts?.isDirectory() === true);
      }),
    );
  }
  const key = (name: string) => sorted.get(name) === true ? `${name}/` : name;
  if ([...sorted.values()].includes(true)) {
    names.sort((left, right) => key(left) < key(right) ? -1 : 1);
  }
  return { path, local, inode, device, names, sorted, next: 0, ready: [] };
}

/** Looks at the next entries of a level; false when there are no more. */
async function fillLevel(level: Level, options: WalkOptions): Promise<boolean> {
  options.signal.throwIfAborted();
  const { names, next } = level;
  if (next >= names.length) return false;
  const batch = names.slice(next, next + BATCH_MAX);
  level.next += batch.length;
  const looked = await Promise.all(batch.map(async (name) => {
    try {
      const entry = await look(level, name, options);
      const isDirectory = entry?.kind === "directory";
      // Out of order it would make others look missing.
      if (entry !== undefined && level.sorted.get(name) === !isDirectory) throw changed(entry);
      return entry;
    } catch (cause) {
      return localError("read", joinLocal(level.local, utf8Of(name) ?? name), cause);
    }
  }));
  for (const found of looked) {
    if (found instanceof TydfsError) options.onTrouble(found);
    else if (found !== undefined) level.ready.push(found);
  }
  return true;
}

/** One entry; undefined when it is to be left out without a word. Throws what is in the way. */
async function look(
  level: Level,
  bytes: string,
  { filter, links }: WalkOptions,
): Promise<LocalEntry | undefined> {
  const name = utf8Of(bytes);
  if (name === undefined) {
    const shown = joinLocal(level.local, Buffer.from(bytes, "latin1").toString());
    const message = `Cannot take ${quotePath(shown)}: its name is not UTF-8; rename it`;
    throw new TydfsError("local", message);
  }
  // A download that is not whole.
  if (isPartialName(name)) return undefined;
  const path = level.path === "" ? name : `${level.path}/${name}`;
  // What is taken neither as a file nor as a directory needs no look, and may be unreadable.
  if (!filter.takesFile(path) && !filter.entersDirectory(path)) return undefined;
  const local = joinLocal(level.local, name);
  const own = await lstatBig(local);
  if (!own.isSymbolicLink()) return entryOf(path, local, own) ?? refuseSpecial(path, own);
  if (links === "skip") return undefined;
  if (links === "keep") {
    const target = utf8Of(await readlink(local, { encoding: "latin1" }));
    if (target !== undefined) return { ...factsOf(path, local, own), kind: "link", target };
    const message = `Cannot take ${quotePath(local)}: the link's target is not UTF-8`;
    throw new TydfsError("local", message);
  }
  const facts = await statBig(local).catch((cause) => {
    if (cause.code !== "ENOENT") throw cause;
    const message = `Cannot read ${quotePath(local)}: the symbolic link leads nowhere`;
    throw new TydfsError("local", message, { cause });
  });
  return entryOf(path, local, facts) ?? refuseSpecial(path, facts);

  function refuseSpecial(path: string, special: Facts): undefined {
    if (filter.takesFile(path)) throw specialError(local, special);
  }
}

/** Whether a directory is one of those that it lies in, which is told. */
function isLoop(entry: LocalEntry, levels: readonly Level[], options: WalkOptions): boolean {
  const { inode, device, local } = entry;
  const above = levels.find((level) => level.inode === inode && level.device === device);
  if (above === undefined) return false;
  const message = `Cannot follow ${quotePath(local)}: it leads back to ${quotePath(above.local)}`;
  options.onTrouble(new TydfsError("local", message));
  return true;
}

/** Undefined for what is neither a file nor a directory. */
function entryOf(path: string, local: string, facts: Facts): LocalEntry | undefined {
  if (facts.isDirectory()) return { ...factsOf(path, local, facts), kind: "directory" };
  return facts.isFile() ? { ...factsOf(path, local, facts), kind: "file" } : undefined;
}

function factsOf(path: string, local: string, facts: Facts): Omit<LocalEntry, "kind"> {
  return {
    path,
    local,
    sizeBytes: Number(facts.size),
    mtimeMs: Number(facts.mtimeMs),
    mode: Number(facts.mode) & 0o777,
    inode: facts.ino,
    device: facts.dev,
  };
}

function changed({ local }: LocalEntry): TydfsError {
  const message = `Cannot take ${quotePath(local)}: it changed while its directory was read`;
  return new TydfsError("local", message);
}

function specialError(local: string, facts: Facts): TydfsError {
  const what = facts.isFIFO() ? "a named pipe" : facts.isSocket() ? "a socket" : "a device";
  const message = `Left out ${quotePath(local)}: it is ${what}, not a file`;
  return new TydfsError("local", message, { data: { skipped: true } });
}

/** A name's bytes as text; undefined when they are not UTF-8. */
function utf8Of(bytes: string): string | undefined {
  // deno-lint-ignore no-control-regex
  if (/^[\x00-\x7f]*$/.test(bytes)) return bytes;
  const text = Buffer.from(bytes, "latin1").toString();
  return Buffer.from(text).toString("latin1") === bytes ? text : undefined;
}

function localName(directory: string, bytes: string): Buffer {
  return Buffer.concat([Buffer.from(`${directory}/`), Buffer.from(bytes, "latin1")]);
}

function statBig(path: string | Buffer) {
  return stat(path, { bigint: true });
}

function lstatBig(path: string | Buffer) {
  return lstat(path, { bigint: true });
}
