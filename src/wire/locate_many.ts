/** `file.locate-many`: where the bytes of many small files lie, in one answer. */
import * as v from "valibot";
import { Holder, Moment } from "./file.ts";
import { Id, Natural } from "./ids.ts";
import { RemotePath } from "./names.ts";
import { rpc } from "./rpc.ts";
import { Sums } from "./sums.ts";

/** Paths in one request, at most; the answer may stop sooner. */
export const LOCATE_MANY_MAX = 2048;

/** A chunk in which files lie; see `LocatedExtent`. */
export const SharedChunk = v.object({
  chunk: Id,
  chunkBytes: Natural,
  sums: Sums,
  keepers: v.array(Id),
  ticket: v.string(),
});
export type SharedChunk = v.InferOutput<typeof SharedChunk>;

/** What is known of one of the paths. */
export const SmallFile = v.variant("kind", [
  v.object({
    kind: v.literal("file"),
    inode: Natural,
    version: Natural,
    sizeBytes: Natural,
    checksum: v.string(),
    mtimeMs: Moment,
    mode: Natural,
    /** The index into `chunks` of the one chunk that it lies in; undefined for an empty file. */
    chunk: v.optional(Natural),
    /** Where it starts there, in bytes. */
    chunkOffset: Natural,
  }),
  /** It has several extents, or is no file, or is not there: it is to be asked for by itself. */
  v.object({ kind: v.literal("other") }),
]);
export type SmallFile = v.InferOutput<typeof SmallFile>;

/**
 * `file.locate-many`: `files` answers the first of `paths`, in their order; the rest is to be asked
 * for again, since an answer has a size that NATS carries. At least one is answered.
 */
export const fileLocateMany = rpc(
  "file.locate-many",
  v.object({
    paths: v.pipe(v.array(RemotePath), v.minLength(1), v.maxLength(LOCATE_MANY_MAX)),
  }),
  v.object({
    files: v.array(SmallFile),
    chunks: v.array(SharedChunk),
    holders: v.array(Holder),
  }),
);
export type FileLocateManyReply = v.InferOutput<typeof fileLocateMany.reply>;
