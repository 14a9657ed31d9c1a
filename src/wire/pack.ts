/**
 * Packs: many small files in one chunk, so that thousands of them cost one transfer and one
 * transaction (as the bundles of Haystack and the needles of SeaweedFS do, but immutable). A pack
 * is the files' bytes one after the other, then a manifest that names them, so that a copy of it is
 * enough to rescue them without a master.
 *
 * The manifest: its entries in CBOR, the length of that in 4 bytes big-endian, then `MAGIC`.
 */
import * as v from "valibot";
import { MIB } from "../base/bytes.ts";
import { decode, encode } from "./codec.ts";
import { TydfsError } from "./errors.ts";
import { Moment, Owner } from "./file.ts";
import { Id, Natural } from "./ids.ts";
import { RemotePath } from "./names.ts";
import { rpc } from "./rpc.ts";
import { Sums } from "./sums.ts";
import { ChunkPlacement, Committed } from "./upload.ts";

/** Files of this size and more get chunks of their own. */
export const PACKED_FILE_BYTES_MAX = MIB;
/** Bytes of one pack, manifest included, and files in it, at most. */
export const PACK_BYTES_MAX = 16 * MIB;
export const PACK_FILES_MAX = 2048;
/** Bytes of all paths in a pack: its messages must pass through NATS, and its journal, too. */
export const PACK_PATH_BYTES_MAX = 128 * 1024;

const MAGIC = Buffer.from("tydfpack");
const LENGTH_BYTES = 4;
export const MANIFEST_END_BYTES = LENGTH_BYTES + MAGIC.length;

/** A file in a pack, as its manifest and the sidecars of its copies name it. */
export const PackedFile = v.object({
  path: RemotePath,
  /** Where its bytes start in the chunk. */
  offset: Natural,
  sizeBytes: Natural,
  mode: Natural,
  mtimeMs: Moment,
  owner: Owner,
  /**
   * When it was placed first, in the master's wall ms: kept by compaction, so that rescue still
   * knows which version of a path is the newest. Undefined: with the chunk.
   */
  placedMs: v.optional(Natural),
});
export type PackedFile = v.InferOutput<typeof PackedFile>;

const Manifest = v.pipe(v.array(PackedFile), v.maxLength(PACK_FILES_MAX));

/** The end of a pack: its manifest, with what tells where that begins. */
export function encodeManifest(files: readonly PackedFile[]): Uint8Array {
  const body = encode(files);
  const length = Buffer.alloc(LENGTH_BYTES);
  length.writeUInt32BE(body.length);
  return Buffer.concat([body, length, MAGIC]);
}

/**
 * The length of the manifest that ends a pack, `MANIFEST_END_BYTES` included, from the pack's last
 * `MANIFEST_END_BYTES`. Throws `corrupt` when that is no end of a pack.
 */
export function manifestLength(end: Uint8Array): number {
  const bytes = Buffer.from(end.buffer, end.byteOffset, end.byteLength);
  if (bytes.length !== MANIFEST_END_BYTES || !bytes.subarray(LENGTH_BYTES).equals(MAGIC)) {
    throw new TydfsError("corrupt", "Cannot read a pack: its manifest has no end");
  }
  return bytes.readUInt32BE(0) + MANIFEST_END_BYTES;
}

/**
 * The files of a pack of `packBytes`, from its manifest's bytes (as long as `manifestLength` says).
 * Throws `corrupt` when it is malformed, or names bytes that the pack does not have.
 */
export function decodeManifest(bytes: Uint8Array, packBytes: number): PackedFile[] {
  const dataBytes = packBytes - bytes.length;
  let files: PackedFile[];
  try {
    files = decode(Manifest, bytes.subarray(0, -MANIFEST_END_BYTES), "the manifest of a pack");
  } catch (cause) {
    throw new TydfsError("corrupt", "Cannot read a pack: its manifest is malformed", { cause });
  }
  if (files.some(({ offset, sizeBytes }) => offset + sizeBytes > dataBytes)) {
    throw new TydfsError("corrupt", "Cannot read a pack: its manifest names bytes that it lacks");
  }
  return files;
}

const Copies = v.optional(v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(16)));

export const PackBeginRequest = v.object({
  /** The whole pack, manifest included, and the client's sums of it. */
  sizeBytes: v.pipe(Natural, v.maxValue(PACK_BYTES_MAX)),
  sums: Sums,
  /** The paths of its files: all must be subject to the same rule. */
  paths: v.pipe(v.array(RemotePath), v.minLength(1), v.maxLength(PACK_FILES_MAX)),
  /** Copies wanted, and before success is told; as in `upload.begin`. */
  replicas: Copies,
  minCopies: Copies,
  /** Keepers that have just failed this client; placement avoids them. */
  avoid: v.pipe(v.array(Id), v.maxLength(64)),
});
export type PackBeginRequest = v.InferOutput<typeof PackBeginRequest>;

/**
 * `pack.begin`: places a pack. Where its paths fall under several rules nothing is placed, and
 * `groups` says which go together, as indexes into `paths`: each group is to be a pack of its own.
 * Nothing is opened on the master: a pack that is never committed is removed after the grace period
 * for chunks without use. Errors: `invalid`, `busy`, `no-keepers`, `no-space`.
 */
export const packBegin = rpc(
  "pack.begin",
  PackBeginRequest,
  v.object({
    placement: v.optional(ChunkPlacement),
    groups: v.optional(v.array(v.array(Natural))),
  }),
);
export type PackBeginReply = v.InferOutput<typeof packBegin.reply>;

/** A file that is to be made of a part of a pack. */
export const PackFile = v.object({
  path: RemotePath,
  offset: Natural,
  sizeBytes: Natural,
  mode: Natural,
  mtimeMs: Moment,
  owner: Owner,
  /** The file's own checksum: see `fileChecksum`. */
  checksum: v.pipe(v.string(), v.regex(/^[0-9a-f]{16}$/)),
});
export type PackFile = v.InferOutput<typeof PackFile>;

/** What has become of one file of a pack: it is there, or was refused alone. */
export const PackOutcome = v.variant("ok", [
  v.object({ ok: v.literal(true), file: Committed }),
  v.object({ ok: v.literal(false), code: v.string(), message: v.string() }),
]);
export type PackOutcome = v.InferOutput<typeof PackOutcome>;

/**
 * `pack.commit`: makes files of a pack whose PUT was answered, all in one transaction; each is
 * there or refused by itself (`exists`, `is-directory`, `not-directory`, `invalid`; `conflict` when
 * a rule now asks for other copies or keepers than the pack has). Repeating it answers the same for
 * those that are there.
 * Errors: `not-found` (the chunk), `expired` (it waited too long), `no-keepers` (it has too few
 * copies), `invalid` (the files overlap, or lie outside of it).
 */
export const packCommit = rpc(
  "pack.commit",
  v.object({
    chunk: Id,
    files: v.pipe(v.array(PackFile), v.minLength(1), v.maxLength(PACK_FILES_MAX)),
    /** As in `pack.begin`. */
    replicas: Copies,
    minCopies: Copies,
    exclusive: v.boolean(),
  }),
  v.object({ outcomes: v.array(PackOutcome) }),
);
