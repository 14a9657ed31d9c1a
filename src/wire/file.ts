/** Remote calls on single files: locate (for reading), stat, remove, rename, copy, set, doubt. */
import * as v from "valibot";
import { Host, Id, Natural, PortNumber } from "./ids.ts";
import { RemotePath } from "./names.ts";
import { Done, rpc } from "./rpc.ts";
import { Sums } from "./sums.ts";

/** A user as files record him. */
export const Owner = v.pipe(v.string(), v.maxLength(255));

/** A time of modification, in ms since the epoch; before 1970 it is negative. */
export const Moment = v.pipe(v.number(), v.safeInteger());

/** A file or directory as lists show it. */
export const Entry = v.object({
  path: RemotePath,
  kind: v.picklist(["file", "directory"]),
  size: Natural,
  version: Natural,
  mtimeMs: Moment,
  mode: Natural,
  owner: v.string(),
  /** XXH3 over the sums of its blocks; empty for a directory. */
  checksum: v.string(),
  /** An upload to this path is under way. */
  updating: v.boolean(),
});
export type Entry = v.InferOutput<typeof Entry>;

/** The permission bits of a mode. */
export const PERMISSION_BITS = 0o777;
const TYPE_BITS = 0o170000;
const LINK_TYPE = 0o120000;

/**
 * The mode of a symbolic link: a file whose bytes are the link's target, as git keeps them. To the
 * cluster it is a file like any other.
 */
export const LINK_MODE = LINK_TYPE | PERMISSION_BITS;

/** Whether a file's mode says that it is a symbolic link. */
export function isLinkMode(mode: number): boolean {
  return (mode & TYPE_BITS) === LINK_TYPE;
}

/** A holder of a replica: a keeper that can be reached now, and the ports of its streamers. */
export const Holder = v.object({
  keeper: Id,
  name: v.string(),
  host: Host,
  ports: v.array(PortNumber),
});
export type Holder = v.InferOutput<typeof Holder>;

/** A run of a file's bytes in one chunk. */
export const LocatedExtent = v.object({
  seq: Natural,
  /** Where it starts in the file, in bytes. */
  offset: Natural,
  /** Bytes of this extent. */
  length: Natural,
  chunk: Id,
  /** Where it starts in the chunk, in bytes. */
  chunkOffset: Natural,
  /** The whole chunk's size and sums. */
  chunkBytes: Natural,
  sums: Sums,
  /** Ids of keepers, to be looked up in `holders`. */
  keepers: v.array(Id),
  ticket: v.string(),
});
export type LocatedExtent = v.InferOutput<typeof LocatedExtent>;

/** Extents in one reply of `file.locate`, at most. */
export const LOCATE_PAGE_MAX = 256;

/**
 * `file.locate`: where the bytes of a file lie. A reader pins the version that it opened by asking
 * further pages with the `inode` of the first reply. Errors: `not-found`, `is-directory`.
 */
export const fileLocate = rpc(
  "file.locate",
  v.object({
    path: RemotePath,
    inode: v.optional(Natural),
    /** The first extent wanted. */
    fromSeq: Natural,
  }),
  v.object({
    inode: Natural,
    version: Natural,
    sizeBytes: Natural,
    checksum: v.string(),
    mtimeMs: Moment,
    mode: Natural,
    holders: v.array(Holder),
    extents: v.array(LocatedExtent),
    /** More pages follow. */
    more: v.boolean(),
  }),
);
export type FileLocateReply = v.InferOutput<typeof fileLocate.reply>;

/** One chunk of a file with its holders, as `stat --locations` shows it. */
export const ChunkLocation = v.object({
  id: Id,
  offset: Natural,
  size: Natural,
  holders: v.array(v.object({
    keeper: v.string(),
    state: v.string(),
    /** The replica's path in the keeper's data directory. */
    path: v.string(),
  })),
});
export type ChunkLocation = v.InferOutput<typeof ChunkLocation>;

/**
 * `file.stat`: what is known of a path; with `fromSeq` also a page of its chunks. Errors:
 * `not-found`.
 */
export const fileStat = rpc(
  "file.stat",
  v.object({ path: RemotePath, fromSeq: v.optional(Natural), inode: v.optional(Natural) }),
  v.object({
    entry: Entry,
    inode: Natural,
    checksum: v.string(),
    /** Copies that the file's chunks are to have. */
    replicas: Natural,
    chunks: v.array(ChunkLocation),
    more: v.boolean(),
  }),
);

/**
 * `file.remove`: takes a path away (into the trash). Errors: `not-found`, `not-empty` (a directory,
 * not recursive).
 */
export const fileRemove = rpc(
  "file.remove",
  v.object({ path: RemotePath, recursive: v.boolean() }),
  v.object({ files: Natural, directories: Natural }),
);

/**
 * `file.rename`: moves a path; an existing file is replaced when `replace`. Errors: `not-found`,
 * `exists`, `is-directory`, `not-directory`, `not-empty`, `invalid`.
 */
export const fileRename = rpc(
  "file.rename",
  v.object({ from: RemotePath, to: RemotePath, replace: v.boolean() }),
  v.object({ path: RemotePath }),
);

/**
 * `file.copy`: a second file of the same chunks; no byte moves. Missing parents of `to` are made,
 * an existing file is replaced when `replace`. Errors: `not-found`, `exists`, `is-directory`
 * (either), `not-directory`, `invalid` (onto itself).
 */
export const fileCopy = rpc(
  "file.copy",
  v.object({ from: RemotePath, to: RemotePath, replace: v.boolean(), owner: Owner }),
  v.object({ path: RemotePath, version: Natural }),
);

/**
 * `file.set`: another mode or time of modification for a file or directory; the version stays.
 * Errors: `not-found`.
 */
export const fileSet = rpc(
  "file.set",
  v.object({ path: RemotePath, mode: v.optional(Natural), mtimeMs: v.optional(Moment) }),
  Done,
);

/** `file.doubt`: a reader got wrong bytes of a replica; its keeper is told to verify it. */
export const fileDoubt = rpc("file.doubt", v.object({ chunk: Id, keeper: Id }), Done);
