/**
 * A catalog of millions of files, made in minutes: rows as the operations leave them, written by SQL
 * in large transactions without a log or syncs. They go through all indexes one by one, so that the
 * pages are as full as in a catalog that has grown. `checkCatalog` says whether they are right (the
 * test asks it, and the benchmark of its first size).
 */
import { Database } from "bun:sqlite";
import { MIB } from "../../src/base/bytes.ts";
import { silentLog } from "../../src/base/log.ts";
import { seededRandom } from "../../src/base/random.ts";
import { checkCatalog } from "../../src/catalog/check.ts";
import { openCatalogForReading } from "../../src/catalog/open.ts";
import type { KeeperFacts } from "../../src/catalog/operation.ts";
import { CatalogWriter } from "../../src/catalog/writer.ts";
import { makeId } from "../../src/wire/ids.ts";

export const DIRECTORY_FILES = 1_000;
/** Files of one chunk; smaller ones would share chunks. */
export const FILE_BYTES = 2 * MIB;
export const COPIES = 3;
export const ZONES = 20;
const PORTS = 8;
const SLOTS = 4;

const STEP_FILES = 100_000;
const CACHE_KIB = 1024 * 1024;

/** The path of file number `n`. */
export function pathOf(n: number): string {
  return `${directoryOf(n)}/file-${n % DIRECTORY_FILES}.bin`;
}

/** The directory of file number `n`. */
export function directoryOf(n: number): string {
  return `/d${Math.floor(n / DIRECTORY_FILES)}`;
}

/** Keepers of 8 ports each, in 20 zones, in the order of their numbers. */
export function keepersOf(count: number): KeeperFacts[] {
  const random = seededRandom(1);
  return Array.from({ length: count }, (_, n) => ({
    id: makeId(random),
    name: `keeper-${n}`,
    epoch: 1,
    instance: makeId(random),
    host: "127.0.0.1",
    ports: Array.from({ length: PORTS }, (_, port) => 10_000 + port),
    slots: SLOTS,
    labels: { zone: `zone-${n % ZONES}` },
  }));
}

/** Makes a catalog that knows these keepers and no file. */
export async function makeCatalog(path: string, keepers: readonly KeeperFacts[]): Promise<void> {
  const writer = openWriter(path);
  await writer.submit({ kind: "master.start", atMs: 0 });
  await Promise.all(
    keepers.map((keeper) => writer.submit({ kind: "keeper.join", keeper, atMs: 0 })),
  );
  await writer.close();
}

/**
 * A writer that ships nothing, opened as a master opens it: the check of a large file comes later.
 * What breaks
 * the catalog breaks the benchmark.
 */
export function openWriter(path: string): CatalogWriter {
  const onFatal = (error: unknown) => {
    throw error;
  };
  return new CatalogWriter({ path, log: silentLog, onFatal, checkLater: true });
}

/** What is wrong with a catalog, in words: `checkCatalog` of a file that nobody writes. */
export function checkGrown(path: string): string[] {
  const database = openCatalogForReading(path);
  try {
    return checkCatalog(database);
  } finally {
    database.close();
  }
}

/**
 * Adds the files number `from` to `to - 1`, whole directories, to a catalog that nobody has open.
 * Each has one chunk with `COPIES` replicas on keepers picked at random.
 */
export function growCatalog(path: string, from: number, to: number, keepers: number): void {
  const database = new Database(path, { readwrite: true, strict: true });
  database.run("PRAGMA locking_mode = EXCLUSIVE");
  database.run("PRAGMA journal_mode = OFF");
  database.run("PRAGMA synchronous = OFF");
  database.run(`PRAGMA cache_size = -${CACHE_KIB}`);
  for (let first = from; first < to; first += STEP_FILES) {
    addFiles(database, first, Math.min(to, first + STEP_FILES), keepers);
  }
  database.run("PRAGMA journal_mode = WAL");
  database.close();
}

/**
 * ?1, ?2: the first file and the one behind the last; ?3: what leads from a file's number to its
 * chunk's; ?4: from its directory's number to that one's inode, behind which its files have theirs.
 */
const FILES = `WITH RECURSIVE
  f(n) AS (SELECT ?1 UNION ALL SELECT n + 1 FROM f WHERE n + 1 < ?2),
  file AS (SELECT n, n + ?3 AS chunk, n / ${DIRECTORY_FILES} AS directory,
    ?4 + (n / ${DIRECTORY_FILES}) * ${DIRECTORY_FILES + 1} AS parent,
    ?4 + (n / ${DIRECTORY_FILES}) * ${DIRECTORY_FILES + 1} + 1 + n % ${DIRECTORY_FILES} AS inode
    FROM f)`;

/** Three different keepers out of ?5: hashes of the number say how far each is from the last. */
const KEEPERS = `picked AS (SELECT chunk, n * 2654435761 % 4294967296 / 65536 % ?5 AS first,
    n * 2246822519 % 4294967296 / 4096 % (?5 - 1) AS second,
    n * 3266489917 % 4294967296 / 1024 % (?5 - 2) AS third FROM file)`;

const HASH = "lower(hex(randomblob(8)))";

const STEPS = [
  `${FILES} INSERT INTO inode SELECT DISTINCT parent, 'directory', 0, 1, 0, 493, '', '', 0, 0, 0, 0
    FROM file`,
  `${FILES} INSERT INTO dentry SELECT DISTINCT 1, 'd' || directory || '/', parent FROM file`,
  `${FILES} INSERT INTO inode SELECT inode, 'file', ${FILE_BYTES}, 1, 1700000000000 + n, 420,
    'bench', ${HASH}, ${COPIES}, 0, 0, 0 FROM file`,
  `${FILES} INSERT INTO dentry SELECT parent, 'file-' || (n % ${DIRECTORY_FILES}) || '.bin', inode
    FROM file`,
  `${FILES} INSERT INTO extent SELECT inode, 0, 0, ${FILE_BYTES}, chunk, 0 FROM file`,
  `${FILES} INSERT INTO chunk (no, id, size, sums, goal, refs, copies, committed)
    SELECT chunk, lower(hex(randomblob(16))), ${FILE_BYTES}, randomblob(${8 * FILE_BYTES / MIB}),
    ${COPIES}, 1, ${COPIES}, inode FROM file`,
  `${FILES}, ${KEEPERS} INSERT INTO replica SELECT chunk, k FROM (
    SELECT chunk, 0 AS nth, first AS k FROM picked UNION ALL
    SELECT chunk, 1, (first + 1 + second) % ?5 FROM picked UNION ALL
    SELECT chunk, 2, (first + 1 + (second + 1 + third) % (?5 - 1)) % ?5 FROM picked)
    ORDER BY chunk, nth`,
] as const;

function addFiles(database: Database, first: number, end: number, keepers: number): void {
  const largest = (sql: string) => Number(database.query(sql).values()[0]?.[0] ?? 0);
  const chunkBase = largest("SELECT max(no) FROM chunk") + 1 - first;
  const directory = Math.floor(first / DIRECTORY_FILES) * (DIRECTORY_FILES + 1);
  const inodeBase = largest("SELECT max(id) FROM inode") + 1 - directory;
  const values = [first, end, chunkBase, inodeBase, keepers];
  database.transaction(() => {
    for (const sql of STEPS) {
      using statement = database.prepare(sql);
      statement.run(...values.slice(0, sql.includes("?5") ? 5 : 4));
    }
    const files = end - first;
    const count = (key: string, more: number) =>
      database.run("UPDATE meta SET value = value + ? WHERE key = ?", [more, key]);
    count("files", files);
    count("directories", Math.ceil(files / DIRECTORY_FILES));
    count("bytes", files * FILE_BYTES);
    count("chunks", files);
    const held = `SELECT keeper, count(*) AS n FROM replica
      WHERE chunk BETWEEN ? AND ? GROUP BY keeper`;
    database.run(
      `UPDATE keeper SET replicas = replicas + h.n, bytes = bytes + h.n * ${FILE_BYTES}
        FROM (${held}) h WHERE h.keeper = keeper.number`,
      [first + chunkBase, end - 1 + chunkBase],
    );
  }).immediate();
}
