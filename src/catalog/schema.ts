/**
 * The catalog's tables. A file version is an inode that never changes; a path is switched from one
 * to the next. Counted columns (`refs`, `copies`, the counters in `meta`) repeat what rows say, so
 * that nothing large is ever counted: `apply` keeps them, `check` compares them. Foreign keys are
 * not enforced: `apply` is the only writer, and `check` finds dangling rows.
 */
import type { Database } from "bun:sqlite";
import { TydfsError } from "../wire/errors.ts";
import { CATALOG_FORMAT_VERSION } from "../wire/version.ts";

/** The inode of "/". */
export const ROOT_INODE = 1;

/** Marks the file as a tydfs catalog ("tydf"), for `file` and for us. */
const APPLICATION_ID = 0x74796466;

/** Counters in `meta`; all others than the generations equal a count or a sum of rows. */
export const COUNTERS = [
  "files",
  "directories",
  "bytes",
  "chunks",
  "chunks_short",
  "chunks_lost",
  "chunks_misplaced",
  "keepers_generation",
  "rules_generation",
] as const;
export type Counter = (typeof COUNTERS)[number];

const FORMAT_1 = `
  CREATE TABLE meta (key TEXT PRIMARY KEY, value ANY) STRICT, WITHOUT ROWID;

  -- A committed file version, or a directory. checksum and goal are those of files; replaced: it
  -- took an older one's place.
  CREATE TABLE inode (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    kind TEXT NOT NULL CHECK (kind IN ('file', 'directory')),
    size INTEGER NOT NULL,
    version INTEGER NOT NULL,
    mtime_ms INTEGER NOT NULL,
    mode INTEGER NOT NULL,
    owner TEXT NOT NULL,
    checksum TEXT NOT NULL,
    goal INTEGER NOT NULL,
    replaced INTEGER NOT NULL
  ) STRICT;

  -- key: the name of a file, the name and "/" of a directory: key order is the byte order of
  -- depth-first paths.
  CREATE TABLE dentry (
    parent INTEGER NOT NULL,
    key TEXT NOT NULL,
    inode INTEGER NOT NULL,
    PRIMARY KEY (parent, key)
  ) STRICT, WITHOUT ROWID;

  CREATE TABLE extent (
    inode INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    offset INTEGER NOT NULL,
    length INTEGER NOT NULL,
    chunk INTEGER NOT NULL,
    chunk_offset INTEGER NOT NULL,
    PRIMARY KEY (inode, seq)
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX extent_chunk ON extent (chunk);

  -- refs: rows of extent and upload_chunk; copies: rows of replica; orphaned_ms: NULL while refs >
  -- 0; committed: 1 once the chunk's own report made a file of it, so that no late repetition makes
  -- another; condemned: 1 once its replicas may be deleted, so that no late report revives it.
  CREATE TABLE chunk (
    no INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    size INTEGER NOT NULL,
    sums BLOB NOT NULL,
    goal INTEGER NOT NULL,
    refs INTEGER NOT NULL CHECK (refs >= 0),
    copies INTEGER NOT NULL CHECK (copies >= 0),
    orphaned_ms INTEGER,
    committed INTEGER NOT NULL,
    condemned INTEGER NOT NULL DEFAULT 0
  ) STRICT;
  CREATE INDEX chunk_short ON chunk (no) WHERE copies < goal AND refs > 0;
  CREATE INDEX chunk_surplus ON chunk (no) WHERE copies > goal AND refs > 0;
  CREATE INDEX chunk_orphan ON chunk (orphaned_ms, no) WHERE refs = 0 AND copies > 0;
  CREATE INDEX chunk_tombstone ON chunk (orphaned_ms) WHERE refs = 0 AND copies = 0;

  CREATE TABLE replica (
    chunk INTEGER NOT NULL,
    keeper INTEGER NOT NULL,
    PRIMARY KEY (chunk, keeper)
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX replica_keeper ON replica (keeper, chunk);

  -- Numbers start at 0 and are never used again. ports and labels are JSON.
  CREATE TABLE keeper (
    number INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    name TEXT NOT NULL UNIQUE,
    host TEXT NOT NULL,
    ports TEXT NOT NULL,
    slots INTEGER NOT NULL,
    labels TEXT NOT NULL,
    epoch INTEGER NOT NULL,
    instance TEXT NOT NULL,
    joined_ms INTEGER NOT NULL
  ) STRICT;

  -- Uploads under way, and the chunks that they have stored.
  CREATE TABLE upload (
    id TEXT PRIMARY KEY,
    path TEXT NOT NULL,
    mode INTEGER NOT NULL,
    mtime_ms INTEGER NOT NULL,
    owner TEXT NOT NULL,
    exclusive INTEGER NOT NULL,
    goal INTEGER NOT NULL,
    min_copies INTEGER NOT NULL,
    started_ms INTEGER NOT NULL,
    touched_ms INTEGER NOT NULL
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX upload_path ON upload (path);
  CREATE INDEX upload_touched ON upload (touched_ms);

  CREATE TABLE upload_chunk (
    upload TEXT NOT NULL,
    seq INTEGER NOT NULL,
    offset INTEGER NOT NULL,
    length INTEGER NOT NULL,
    chunk INTEGER NOT NULL,
    PRIMARY KEY (upload, seq)
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX upload_chunk_chunk ON upload_chunk (chunk);

  -- The answers of the latest commits, for those who ask again.
  CREATE TABLE committed (
    no INTEGER PRIMARY KEY AUTOINCREMENT,
    upload TEXT NOT NULL UNIQUE,
    path TEXT NOT NULL,
    version INTEGER NOT NULL,
    size INTEGER NOT NULL,
    checksum TEXT NOT NULL,
    copies INTEGER NOT NULL,
    goal INTEGER NOT NULL,
    replaced INTEGER NOT NULL
  ) STRICT;

  -- The latest uploads that were dropped: a late report must not commit one of them.
  CREATE TABLE dropped (
    no INTEGER PRIMARY KEY AUTOINCREMENT,
    upload TEXT NOT NULL UNIQUE
  ) STRICT;

  CREATE TABLE trash (
    inode INTEGER PRIMARY KEY,
    path TEXT NOT NULL,
    removed_ms INTEGER NOT NULL
  ) STRICT;
  CREATE INDEX trash_removed ON trash (removed_ms, inode);

  INSERT INTO inode VALUES (${ROOT_INODE}, 'directory', 0, 0, 0, 493, '', '', 0, 0);
  INSERT INTO meta VALUES ('epoch', 0), ('sequence', 0), ('hash', zeroblob(32));
  INSERT INTO meta VALUES ${COUNTERS.map((counter) => `('${counter}', 0)`).join(", ")};
`;

const FORMAT_2 = `
  -- paused: interrupted; what it has stored is kept for the next upload to its path. superseded: a
  -- file was committed at its path since something was heard of it.
  ALTER TABLE upload ADD COLUMN paused INTEGER NOT NULL DEFAULT 0;
  ALTER TABLE upload ADD COLUMN superseded INTEGER NOT NULL DEFAULT 0;
  DROP INDEX upload_path;
  DROP INDEX upload_touched;
  CREATE INDEX upload_path ON upload (path, touched_ms, id, paused);
  CREATE INDEX upload_touched ON upload (paused, touched_ms);

  -- committed: the inode that the chunk's own report made, 0 for none. A copy has the chunk too, so
  -- extents don't tell. ${ROOT_INODE} stands for one that was purged before this format.
  UPDATE chunk SET committed =
    ifnull((SELECT min(e.inode) FROM extent e WHERE e.chunk = chunk.no), ${ROOT_INODE})
    WHERE committed = 1;

  -- The latest changes of names. target: the new path of a rename; size: NULL for a directory.
  CREATE TABLE event (
    no INTEGER PRIMARY KEY,
    kind TEXT NOT NULL,
    at_ms INTEGER NOT NULL,
    path TEXT NOT NULL,
    target TEXT,
    entry TEXT NOT NULL,
    version INTEGER NOT NULL,
    size INTEGER,
    owner TEXT NOT NULL
  ) STRICT;
`;

/**
 * Placement rules. Inserts into `meta` pass over what is there: an older step that makes an empty
 * catalog writes all counters.
 */
const FORMAT_3 = `
  -- Rules that were added by command; those of the configuration file stand there. require and
  -- prefer are JSON; copies is NULL where the rule does not ask for a number.
  CREATE TABLE rule (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    pattern TEXT NOT NULL UNIQUE,
    require TEXT NOT NULL,
    prefer TEXT NOT NULL,
    copies INTEGER
  ) STRICT;

  -- What rules have asked for so far, each once, as JSON with sorted keys. Rows never change and
  -- never go. A chunk's policy 0 stands for no wish, and has no row.
  CREATE TABLE policy (
    no INTEGER PRIMARY KEY,
    require TEXT NOT NULL,
    prefer TEXT NOT NULL,
    UNIQUE (require, prefer)
  ) STRICT;

  -- Keepers that came back with other labels: misplaced of the chunks that they hold is counted
  -- anew, and is right up to chunk number after.
  CREATE TABLE relabelled (keeper INTEGER PRIMARY KEY, after INTEGER NOT NULL) STRICT;

  -- misplaced: replicas on keepers that lack a label which the policy requires.
  ALTER TABLE chunk ADD COLUMN policy INTEGER NOT NULL DEFAULT 0;
  ALTER TABLE chunk ADD COLUMN misplaced INTEGER NOT NULL DEFAULT 0;
  CREATE INDEX chunk_misplaced ON chunk (no) WHERE misplaced > 0 AND refs > 0;

  -- asked: the copies that the user wanted by number, 0 where rules and cluster decide.
  ALTER TABLE inode ADD COLUMN asked INTEGER NOT NULL DEFAULT 0;
  ALTER TABLE upload ADD COLUMN asked INTEGER NOT NULL DEFAULT 0;

  INSERT OR IGNORE INTO meta VALUES ('chunks_misplaced', 0), ('rules_generation', 0);
`;

const FORMAT_4 = `
  -- draining: everything is to be moved off it. removed_ms: NULL while it belongs to the cluster;
  -- the row stays, since its number is never used again.
  ALTER TABLE keeper ADD COLUMN draining INTEGER NOT NULL DEFAULT 0;
  ALTER TABLE keeper ADD COLUMN removed_ms INTEGER;

  -- replicas and bytes count its rows of replica, and the sizes of their chunks.
  ALTER TABLE keeper ADD COLUMN replicas INTEGER NOT NULL DEFAULT 0;
  ALTER TABLE keeper ADD COLUMN bytes INTEGER NOT NULL DEFAULT 0;
  UPDATE keeper SET (replicas, bytes) = (SELECT count(*), ifnull(sum(c.size), 0)
    FROM replica r JOIN chunk c ON c.no = r.chunk WHERE r.keeper = keeper.number);

  -- stray: only an inventory has told of it. It is kept longer than what was removed here, for the
  -- catalog may be an older one.
  ALTER TABLE chunk ADD COLUMN stray INTEGER NOT NULL DEFAULT 0;
  UPDATE chunk SET stray = 1 WHERE refs = 0 AND length(sums) = 0 AND size > 0;
  DROP INDEX chunk_orphan;
  CREATE INDEX chunk_orphan ON chunk (orphaned_ms, no)
    WHERE refs = 0 AND copies > 0 AND stray = 0;
  CREATE INDEX chunk_stray ON chunk (orphaned_ms, no)
    WHERE refs = 0 AND copies > 0 AND stray = 1;

  -- replaced: a newer version took its place; it was not removed.
  ALTER TABLE trash ADD COLUMN replaced INTEGER NOT NULL DEFAULT 0;
  -- size: of the file that is uploaded, NULL where it was not known in advance (a stream).
  ALTER TABLE upload ADD COLUMN size INTEGER;

  -- From a chunk to the names of the files that it is part of, and from a name to its trash.
  CREATE INDEX dentry_inode ON dentry (inode);
  CREATE INDEX trash_path ON trash (path, removed_ms DESC, inode DESC, replaced);

  -- catalog: names this history, in the archives and to keepers. balance: 1 while keepers are made
  -- even by command.
  INSERT OR IGNORE INTO meta VALUES ('catalog', lower(hex(randomblob(16)))), ('balance', 0);
`;

const FORMAT_5 = `
  -- packed: 1 for a pack, many small files in one chunk. filled: bytes of all files that were put
  -- in it, without its manifest. live: bytes that its extents refer to, each extent counted. Both 0
  -- where it is no pack.
  ALTER TABLE chunk ADD COLUMN packed INTEGER NOT NULL DEFAULT 0;
  ALTER TABLE chunk ADD COLUMN filled INTEGER NOT NULL DEFAULT 0;
  ALTER TABLE chunk ADD COLUMN live INTEGER NOT NULL DEFAULT 0;
  -- Of a pack, committed is the version of the files that its commit has made.

  -- Many files lie in one pack: what starts at a place of it is found at once.
  DROP INDEX extent_chunk;
  CREATE INDEX extent_chunk ON extent (chunk, chunk_offset);

  -- Packs of which more than half is dead: to be compacted.
  CREATE INDEX chunk_sparse ON chunk (no) WHERE packed = 1 AND refs > 0 AND live < filled / 2;
`;

/**
 * Of packs whose files rules had parted before, only the last file's policy is known: the next
 * `rule apply` tells the others'.
 */
const FORMAT_6 = `
  -- policy: what the rules wanted of the keepers of a file when they decided about it last.
  ALTER TABLE inode ADD COLUMN policy INTEGER NOT NULL DEFAULT 0;
  UPDATE inode SET policy = c.policy FROM extent e JOIN chunk c ON c.no = e.chunk
    WHERE e.inode = inode.id AND e.seq = 0 AND c.policy <> 0;

  -- parted: 0 where all named files of a chunk want what it has as goal and policy. 1 where they
  -- may differ: it has the highest of their goals and requires all that any of them requires. 2
  -- where that is not possible: every copy is misplaced then.
  ALTER TABLE chunk ADD COLUMN parted INTEGER NOT NULL DEFAULT 0;
  CREATE INDEX chunk_parted ON chunk (no) WHERE parted > 0 AND packed = 1 AND refs > 0;
  UPDATE chunk SET parted = 1, goal = max(goal, (SELECT max(i.goal) FROM extent e
      JOIN inode i ON i.id = e.inode WHERE e.chunk = chunk.no))
    WHERE packed = 1 AND refs > 0 AND EXISTS (SELECT 1 FROM extent e
      JOIN inode i ON i.id = e.inode WHERE e.chunk = chunk.no AND i.goal <> chunk.goal);
  UPDATE meta SET value = (SELECT count(*) FROM chunk WHERE refs > 0 AND copies < goal)
    WHERE key = 'chunks_short';

  -- Whether something else lies at a place of a pack is one look, however many copies lie there.
  DROP INDEX extent_chunk;
  CREATE INDEX extent_chunk ON extent (chunk, chunk_offset, length);

  -- live: bytes that something refers to, each counted once.
  UPDATE chunk SET live = (SELECT ifnull(sum(length), 0) FROM (
      SELECT DISTINCT chunk_offset, length FROM extent WHERE chunk = chunk.no))
    WHERE packed = 1;
`;

/** What leads from each format version to the next; the first makes an empty catalog. */
const MIGRATIONS: readonly string[] = [
  ...[FORMAT_1, FORMAT_2, FORMAT_3, FORMAT_4, FORMAT_5],
  FORMAT_6,
];

/**
 * Brings a catalog to this version's format; the root and zeroed counters are in it then. Throws
 * `invalid` for a catalog of a newer tydfs and for a database that is something else.
 */
export function migrate(database: Database, path: string): void {
  const from = readPragma(database, "user_version");
  if (from > CATALOG_FORMAT_VERSION) {
    throw new TydfsError(
      "invalid",
      `Cannot open the catalog "${path}": it was made by a newer tydfs (format ${from}, this one ` +
        `knows ${CATALOG_FORMAT_VERSION}); use that version`,
    );
  }
  const tables = Number(readValue(database, "SELECT count(*) FROM sqlite_master"));
  if (from === 0 ? tables > 0 : readPragma(database, "application_id") !== APPLICATION_ID) {
    throw new TydfsError("invalid", `Cannot open the catalog "${path}": it is another database`);
  }
  if (from === CATALOG_FORMAT_VERSION) return;
  database.transaction(() => {
    for (const migration of MIGRATIONS.slice(from)) database.run(migration);
    database.run("INSERT OR REPLACE INTO meta VALUES ('format', ?)", [CATALOG_FORMAT_VERSION]);
    database.run(`PRAGMA application_id = ${APPLICATION_ID}`);
    database.run(`PRAGMA user_version = ${CATALOG_FORMAT_VERSION}`);
  }).immediate();
}

/** The value of a pragma that answers one number. */
export function readPragma(database: Database, name: string): number {
  return Number(readValue(database, `PRAGMA ${name}`));
}

/**
 * The first value of the first row, from a statement that is used once: one left open would keep
 * the file open.
 */
export function readValue(database: Database, sql: string): unknown {
  using statement = database.prepare(sql);
  const [[value] = []] = statement.values();
  return value;
}
