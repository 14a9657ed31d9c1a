/** Remote calls of an upload: begin, extend chunk by chunk, commit or abort. */
import * as v from "valibot";
import { Host, Id, Natural, PortNumber } from "./ids.ts";
import { Moment, Owner } from "./file.ts";
import { RemotePath } from "./names.ts";
import { rpc } from "./rpc.ts";
import { Sums } from "./sums.ts";

/** A chunk that the client is about to send: its size and its own sums of it. */
export const ChunkOffer = v.object({
  seq: Natural,
  /** Where the chunk starts in the file, in bytes. */
  offset: Natural,
  sizeBytes: Natural,
  sums: Sums,
  /** Keepers that have just failed this client; placement avoids them. */
  avoid: v.pipe(v.array(Id), v.maxLength(64)),
});
export type ChunkOffer = v.InferOutput<typeof ChunkOffer>;

/** Where a chunk goes: the client PUTs to the first hop, or to a later one when that fails. */
export const ChunkPlacement = v.object({
  chunk: Id,
  ticket: v.string(),
  hops: v.array(v.object({ keeper: Id, host: Host, port: PortNumber })),
});
export type ChunkPlacement = v.InferOutput<typeof ChunkPlacement>;

export const UploadBeginRequest = v.object({
  path: RemotePath,
  /** Undefined where it is not known in advance (standard input). */
  sizeBytes: v.optional(Natural),
  mode: Natural,
  mtimeMs: Moment,
  owner: Owner,
  /** Copies wanted; the cluster's own goal when undefined. */
  replicas: v.optional(v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(16))),
  /** Copies on disk before success is told; the cluster's own when undefined. */
  minCopies: v.optional(v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(16))),
  /** Fail with `exists` when there is such a file already. */
  exclusive: v.boolean(),
  /**
   * Take over the chunks that an interrupted upload to this path has stored: `upload.extend`
   * answers `stored` for those whose sums are the same. Not for a file of one chunk.
   */
  resume: v.boolean(),
  /** Set for a file of one chunk: it is placed at once and committed by its keeper's report. */
  only: v.optional(ChunkOffer),
});
export type UploadBeginRequest = v.InferOutput<typeof UploadBeginRequest>;

/**
 * `upload.begin`: opens an upload. Errors: `invalid`, `is-directory`, `exists`, `busy`,
 * `no-keepers`, `no-space`.
 */
export const uploadBegin = rpc(
  "upload.begin",
  UploadBeginRequest,
  v.object({
    upload: Id,
    chunkBytes: Natural,
    /** The upload counts as interrupted when nothing is heard of it for this long. */
    leaseMs: Natural,
    /** Bytes of the chunks that were taken over; they may yet turn out to be others. */
    resumedBytes: Natural,
    /** There when `only` was set. */
    placement: v.optional(ChunkPlacement),
  }),
);
export type UploadBeginReply = v.InferOutput<typeof uploadBegin.reply>;

/**
 * `upload.extend`: places one more chunk, or with no offer renews the lease. Where the upload has
 * this very chunk already (same place, size and sums, enough copies) the answer is `stored`, and
 * nothing is to be sent. Errors: `not-found`, `busy`, `no-keepers`, `no-space`.
 */
export const uploadExtend = rpc(
  "upload.extend",
  v.object({ upload: Id, offer: v.optional(ChunkOffer) }),
  v.object({ placement: v.optional(ChunkPlacement), stored: v.optional(v.literal(true)) }),
);

/** A file as it was committed: what the client tells its user. */
export const Committed = v.object({
  path: RemotePath,
  version: Natural,
  sizeBytes: Natural,
  checksum: v.string(),
  /** The smallest number of durable copies that any of its chunks has now. */
  copies: Natural,
  goal: Natural,
});
export type Committed = v.InferOutput<typeof Committed>;

/**
 * `upload.commit`: switches the path to the uploaded chunks in one transaction; repeating it
 * answers the same.
 * Errors: `not-found` (unknown upload), `conflict` (chunks missing or sums differ), `exists`,
 * `is-directory`.
 */
export const uploadCommit = rpc(
  "upload.commit",
  v.object({ upload: Id, sizeBytes: Natural, chunks: Natural, checksum: v.string() }),
  Committed,
);

/**
 * `upload.abort`: drops an upload; its chunks are removed after the grace period, and nothing
 * commits it any more. With `keep` it is only interrupted: nobody works on it now, and what it has
 * stored is kept for a while, to be taken over by the next upload to its path. Never fails on an
 * unknown one. One that was committed already stays so, and is told.
 */
export const uploadAbort = rpc(
  "upload.abort",
  v.object({ upload: Id, keep: v.boolean() }),
  v.object({ committed: v.optional(Committed) }),
);
