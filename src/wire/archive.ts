/**
 * The catalog's archive on the keepers: snapshots of the catalog and the operations since, from
 * which a lost master is rebuilt. Pieces of the journal come by command; snapshots, which are
 * large, over HTTP on a ticket of their own.
 */
import * as v from "valibot";
import { Id, Natural } from "./ids.ts";
import { Done, rpc } from "./rpc.ts";

/** A file's name in an archive: nothing that could lead elsewhere. */
export const ArchiveName = v.pipe(
  v.string(),
  v.regex(/^(?:snapshot|journal)-[0-9a-f]{32}-[0-9]{1,16}$/, "not a name in an archive"),
);

/** Bytes of a piece of the journal in one command, at most. */
export const JOURNAL_PIECE_MAX = 512 * 1024;

/**
 * A piece of a catalog's history: the operations `from` to `to`, as CBOR, and the hash of the
 * history before them; so that pieces from several keepers can be put in order and checked.
 */
export const JournalPiece = v.object({
  /** The catalog's id. */
  catalog: Id,
  from: Natural,
  to: Natural,
  /** SHA-256 before operation `from`, as in the catalog. */
  hashBefore: v.instance(Uint8Array),
  /** An array of operations as CBOR. */
  operations: v.instance(Uint8Array),
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
  /** XXH3-64 over the block sums, as of files (see `fileChecksum`). */
  checksum: v.string(),
});
export type ArchiveFile = v.InferOutput<typeof ArchiveFile>;

/**
 * `keeper.<id>.archive`: what the keeper's archive holds. It is also asked by a master that is
 * being recovered, and so carries no epoch.
 */
export const commandArchive = rpc(
  "archive",
  v.object({}),
  v.object({ files: v.array(ArchiveFile), masterEpoch: Natural }),
);

/** `keeper.<id>.prune`: remove all files of the archive but `keep`. */
export const commandPrune = rpc(
  "prune",
  v.object({ epoch: Natural, catalog: Id, keep: v.pipe(v.array(ArchiveName), v.maxLength(64)) }),
  v.object({ removed: Natural }),
);
