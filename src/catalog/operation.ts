/**
 * Every change of the catalog, as a plain value that holds all it needs, ids and times included.
 * `apply` turns one into rows deterministically; the writer numbers them. Replaying the same
 * operations gives the same catalog.
 */
import type { ErrorCode } from "../wire/errors.ts";

/** Where a chunk's copies are to lie: labels that their keepers must have, and had better have. */
export interface PolicyFacts {
  require: Record<string, string>;
  prefer: Record<string, string>;
}

/** A chunk with the client's sums of it. */
export interface ChunkFacts {
  id: string;
  sizeBytes: number;
  sums: Uint8Array;
  goal: number;
  /** Undefined: its copies may lie anywhere. */
  policy?: PolicyFacts;
}

/** What a file is recorded with. */
export interface FileFacts {
  path: string;
  mode: number;
  mtimeMs: number;
  owner: string;
  exclusive: boolean;
  /** The copies that the user asked for by number; undefined where rules and cluster decide. */
  replicas?: number;
}

/** A file that a pack is committed with, and where it lies there. */
export interface PackedFacts extends FileFacts {
  offset: number;
  sizeBytes: number;
  checksum: string;
}

/** A run of bytes that compaction has brought from one pack into another. */
export interface PackMove {
  /** The id of the pack that it lay in, and where there. */
  from: string;
  fromOffset: number;
  length: number;
  toOffset: number;
}

/** What files want of their copies. */
export interface WishFacts {
  goal: number;
  /** Undefined: anywhere. */
  policy?: PolicyFacts;
}

/** The last extent of a place that was looked at: they are in the order of length and inode. */
export interface PlaceCursor {
  length: number;
  inode: number;
}

/** A placement rule, as it was added. */
export interface RuleFacts extends PolicyFacts {
  pattern: string;
  copies?: number;
}

/** What rules now say of a part of a file: its extents from `fromSeq` on, `limit` of them. */
export interface FilePlacement {
  inode: number;
  fromSeq: number;
  limit: number;
  goal: number;
  /** Undefined: anywhere. */
  policy?: PolicyFacts;
}

export interface KeeperFacts {
  id: string;
  name: string;
  epoch: number;
  instance: string;
  host: string;
  ports: number[];
  slots: number;
  labels: Record<string, string>;
}

/** A version that comes back from the trash, and where to. */
export interface RestoredFile {
  inode: number;
  to: string;
}

export type Operation =
  /** A master has started: its epoch grows by one. → `{epoch}` */
  | { kind: "master.start"; atMs: number }
  /**
   * A keeper registers. Throws `stale-epoch` for an epoch older than the known one, `conflict` for
   * another instance of the same epoch or a name that another keeper has, `limit`; `denied`, with
   * `removed` in its data, for the very process that was removed. → `{number}`
   */
  | { kind: "keeper.join"; keeper: KeeperFacts; atMs: number }
  /**
   * Opens an upload of several chunks; the same again does nothing. With `resume` it takes over
   * what the newest other upload to the path has stored: one that is paused, or of which nothing
   * was heard since before `idleBeforeMs`, is closed; a live one keeps it too. Throws
   * `is-directory`, `exists` (exclusive), `not-directory` (a parent), `conflict` (the id was used
   * for another). → `{resumedBytes}`
   */
  | {
    kind: "upload.begin";
    upload: string;
    file: FileFacts;
    goal: number;
    minCopies: number;
    /** The file's size, where the client knows it in advance. */
    sizeBytes?: number;
    resume?: { idleBeforeMs: number; policy?: PolicyFacts };
    atMs: number;
  }
  /** Renews an upload's lease; one that is paused goes on. Throws `not-found`. */
  | { kind: "upload.touch"; upload: string; atMs: number }
  /**
   * Drops an upload; its chunks become unreferenced at `atMs`, and no late report commits it any
   * more. With `keep` it is only paused, if it has stored chunks, and was heard of since a file was
   * last committed at its path. One that is committed stays so, and is answered. With `beforeMs`
   * nothing is done to one of which something was heard since then. → `{committed?: CommittedFile,
   * kept}`
   */
  | { kind: "upload.abort"; upload: string; keep: boolean; beforeMs?: number; atMs: number }
  /**
   * Switches the path to the upload's chunks: seqs 0…chunks−1 must be stored, their lengths add up
   * to `sizeBytes`, their sums to `checksum`, else `conflict`; each must have the upload's
   * `minCopies` replicas, else `no-keepers` (it may pass). Chunks behind those, left by an upload
   * that was taken over, are released, and paused uploads to the path are dropped. Throws what
   * `upload.begin` throws, and `not-found`. Missing parents are made. Idempotent: repeated after
   * success it answers the same. → `CommittedFile`
   */
  | {
    kind: "upload.commit";
    upload: string;
    sizeBytes: number;
    chunks: number;
    checksum: string;
    /** What the rules say now: copies unless the upload asked for some, and the policy. */
    wish?: { goal: number; policy?: PolicyFacts };
    atMs: number;
  }
  /**
   * Verified durable replicas of a chunk; keepers that are not known are left out. `place` puts it
   * into an upload (silent when that is gone: the chunk is then unreferenced from `atMs`); one that
   * comes `late` takes a free place only, and is no sign of life. With `stray` a keeper alone tells
   * of it: if the catalog does not know the chunk, it may be an older one. `commit`
   * makes a file of this one chunk, once: the same chunk again answers the same version, or
   * `conflict` when that was purged. Paused uploads to its path are dropped then. A chunk that
   * exists must have the same size and sums, else `conflict`. One that was condemned gets no use
   * any more: `expired`. A pack with a place or a commit is `invalid`. → `{committed?:
   * CommittedFile}`
   */
  | {
    kind: "chunk.stored";
    chunk: ChunkFacts;
    keepers: string[];
    place?: { upload: string; seq: number; offset: number; late?: boolean };
    commit?: { upload: string; file: FileFacts };
    stray?: true;
    /** It is a pack (see `wire/pack.ts`); `pack.commit` makes files of it. */
    packed?: true;
    atMs: number;
  }
  /**
   * Makes files of a pack, each by itself: one that is refused does not stop the others (with what
   * `upload.begin` throws, or `conflict`: another file of the pack has its path). Only the first
   * commit of a pack makes files, and gives it its goal and policy; the same again answers those
   * that it made and that have their path still, in the trash too, and refuses others with
   * `conflict`. Paused uploads to the paths are dropped; missing parents are made. Throws
   * `not-found` (no such pack), `expired` (it was condemned), `no-keepers` (fewer than `minCopies`
   * replicas), `invalid` (files that overlap, or lie outside of it).
   */
  | {
    kind: "pack.commit";
    chunk: string;
    goal: number;
    minCopies: number;
    policy?: PolicyFacts;
    files: PackedFacts[];
    atMs: number;
  }
  /**
   * Moves what still lies at these places of packs into another pack that is stored already, whose
   * first use this may be: all extents that start there and are not longer, those of copies and of
   * the trash included; with `wish` only those of files that want just this. Places where nothing
   * lies any more are passed over. A pack that loses its last extent is unreferenced from `atMs`.
   * The new pack is held as all of its named files want; where it has none, as the first of the old
   * ones. With `limit` no more extents are looked at: `next` is where the rest is to begin, with
   * the move of that index, behind `after` (its own first place if undefined). Throws `not-found`,
   * `expired`, and `no-keepers` (fewer than `minCopies` replicas) for the new pack, and `invalid`
   * for places outside of it. → `{moved, next?}`: extents
   */
  | {
    kind: "pack.move";
    to: string;
    minCopies: number;
    moves: PackMove[];
    wish?: WishFacts;
    limit?: number;
    /** Where the first of the moves goes on. */
    after?: PlaceCursor;
    atMs: number;
  }
  /**
   * Has packs held as their named files want now: they are parted no more when these agree. Others
   * are passed over.
   */
  | { kind: "pack.settle"; chunks: string[]; atMs: number }
  /**
   * Gives up a surplus replica of each of `chunks`, on record, before the keeper is told to delete
   * it: only where at least the chunk's goal of other replicas lie on the keepers `alive`.
   * → `{released}`
   */
  | {
    kind: "replica.release";
    keeper: string;
    chunks: string[];
    alive: string[];
    atMs: number;
  }
  /**
   * Replicas that are no more (missing, corrupt, or deleted by command). Unknown ones are ignored.
   */
  | { kind: "replica.gone"; keeper: string; chunks: string[]; atMs: number }
  /**
   * A page of a keeper's inventory: see `reportInventory`. Unknown chunks become strays; a replica
   * of another length is none, and is named. Throws `not-found` (the keeper), `invalid` (not in id
   * order). → `{unknown, missing, wrongSize}`
   */
  | {
    kind: "keeper.inventory";
    keeper: string;
    after: string;
    chunks: [string, number][];
    last: boolean;
    atMs: number;
  }
  /**
   * Marks those of `chunks` that are unreferenced since before `beforeMs`: from now on their
   * replicas may be deleted, and `chunk.stored` refuses them. → `{condemned}`
   */
  | { kind: "chunk.condemn"; chunks: string[]; beforeMs: number }
  /** Forgets unreferenced chunks without replicas that became unreferenced before `beforeMs`. */
  | { kind: "chunk.forget"; chunks: string[]; beforeMs: number }
  /**
   * Makes a directory; those above it that `parents` makes too have a mode and time of their own.
   * Throws `exists`, `not-found` (parent), `not-directory`, `invalid` (mode). → `{made}`
   */
  | {
    kind: "dir.make";
    path: string;
    parents: boolean;
    owner: string;
    mode: number;
    mtimeMs: number;
    atMs: number;
  }
  /**
   * Moves a path into the trash. Throws `not-found`, `not-empty`, `invalid` (the root).
   * → `{files, directories}`
   */
  | { kind: "file.remove"; path: string; recursive: boolean; atMs: number }
  /**
   * Moves a path; missing parents of `to` are made. An existing file is replaced when `replace`
   * (the old one goes to the trash). Throws `not-found`, `exists` (a directory, or a file without
   * `replace`), `is-directory`, `not-directory`, `invalid` (the root, or into itself).
   */
  | { kind: "file.rename"; from: string; to: string; replace: boolean; atMs: number }
  /**
   * Makes a second file of the same chunks, with the first one's mode and times and a version of
   * its own; missing parents of `to` are made. An existing file is replaced when `replace` (the old
   * one goes to the trash). Throws `not-found`, `is-directory` (either), `exists`, `not-directory`,
   * `invalid` (onto itself). → `{version}`
   */
  | {
    kind: "file.copy";
    from: string;
    to: string;
    replace: boolean;
    owner: string;
    atMs: number;
  }
  /**
   * Gives a file or directory another mode or time of modification; its version stays. Throws
   * `not-found`, `invalid` (mode).
   */
  | { kind: "file.set"; path: string; mode?: number; mtimeMs?: number }
  /**
   * Purges trash entries removed before `beforeMs`, at most `limit`, the oldest first; their chunks
   * may become unreferenced. → `{purged}`
   */
  | { kind: "trash.purge"; beforeMs: number; limit: number; atMs: number }
  /**
   * Appends a placement rule. Throws `invalid` (the pattern, or nothing asked for), `exists` (the
   * pattern has one), `limit`. → `{id}`
   */
  | { kind: "rule.add"; rule: RuleFacts }
  /** Takes a placement rule away. Throws `not-found`. */
  | { kind: "rule.remove"; id: number }
  /**
   * Gives files, and with them their chunks, the goal and the policy that the rules say. A chunk of
   * several files gets the highest goal of them, and requires all that any of them requires; of a
   * pack they are parted from then on. Files that are no more are passed over. → the inodes of
   * those in which something changed
   */
  | { kind: "rule.apply"; files: FilePlacement[]; atMs: number }
  /**
   * Looks at the next `limit` chunks of a keeper that came back with other labels: which copies
   * are misplaced now. Does nothing for another keeper.
   */
  | { kind: "keeper.recount"; keeper: number; limit: number }
  /** Begins or ends the draining of a keeper. Throws `not-found`. */
  | { kind: "keeper.drain"; keeper: string; on: boolean }
  /**
   * Forgets a keeper and its replicas; started anew it may join again. Throws `not-found`, and
   * `conflict` while a chunk would be left with fewer than `goal` copies on the keepers `alive`,
   * unless `force`. Replica rows go `limit` at a time, each part checked before: `more` until the
   * keeper itself is gone. → `{short, lost, more}`: chunks of this part that have too few others,
   * and none
   */
  | {
    kind: "keeper.remove";
    keeper: string;
    alive: string[];
    force: boolean;
    limit: number;
    atMs: number;
  }
  /** Whether keepers are to be made even by command. */
  | { kind: "balance.set"; on: boolean }
  /**
   * Brings versions back from the trash, each to its path, with the version, owner, mode and time
   * that it had; all of them or none. Missing parents are made. A file that is there goes to the
   * trash when `replace`. Throws `not-found`, `exists`, `is-directory`, `not-directory`.
   * → `{events}`
   */
  | { kind: "trash.restore"; files: RestoredFile[]; replace: boolean; atMs: number }
  /** Purges these versions from the trash now; others are passed over. → `{purged, bytes}` */
  | { kind: "trash.drop"; inodes: number[]; atMs: number };

export type OperationKind = Operation["kind"];

/** A file as an operation committed it. */
export interface CommittedFile {
  path: string;
  version: number;
  sizeBytes: number;
  checksum: string;
  /** The smallest number of replicas of any of its chunks. */
  copies: number;
  goal: number;
  /** It took the place of an older version. */
  replaced: boolean;
}

/** A change of names, as the catalog logs it and the master tells of it. */
export interface NameEvent {
  kind: "put" | "replaced" | "removed" | "renamed";
  atMs: number;
  path: string;
  /** The new path of a rename. */
  to?: string;
  /** A directory stands for all that is below it. */
  entry: "file" | "directory";
  version: number;
  /** Bytes of a file. */
  sizeBytes?: number;
  owner: string;
}

/** What has become of one file of a pack. */
export type PackResult =
  | { ok: true; file: CommittedFile }
  | { ok: false; code: ErrorCode; message: string };

/** `event` is there when the operation has changed names: not when it was repeated. */
export interface Told {
  event?: NameEvent;
}

/** What applying an operation answers, by kind; kinds that are not listed answer `{}`. */
export interface OperationResults {
  "upload.begin": { resumedBytes: number };
  "upload.abort": { committed?: CommittedFile; kept: boolean };
  "replica.release": { released: string[] };
  "master.start": { epoch: number };
  "keeper.join": { number: number };
  "upload.commit": CommittedFile & Told;
  "chunk.stored": { committed?: CommittedFile } & Told;
  "pack.commit": { files: PackResult[]; events: NameEvent[] };
  "pack.move": { moved: number; next?: { index: number; after?: PlaceCursor } };
  "chunk.condemn": { condemned: string[] };
  "keeper.inventory": { unknown: number; missing: number; wrongSize: string[] };
  "dir.make": { made: boolean };
  "file.remove": { files: number; directories: number } & Told;
  "file.rename": Told;
  "file.copy": { version: number } & Told;
  "trash.purge": { purged: number };
  "rule.add": { id: number };
  "rule.apply": { changed: number[] };
  "keeper.remove": { short: number; lost: number; more: boolean };
  "trash.restore": { events: NameEvent[] };
  "trash.drop": { purged: number; bytes: number };
}

export type ResultOf<K extends OperationKind> = K extends keyof OperationResults
  ? OperationResults[K]
  : Record<string, never>;

/**
 * How master threads change the catalog: the writer thread's end of it commits before it answers.
 */
export interface Journal {
  /** Applies one operation durably; throws what `apply` threw (nothing was changed then). */
  submit<K extends OperationKind>(
    operation: Extract<Operation, { kind: K }>,
  ): Promise<ResultOf<K>>;
}
