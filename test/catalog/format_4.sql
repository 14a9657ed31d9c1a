-- A catalog of format 4 with content, as the tydfs of that time left it.
PRAGMA application_id = 1954112614;
PRAGMA user_version = 4;
CREATE TABLE meta (key TEXT PRIMARY KEY, value ANY) STRICT, WITHOUT ROWID;
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
  , asked INTEGER NOT NULL DEFAULT 0) STRICT;
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
  , policy INTEGER NOT NULL DEFAULT 0, misplaced INTEGER NOT NULL DEFAULT 0, stray INTEGER NOT NULL DEFAULT 0) STRICT;
CREATE TABLE replica (
    chunk INTEGER NOT NULL,
    keeper INTEGER NOT NULL,
    PRIMARY KEY (chunk, keeper)
  ) STRICT, WITHOUT ROWID;
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
  , draining INTEGER NOT NULL DEFAULT 0, removed_ms INTEGER, replicas INTEGER NOT NULL DEFAULT 0, bytes INTEGER NOT NULL DEFAULT 0) STRICT;
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
  , paused INTEGER NOT NULL DEFAULT 0, superseded INTEGER NOT NULL DEFAULT 0, asked INTEGER NOT NULL DEFAULT 0, size INTEGER) STRICT, WITHOUT ROWID;
CREATE TABLE upload_chunk (
    upload TEXT NOT NULL,
    seq INTEGER NOT NULL,
    offset INTEGER NOT NULL,
    length INTEGER NOT NULL,
    chunk INTEGER NOT NULL,
    PRIMARY KEY (upload, seq)
  ) STRICT, WITHOUT ROWID;
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
CREATE TABLE dropped (
    no INTEGER PRIMARY KEY AUTOINCREMENT,
    upload TEXT NOT NULL UNIQUE
  ) STRICT;
CREATE TABLE trash (
    inode INTEGER PRIMARY KEY,
    path TEXT NOT NULL,
    removed_ms INTEGER NOT NULL
  , replaced INTEGER NOT NULL DEFAULT 0) STRICT;
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
CREATE TABLE rule (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    pattern TEXT NOT NULL UNIQUE,
    require TEXT NOT NULL,
    prefer TEXT NOT NULL,
    copies INTEGER
  ) STRICT;
CREATE TABLE policy (
    no INTEGER PRIMARY KEY,
    require TEXT NOT NULL,
    prefer TEXT NOT NULL,
    UNIQUE (require, prefer)
  ) STRICT;
CREATE TABLE relabelled (keeper INTEGER PRIMARY KEY, after INTEGER NOT NULL) STRICT;
INSERT INTO meta VALUES ('balance', 0);
INSERT INTO meta VALUES ('bytes', 47);
INSERT INTO meta VALUES ('catalog', 'e7fc66a2983afffd2d94c37911f5283b');
INSERT INTO meta VALUES ('chunks', 7);
INSERT INTO meta VALUES ('chunks_lost', 0);
INSERT INTO meta VALUES ('chunks_misplaced', 1);
INSERT INTO meta VALUES ('chunks_short', 6);
INSERT INTO meta VALUES ('directories', 2);
INSERT INTO meta VALUES ('epoch', 0);
INSERT INTO meta VALUES ('files', 4);
INSERT INTO meta VALUES ('format', 4);
INSERT INTO meta VALUES ('hash', x'e1b8d1e7b199367e8edce6b441911a047e9300ff7ea17f0520493881177a783f');
INSERT INTO meta VALUES ('keepers_generation', 4);
INSERT INTO meta VALUES ('rules_generation', 1);
INSERT INTO meta VALUES ('sequence', 21);
INSERT INTO inode VALUES (1, 'directory', 0, 0, 0, 493, '', '', 0, 0, 0);
INSERT INTO inode VALUES (2, 'file', 10, 4, 7, 420, 'ann', '691620e6b4c86417', 3, 0, 0);
INSERT INTO inode VALUES (3, 'directory', 0, 4, 1003, 493, 'ann', '', 0, 0, 0);
INSERT INTO inode VALUES (4, 'file', 10, 5, 7, 420, 'ann', 'e2832ea26101794b', 3, 1, 0);
INSERT INTO inode VALUES (5, 'file', 17, 9, 7, 420, 'ann', 'ddb90c4f82f4c1bf', 3, 0, 0);
INSERT INTO inode VALUES (6, 'directory', 0, 10, 1009, 493, 'ann', '', 0, 0, 0);
INSERT INTO inode VALUES (7, 'file', 10, 11, 7, 420, 'ann', '0a0109cf9ee0aa8b', 3, 0, 0);
INSERT INTO inode VALUES (8, 'file', 10, 12, 7, 420, 'bob', '0a0109cf9ee0aa8b', 3, 0, 0);
INSERT INTO inode VALUES (9, 'file', 10, 15, 7, 420, 'ann', '39e7ed4bcc3681ae', 3, 0, 0);
INSERT INTO dentry VALUES (1, 'a/', 3);
INSERT INTO dentry VALUES (3, 'one', 4);
INSERT INTO dentry VALUES (3, 'film', 5);
INSERT INTO dentry VALUES (1, 'empty/', 6);
INSERT INTO dentry VALUES (3, 'copy', 8);
INSERT INTO dentry VALUES (1, 'v.mp4', 9);
INSERT INTO extent VALUES (2, 0, 0, 10, 1, 0);
INSERT INTO extent VALUES (4, 0, 0, 10, 2, 0);
INSERT INTO extent VALUES (5, 0, 0, 10, 3, 0);
INSERT INTO extent VALUES (5, 1, 10, 7, 4, 0);
INSERT INTO extent VALUES (7, 0, 0, 10, 5, 0);
INSERT INTO extent VALUES (8, 0, 0, 10, 5, 0);
INSERT INTO extent VALUES (9, 0, 0, 10, 6, 0);
INSERT INTO chunk VALUES (1, '78000000000000000000000000000000', 10, x'b0ef74d8f896a84b', 3, 1, 2, NULL, 2, 0, 0, 0, 0);
INSERT INTO chunk VALUES (2, '79000000000000000000000000000000', 10, x'6a2de9e757011c15', 3, 1, 2, NULL, 4, 0, 0, 0, 0);
INSERT INTO chunk VALUES (3, '66300000000000000000000000000000', 10, x'2e45c0819fcf9a3f', 3, 1, 3, NULL, 0, 0, 0, 0, 0);
INSERT INTO chunk VALUES (4, '66310000000000000000000000000000', 7, x'eb1caafdd1f652e7', 3, 1, 2, NULL, 0, 0, 0, 0, 0);
INSERT INTO chunk VALUES (5, '7a000000000000000000000000000000', 10, x'0d21160a326c57f1', 3, 2, 2, NULL, 7, 0, 0, 0, 0);
INSERT INTO chunk VALUES (6, '76000000000000000000000000000000', 10, x'c63a84c6871c19d6', 3, 1, 2, NULL, 9, 0, 1, 2, 0);
INSERT INTO chunk VALUES (7, '73747261790000000000000000000000', 10, x'657d6c7730b551df', 3, 0, 1, 1016, 0, 0, 0, 0, 0);
INSERT INTO chunk VALUES (8, '73000000000000000000000000000000', 10, x'e14f71ab6221738d', 3, 0, 1, 1017, 0, 0, 0, 0, 1);
INSERT INTO chunk VALUES (9, '67300000000000000000000000000000', 10, x'a40cf412aa4ddb52', 3, 1, 2, NULL, 0, 0, 0, 0, 0);
INSERT INTO replica VALUES (1, 0);
INSERT INTO replica VALUES (2, 0);
INSERT INTO replica VALUES (3, 0);
INSERT INTO replica VALUES (4, 0);
INSERT INTO replica VALUES (5, 0);
INSERT INTO replica VALUES (6, 0);
INSERT INTO replica VALUES (1, 1);
INSERT INTO replica VALUES (2, 1);
INSERT INTO replica VALUES (3, 1);
INSERT INTO replica VALUES (4, 1);
INSERT INTO replica VALUES (5, 1);
INSERT INTO replica VALUES (6, 1);
INSERT INTO replica VALUES (7, 1);
INSERT INTO replica VALUES (8, 1);
INSERT INTO replica VALUES (9, 1);
INSERT INTO replica VALUES (3, 2);
INSERT INTO replica VALUES (9, 2);
INSERT INTO keeper VALUES (0, '6b300000000000000000000000000000', 'k0', 'localhost', '[7000,7001]', 8, '{"zone":"a"}', 1, '6b302d31000000000000000000000000', 1000, 0, NULL, 6, 57);
INSERT INTO keeper VALUES (1, '6b310000000000000000000000000000', 'k1', 'localhost', '[7000,7001]', 8, '{"zone":"a"}', 1, '6b312d31000000000000000000000000', 1001, 0, NULL, 9, 87);
INSERT INTO keeper VALUES (2, '6b320000000000000000000000000000', 'k2', 'localhost', '[7000,7001]', 8, '{"zone":"a"}', 1, '6b322d31000000000000000000000000', 1002, 1, NULL, 2, 20);
INSERT INTO upload VALUES ('77000000000000000000000000000000', '/c', 420, 7, 'ann', 0, 3, 2, 1018, 1019, 1, 0, 0, NULL);
INSERT INTO upload_chunk VALUES ('77000000000000000000000000000000', 0, 0, 10, 9);
INSERT INTO committed VALUES (1, '752d7800000000000000000000000000', '/a/one', 4, 10, '691620e6b4c86417', 2, 3, 0);
INSERT INTO committed VALUES (2, '752d7900000000000000000000000000', '/a/one', 5, 10, 'e2832ea26101794b', 2, 3, 1);
INSERT INTO committed VALUES (3, '75000000000000000000000000000000', '/a/film', 9, 17, 'ddb90c4f82f4c1bf', 2, 3, 0);
INSERT INTO committed VALUES (4, '752d7a00000000000000000000000000', '/b', 11, 10, '0a0109cf9ee0aa8b', 2, 3, 0);
INSERT INTO committed VALUES (5, '752d7600000000000000000000000000', '/v.mp4', 15, 10, '39e7ed4bcc3681ae', 2, 3, 0);
INSERT INTO trash VALUES (2, '/a/one', 1004, 1);
INSERT INTO trash VALUES (7, '/b', 1012, 0);
INSERT INTO event VALUES (1, 'put', 1003, '/a/one', NULL, 'file', 4, 10, 'ann');
INSERT INTO event VALUES (2, 'replaced', 1004, '/a/one', NULL, 'file', 5, 10, 'ann');
INSERT INTO event VALUES (3, 'put', 1008, '/a/film', NULL, 'file', 9, 17, 'ann');
INSERT INTO event VALUES (4, 'put', 1010, '/b', NULL, 'file', 11, 10, 'ann');
INSERT INTO event VALUES (5, 'put', 1011, '/a/copy', NULL, 'file', 12, 10, 'bob');
INSERT INTO event VALUES (6, 'removed', 1012, '/b', NULL, 'file', 11, 10, 'ann');
INSERT INTO event VALUES (7, 'put', 1014, '/v.mp4', NULL, 'file', 15, 10, 'ann');
INSERT INTO rule VALUES (1, '*.mp4', '{"zone":"a"}', '{}', NULL);
INSERT INTO policy VALUES (1, '{"zone":"b"}', '{}');
DELETE FROM sqlite_sequence;
INSERT INTO sqlite_sequence VALUES ('inode', 9);
INSERT INTO sqlite_sequence VALUES ('chunk', 9);
INSERT INTO sqlite_sequence VALUES ('committed', 5);
INSERT INTO sqlite_sequence VALUES ('rule', 1);
CREATE INDEX extent_chunk ON extent (chunk);
CREATE INDEX chunk_short ON chunk (no) WHERE copies < goal AND refs > 0;
CREATE INDEX chunk_surplus ON chunk (no) WHERE copies > goal AND refs > 0;
CREATE INDEX chunk_tombstone ON chunk (orphaned_ms) WHERE refs = 0 AND copies = 0;
CREATE INDEX replica_keeper ON replica (keeper, chunk);
CREATE INDEX upload_chunk_chunk ON upload_chunk (chunk);
CREATE INDEX trash_removed ON trash (removed_ms, inode);
CREATE INDEX upload_path ON upload (path, touched_ms, id, paused);
CREATE INDEX upload_touched ON upload (paused, touched_ms);
CREATE INDEX chunk_misplaced ON chunk (no) WHERE misplaced > 0 AND refs > 0;
CREATE INDEX chunk_orphan ON chunk (orphaned_ms, no) WHERE refs = 0 AND copies > 0 AND stray = 0;
CREATE INDEX chunk_stray ON chunk (orphaned_ms, no) WHERE refs = 0 AND copies > 0 AND stray = 1;
CREATE INDEX dentry_inode ON dentry (inode);
CREATE INDEX trash_path ON trash (path, removed_ms DESC, inode DESC, replaced);

