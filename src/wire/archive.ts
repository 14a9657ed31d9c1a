/**
 * The catalog's archive on the keepers: snapshots of the catalog and the operations since, from
 * which a lost master is rebuilt. Pieces of the journal come by command; snapshots, which are
 * large, over HTTP on a ticket of their own.
 */
import * as v from "valibot";
import { validate } from "./codec.ts";
import { Id, Natural } from "./ids.ts";
import { Done, rpc } from "./rpc.ts";

/** A file's name in an archive: nothing that could lead elsewhere. */
export const ArchiveName = v.pipe(
  v.string(),
  v.regex(/^(?:snapshot|journal)-[0-9a-f]{32}-[0-9]{1,16}$/, "not a name in an archive"),
);

const Bytes = v.custom<Uint8Array>((value) => value instanceof Uint8Array, "bytes are due");

/** The cluster's key, sealed with the keepers' secret: see `sealKey`. */
const SealedKey = v.pipe(v.string(), v.regex(/^[0-9a-f]{64}$/, "not a sealed key"));

/** Bytes of a piece of the journal in one command, at most. */
export const JOURNAL_PIECE_MAX = 512 * 1024;

/**
 * The head of a snapshot's file: the catalog behind it, and what else a master needs that begins
 * anew.
 */
export const SnapshotHead = v.object({
  format: v.literal(1),
  catalog: Id,
  epoch: Natural,
  /** The last operation in it, and the hash of the history up to there. */
  sequence: Natural,
  hash: Bytes,
  cluster: v.string(),
  key: SealedKey,
  /** Bytes of the database. */
  sizeBytes: Natural,
  /** Wall time in ms. */
  madeMs: Natural,
});
export type SnapshotHead = v.InferOutput<typeof SnapshotHead>;

/**
 * A piece of a catalog's history: the operations `from` to `to`, as CBOR, and the hash of the
 * history before them; so that pieces from several keepers can be put in order and checked. Pieces
 * may overlap, and each stands alone: with pieces from the first operation on no snapshot is
 * needed.
 */
export const JournalPiece = v.object({
  /** The catalog's id. */
  catalog: Id,
  /** Of the master that sent it: where histories part, the newest master's is the true one. */
  epoch: Natural,
  /** The cluster's name, and its key as `sealKey` makes it. */
  cluster: v.string(),
  key: SealedKey,
  from: Natural,
  to: Natural,
  /** SHA-256 before operation `from`, as in the catalog. */
  hashBefore: Bytes,
  /** A CBOR array of the operations, each as the CBOR that the hash is over. */
  operations: Bytes,
});
export type JournalPiece = v.InferOutput<typeof JournalPiece>;

/**
 * `keeper.<id>.journal`: append a piece to the journal file `file`, durably before the answer. May
 * be repeated: a piece that is there twice does no harm. Errors: `stale-epoch`, `no-space`.
 */
export const commandJournal = rpc(
  "journal",
  v.object({ epoch: Natural, file: ArchiveName, piece: JournalPiece }),
  Done,
);

/** A file in a keeper's archive. */
export const ArchiveFile = v.object({
  name: ArchiveName,
  sizeBytes: Natural,
  /** That of files (see `fileChecksum`); "" of a journal: it grows. */
  checksum: v.string(),
  /** Of a journal: the last operation of each master, by its epoch. */
  ends: v.optional(v.array(v.tuple([Natural, Natural]))),
});
export type ArchiveFile = v.InferOutput<typeof ArchiveFile>;

/**
 * `keeper.<id>.archive`: what the keeper's archive holds. It is also asked by a master that is
 * being recovered, and so carries no epoch.
 */
export const commandArchive = rpc(
  "archive",
  v.object({}),
  v.object({
    files: v.array(ArchiveFile),
    /** The newest master that the keeper has obeyed, and its catalog; none: it never has. */
    masterEpoch: Natural,
    catalog: v.optional(Id),
  }),
);

/**
 * `keeper.<id>.prune`: remove these files of the archive. They are named one by one: what has come
 * since the keeper was asked is safe.
 */
export const commandPrune = rpc(
  "prune",
  v.object({ epoch: Natural, remove: v.pipe(v.array(ArchiveName), v.maxLength(64)) }),
  v.object({ removed: Natural }),
);

/** The name of a catalog's snapshot that ends, or its journal that begins, at `sequence`. */
export function archiveName(
  kind: "snapshot" | "journal",
  catalog: string,
  sequence: number,
): string {
  return `${kind}-${catalog}-${sequence}`;
}

/** What a name in an archive says. */
export function parseArchiveName(
  name: string,
): { kind: "snapshot" | "journal"; catalog: string; sequence: number } {
  const [kind, catalog = "", sequence] = validate(ArchiveName, name, "the archive").split("-");
  return { kind: kind as "snapshot" | "journal", catalog, sequence: Number(sequence) };
}
