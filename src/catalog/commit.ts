/** The switch of a path to a new file version: the checks of the target first, then the rows. */
import { TydfsError } from "../wire/errors.ts";
import { quotePath } from "../wire/names.ts";
import { logEvent } from "./event_log.ts";
import type { FileFacts, NameEvent } from "./operation.ts";
import {
  discard,
  type KnownDirectories,
  link,
  makeDirectories,
  PARENT_MODE,
  type Place,
  unlink,
  walk,
} from "./tree.ts";
import type { Tx } from "./transaction.ts";

/** What a file version is, besides its name. */
export interface VersionFacts {
  sizeBytes: number;
  checksum: string;
  goal: number;
  /** The number of what rules want of its keepers. */
  policy: number;
  atMs: number;
  sequence: number;
}

/** The path can take a file: what is there now, if anything, is a file that it replaces. */
export type Target = Exclude<Place, { kind: "blocked" }>;

const INSERT_FILE = `INSERT INTO inode
  (kind, size, version, mtime_ms, mode, owner, checksum, goal, replaced, asked, policy)
  VALUES ('file', ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`;

/**
 * Looks whether a file may be written at a path. Throws `is-directory`, `not-directory` (a parent
 * is a file), and `exists` for an exclusive one. `doing` is the action that an error names; `known`
 * as in `walk`.
 */
export function checkTarget(
  tx: Tx,
  file: FileFacts,
  doing: string,
  known?: KnownDirectories,
): Target {
  const place = walk(tx, file.path, known);
  const cannot = `Cannot ${doing} ${quotePath(file.path)}`;
  if (place.kind === "blocked") {
    throw new TydfsError("not-directory", `${cannot}: ${quotePath(place.by)} is a file`);
  }
  if (place.kind === "missing") return place;
  if (place.inodeKind === "directory") {
    throw new TydfsError("is-directory", `${cannot}: it is a directory`);
  }
  if (file.exclusive) throw new TydfsError("exists", `${cannot}: it exists already`);
  return place;
}

/**
 * Makes the new version and switches the path to it; the version before goes to the trash. Logs it.
 * Returns the inode.
 */
export function switchFile(
  tx: Tx,
  target: Target,
  file: FileFacts,
  version: VersionFacts,
): { inode: number; replaced: boolean; event: NameEvent } {
  const replaced = target.kind === "found";
  const { rowid: inode } = tx.run(
    INSERT_FILE,
    version.sizeBytes,
    version.sequence,
    file.mtimeMs,
    file.mode,
    file.owner,
    version.checksum,
    version.goal,
    replaced ? 1 : 0,
    file.replicas ?? 0,
    version.policy,
  );
  tx.count("files", 1);
  tx.count("bytes", version.sizeBytes);
  nameFile(tx, target, inode, { ...file, ...version });
  const { atMs, sequence, sizeBytes } = version;
  const { path, owner } = file;
  const facts = { atMs, path, entry: "file", version: sequence, sizeBytes, owner } as const;
  const event = logEvent(tx, { kind: replaced ? "replaced" : "put", ...facts });
  return { inode, replaced, event };
}

/** Gives a file's inode the name at `path`; a version that has it goes to the trash. */
export function nameFile(
  tx: Tx,
  target: Target,
  inode: number,
  facts: { path: string; owner: string; atMs: number; sequence: number },
): void {
  if (target.kind === "found") {
    discard(tx, target.inode, facts.path, { atMs: facts.atMs, why: "replaced" });
    unlink(tx, target.parent, target.name);
    link(tx, target.parent, target.name, inode);
  } else {
    const { parent, name } = makeParents(tx, target, facts.owner, facts);
    link(tx, parent, name, inode);
  }
}

/** Makes the directories that are missing above a name. Returns where the name goes. */
export function makeParents(
  tx: Tx,
  target: Extract<Place, { kind: "missing" }>,
  owner: string,
  when: { atMs: number; sequence: number },
): { parent: number; name: string } {
  const { atMs: mtimeMs, sequence } = when;
  const facts = { mode: PARENT_MODE, owner, mtimeMs, sequence };
  const parent = makeDirectories(tx, target.parent, target.parts.slice(0, -1), facts);
  return { parent, name: target.parts.at(-1) ?? "" };
}
