/** Remote calls on single files: locate (for reading), stat, remove, rename, doubt. */
import * as v from "valibot";
import { Host, Id, Natural, PortNumber } from "./ids.ts";
import { RemotePath } from "./names.ts";
import { Done, rpc } from "./rpc.ts";
import { Sums } from "./sums.ts";

/** A file or directory as lists show it. */
export const Entry = v.object({
  path: RemotePath,
  kind: v.picklist(["file", "directory"]),
  size: Natural,
  version: Natural,
  mtimeMs: v.pipe(v.number(), v.safeInteger()),
  mode: Natural,
  owner: v.string(),
  /** An upload to this path is under way. */
  updating: v.boolean(),
});
export type Entry = v.InferOutput<typeof Entry>;

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
    mtimeMs: v.pipe(v.number(), v.safeInteger()),
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

/** `file.doubt`: a reader got wrong bytes of a replica; its keeper is told to verify it. */
export const fileDoubt = rpc("file.doubt", v.object({ chunk: Id, keeper: Id }), Done);
