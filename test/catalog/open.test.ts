/** What is opened as a catalog, what is refused, and with which words. */
import { Database } from "bun:sqlite";
import { afterEach, beforeEach, expect, test } from "bun:test";
import {
  closeSync,
  mkdtempSync,
  openSync,
  rmSync,
  statSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  checkCatalogFile,
  openCatalog,
  openCatalogForReading,
  openCatalogSoon,
} from "../../src/catalog/open.ts";
import { readPragma } from "../../src/catalog/schema.ts";
import { CATALOG_FORMAT_VERSION } from "../../src/wire/version.ts";

let directory: string;
let path: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "catalog-"));
  path = join(directory, "catalog.db");
});
afterEach(() => rmSync(directory, { recursive: true }));

/** Puts rows into the catalog, and closes it. */
function fillTrash(database: Database, { large }: { large: boolean }): void {
  const [rows, padding] = large ? [12_000, 1_500] : [5_000, 10];
  database.run(`INSERT INTO trash (inode, path, removed_ms) WITH RECURSIVE n(i) AS (
    SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ${rows})
    SELECT i, '/path/' || i || hex(zeroblob(${padding})), i FROM n`);
  database.run("PRAGMA wal_checkpoint(TRUNCATE)");
  database.close();
}

/** Overwrites 64 KiB from this part of the file on. */
function damage(from: number): void {
  const file = openSync(path, "r+");
  const bytes = Buffer.alloc(64 * 1024, 0xa5);
  writeSync(file, bytes, 0, bytes.length, Math.floor(statSync(path).size * from));
  closeSync(file);
}

test("openCatalog makes a durable catalog, and opens it again", () => {
  for (let time = 0; time < 2; time++) {
    const database = openCatalog(path);
    expect(database.prepare("PRAGMA journal_mode").values()).toEqual([["wal"]]);
    expect(readPragma(database, "synchronous")).toBe(2);
    expect(readPragma(database, "user_version")).toBe(CATALOG_FORMAT_VERSION);
    expect(database.prepare("SELECT value FROM meta WHERE key = 'format'").values())
      .toEqual([[CATALOG_FORMAT_VERSION]]);
    expect(database.prepare("SELECT count(*) FROM inode").values()).toEqual([[1]]);
    database.close();
  }
});

test("openCatalog refuses a catalog of a newer tydfs", () => {
  const database = openCatalog(path);
  database.run(`PRAGMA user_version = ${CATALOG_FORMAT_VERSION + 1}`);
  database.close();
  expect(() => openCatalog(path)).toThrow("it was made by a newer tydfs");
});

test("openCatalog refuses another database, and leaves it as it is", () => {
  const database = new Database(path);
  database.run("CREATE TABLE recipes (name)");
  database.close();
  expect(() => openCatalog(path)).toThrow("it is another database");
  const after = new Database(path);
  expect(after.prepare("SELECT name FROM sqlite_master").values()).toEqual([["recipes"]]);
  after.close();
});

test("openCatalog names the check that a damaged file failed", () => {
  writeFileSync(path, "This is no database at all.".repeat(500));
  expect(() => openCatalog(path)).toThrow(
    'quick_check says "file is not a database"; nothing was changed in it; ',
  );

  rmSync(path);
  fillTrash(openCatalog(path), { large: false });
  damage(0.6);
  expect(() => openCatalog(path)).toThrow(/Cannot open the catalog ".*": quick_check says "/);
});

test("openCatalogSoon checks a small catalog, and one of an older format, before it opens it", () => {
  const { database, checked } = openCatalogSoon(path);
  expect(checked).toBe(true);
  fillTrash(database, { large: false });
  damage(0.6);
  expect(() => openCatalogSoon(path)).toThrow(/Cannot open the catalog ".*": quick_check says "/);

  rmSync(path);
  const large = openCatalog(path);
  large.run("PRAGMA user_version = 3");
  fillTrash(large, { large: true });
  damage(0.9);
  expect(() => openCatalogSoon(path)).toThrow(/Cannot open the catalog ".*": quick_check says "/);
});

test("openCatalogSoon leaves the check of a large catalog to checkCatalogFile", () => {
  fillTrash(openCatalog(path), { large: true });
  const { database, checked } = openCatalogSoon(path);
  expect(checked).toBe(false);
  checkCatalogFile(path);
  database.close();
  damage(0.9);
  openCatalogSoon(path).database.close();
  expect(() => checkCatalogFile(path)).toThrow(
    /Cannot go on with the catalog ".*": quick_check says ".*; the master has worked on it since/,
  );
});

test("openCatalogForReading makes nothing and changes nothing", () => {
  expect(() => openCatalogForReading(path)).toThrow(`Cannot open the catalog "${path}"`);
  openCatalog(path).close();
  const database = openCatalogForReading(path);
  expect(() => database.run("DELETE FROM inode")).toThrow("readonly");
  database.close();
});
