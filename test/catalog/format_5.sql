-- A catalog of format 5 with packs, as the tydfs of that time left it.
PRAGMA application_id = 1954112614;
PRAGMA user_version = 5;
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
  , policy INTEGER NOT NULL DEFAULT 0, misplaced INTEGER NOT NULL DEFAULT 0, stray INTEGER NOT NULL DEFAULT 0, packed INTEGER NOT NULL DEFAULT 0, filled INTEGER NOT NULL DEFAULT 0, live INTEGER NOT NULL DEFAULT 0) STRICT;
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
CREATE INDEX chunk_short ON chunk (no) WHERE copies < goal AND refs > 0;
CREATE INDEX chunk_surplus ON chunk (no) WHERE copies > goal AND refs > 0;
CREATE INDEX chunk_tombstone ON chunk (orphaned_ms) WHERE refs = 0 AND copies = 0;
CREATE INDEX replica_keeper ON replica (keeper, chunk);
CREATE INDEX upload_chunk_chunk ON upload_chunk (chunk);
CREATE INDEX trash_removed ON trash (removed_ms, inode);
CREATE INDEX upload_path ON upload (path, touched_ms, id, paused);
CREATE INDEX upload_touched ON upload (paused, touched_ms);
CREATE INDEX chunk_misplaced ON chunk (no) WHERE misplaced > 0 AND refs > 0;
CREATE INDEX chunk_orphan ON chunk (orphaned_ms, no)
    WHERE refs = 0 AND copies > 0 AND stray = 0;
CREATE INDEX chunk_stray ON chunk (orphaned_ms, no)
    WHERE refs = 0 AND copies > 0 AND stray = 1;
CREATE INDEX dentry_inode ON dentry (inode);
CREATE INDEX trash_path ON trash (path, removed_ms DESC, inode DESC, replaced);
CREATE INDEX extent_chunk ON extent (chunk, chunk_offset);
CREATE INDEX chunk_sparse ON chunk (no) WHERE packed = 1 AND refs > 0 AND live < filled / 2;
INSERT INTO chunk VALUES (1, '70000000000000000000000000000000', 100, x'994d6930f779b9ad', 5, 5, 2, NULL, 6, 0, 1, 2, 0, 1, 60, 70);
INSERT INTO chunk VALUES (2, '71000000000000000000000000000000', 100, x'976a274c0d84736b', 2, 4, 2, NULL, 10, 0, 0, 0, 0, 1, 45, 125);
INSERT INTO chunk VALUES (3, '77000000000000000000000000000000', 10, x'657d6c7730b551df', 3, 2, 2, NULL, 11, 0, 1, 2, 0, 0, 0, 0);
INSERT INTO chunk VALUES (4, '72000000000000000000000000000000', 50, x'f91936803f374c8f', 3, 0, 1, 1016, 0, 0, 0, 0, 0, 1, 0, 0);
INSERT INTO chunk VALUES (5, '73000000000000000000000000000000', 50, x'0e4041d968cfb0a2', 3, 2, 3, NULL, 19, 0, 2, 3, 0, 1, 14, 14);
INSERT INTO committed VALUES (1, '752d7700000000000000000000000000', '/film', 14, 10, 'a7493312d2a1666a', 2, 3, 0);
INSERT INTO dentry VALUES (1, 'a', 2);
INSERT INTO dentry VALUES (1, 'b', 3);
INSERT INTO dentry VALUES (1, 'e', 5);
INSERT INTO dentry VALUES (1, 'copy', 6);
INSERT INTO dentry VALUES (1, 'q', 7);
INSERT INTO dentry VALUES (1, 'q1', 9);
INSERT INTO dentry VALUES (1, 'q2', 10);
INSERT INTO dentry VALUES (1, 'film', 11);
INSERT INTO dentry VALUES (1, 'film2', 12);
INSERT INTO dentry VALUES (1, 's', 13);
INSERT INTO dentry VALUES (1, 't', 14);
INSERT INTO event VALUES (1, 'put', 1005, '/a', NULL, 'file', 6, 10, 'ann');
INSERT INTO event VALUES (2, 'put', 1005, '/b', NULL, 'file', 6, 20, 'ann');
INSERT INTO event VALUES (3, 'put', 1005, '/c', NULL, 'file', 6, 30, 'ann');
INSERT INTO event VALUES (4, 'put', 1005, '/e', NULL, 'file', 6, 0, 'ann');
INSERT INTO event VALUES (5, 'put', 1006, '/copy', NULL, 'file', 7, 10, 'bob');
INSERT INTO event VALUES (6, 'put', 1009, '/q', NULL, 'file', 10, 40, 'ann');
INSERT INTO event VALUES (7, 'put', 1009, '/r', NULL, 'file', 10, 5, 'ann');
INSERT INTO event VALUES (8, 'put', 1010, '/q1', NULL, 'file', 11, 40, 'bob');
INSERT INTO event VALUES (9, 'put', 1011, '/q2', NULL, 'file', 12, 40, 'bob');
INSERT INTO event VALUES (10, 'removed', 1012, '/r', NULL, 'file', 10, 5, 'ann');
INSERT INTO event VALUES (11, 'put', 1013, '/film', NULL, 'file', 14, 10, 'ann');
INSERT INTO event VALUES (12, 'put', 1014, '/film2', NULL, 'file', 15, 10, 'bob');
INSERT INTO event VALUES (13, 'removed', 1015, '/c', NULL, 'file', 6, 30, 'ann');
INSERT INTO event VALUES (14, 'put', 1018, '/s', NULL, 'file', 19, 7, 'ann');
INSERT INTO event VALUES (15, 'put', 1018, '/t', NULL, 'file', 19, 7, 'ann');
INSERT INTO extent VALUES (2, 0, 0, 10, 1, 0);
INSERT INTO extent VALUES (3, 0, 0, 20, 1, 10);
INSERT INTO extent VALUES (4, 0, 0, 30, 1, 30);
INSERT INTO extent VALUES (5, 0, 0, 0, 1, 60);
INSERT INTO extent VALUES (6, 0, 0, 10, 1, 0);
INSERT INTO extent VALUES (7, 0, 0, 40, 2, 0);
INSERT INTO extent VALUES (8, 0, 0, 5, 2, 40);
INSERT INTO extent VALUES (9, 0, 0, 40, 2, 0);
INSERT INTO extent VALUES (10, 0, 0, 40, 2, 0);
INSERT INTO extent VALUES (11, 0, 0, 10, 3, 0);
INSERT INTO extent VALUES (12, 0, 0, 10, 3, 0);
INSERT INTO extent VALUES (13, 0, 0, 7, 5, 0);
INSERT INTO extent VALUES (14, 0, 0, 7, 5, 7);
INSERT INTO inode VALUES (1, 'directory', 0, 0, 0, 493, '', '', 0, 0, 0);
INSERT INTO inode VALUES (2, 'file', 10, 6, 7, 420, 'ann', '3b728a7296589003', 3, 0, 0);
INSERT INTO inode VALUES (3, 'file', 20, 6, 7, 420, 'ann', '3861691a2ca9e178', 5, 0, 0);
INSERT INTO inode VALUES (4, 'file', 30, 6, 7, 420, 'ann', 'e399a777e3c0eaf2', 3, 0, 0);
INSERT INTO inode VALUES (5, 'file', 0, 6, 7, 420, 'ann', '2d06800538d394c2', 3, 0, 0);
INSERT INTO inode VALUES (6, 'file', 10, 7, 7, 420, 'bob', '3b728a7296589003', 3, 0, 0);
INSERT INTO inode VALUES (7, 'file', 40, 10, 7, 420, 'ann', '789333f0f76d93ed', 2, 0, 0);
INSERT INTO inode VALUES (8, 'file', 5, 10, 7, 420, 'ann', 'a35e10275c92bef8', 2, 0, 0);
INSERT INTO inode VALUES (9, 'file', 40, 11, 7, 420, 'bob', '789333f0f76d93ed', 2, 0, 0);
INSERT INTO inode VALUES (10, 'file', 40, 12, 7, 420, 'bob', '789333f0f76d93ed', 2, 0, 0);
INSERT INTO inode VALUES (11, 'file', 10, 14, 7, 420, 'ann', 'a7493312d2a1666a', 3, 0, 0);
INSERT INTO inode VALUES (12, 'file', 10, 15, 7, 420, 'bob', 'a7493312d2a1666a', 3, 0, 0);
INSERT INTO inode VALUES (13, 'file', 7, 19, 7, 420, 'ann', '16a782952bdc3fff', 3, 0, 0);
INSERT INTO inode VALUES (14, 'file', 7, 19, 7, 420, 'ann', '16a782952bdc3fff', 2, 0, 0);
INSERT INTO keeper VALUES (0, '6b300000000000000000000000000000', 'k0', 'localhost', '[7000,7001]', 8, '{"zone":"a"}', 1, '6b302d31000000000000000000000000', 1000, 0, NULL, 4, 260);
INSERT INTO keeper VALUES (1, '6b310000000000000000000000000000', 'k1', 'localhost', '[7000,7001]', 8, '{"zone":"a"}', 1, '6b312d31000000000000000000000000', 1001, 0, NULL, 4, 260);
INSERT INTO keeper VALUES (2, '6b320000000000000000000000000000', 'k2', 'localhost', '[7000,7001]', 8, '{"zone":"a"}', 1, '6b322d31000000000000000000000000', 1002, 0, NULL, 2, 100);
INSERT INTO meta VALUES ('balance', 0);
INSERT INTO meta VALUES ('bytes', 194);
INSERT INTO meta VALUES ('catalog', '7b7f25fed0ae55163fa96c1d35aaed18');
INSERT INTO meta VALUES ('chunks', 4);
INSERT INTO meta VALUES ('chunks_lost', 0);
INSERT INTO meta VALUES ('chunks_misplaced', 3);
INSERT INTO meta VALUES ('chunks_short', 2);
INSERT INTO meta VALUES ('directories', 0);
INSERT INTO meta VALUES ('epoch', 0);
INSERT INTO meta VALUES ('files', 11);
INSERT INTO meta VALUES ('format', 5);
INSERT INTO meta VALUES ('hash', x'cf3e8c85d1783417b1e6acba4f2a7a69a255094be9ebdb766609dc82b57a87a2');
INSERT INTO meta VALUES ('keepers_generation', 3);
INSERT INTO meta VALUES ('rules_generation', 1);
INSERT INTO meta VALUES ('sequence', 21);
INSERT INTO policy VALUES (1, '{"kind":"video"}', '{}');
INSERT INTO policy VALUES (2, '{"kind":"other"}', '{}');
INSERT INTO replica VALUES (1, 0);
INSERT INTO replica VALUES (2, 0);
INSERT INTO replica VALUES (3, 0);
INSERT INTO replica VALUES (5, 0);
INSERT INTO replica VALUES (1, 1);
INSERT INTO replica VALUES (2, 1);
INSERT INTO replica VALUES (3, 1);
INSERT INTO replica VALUES (5, 1);
INSERT INTO replica VALUES (4, 2);
INSERT INTO replica VALUES (5, 2);
INSERT INTO rule VALUES (1, '*.mp4', '{"kind":"video"}', '{}', NULL);
INSERT INTO trash VALUES (4, '/c', 1015, 0);
INSERT INTO trash VALUES (8, '/r', 1012, 0);
DELETE FROM sqlite_sequence;
INSERT INTO sqlite_sequence VALUES ('inode', 14);
INSERT INTO sqlite_sequence VALUES ('rule', 1);
INSERT INTO sqlite_sequence VALUES ('chunk', 5);
INSERT INTO sqlite_sequence VALUES ('committed', 1);
