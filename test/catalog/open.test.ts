/** What is opened as a catalog, what is refused, and with which words. */
import { Database } from "bun:sqlite";
import { afterEach, beforeEach, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openCatalog, openCatalogForReading } from "../../src/catalog/open.ts";
import { readPragma } from "../../src/catalog/schema.ts";
import { CATALOG_FORMAT_VERSION } from "../../src/wire/version.ts";

let directory: string;
let path: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "catalog-"));
  path = join(directory, "catalog.db");
});
afterEach(() => rmSync(directory, { recursive: true }));

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
  const database = openCatalog(path);
  database.run(`INSERT INTO trash (inode, path, removed_ms) WITH RECURSIVE n(i) AS (
    SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5000) SELECT i, '/path/' || i, i FROM n`);
  database.run("PRAGMA wal_checkpoint(TRUNCATE)");
  database.close();
  const bytes = readFileSync(path);
  bytes.fill(0xa5, Math.floor(bytes.length * 0.6), Math.floor(bytes.length * 0.9));
  writeFileSync(path, bytes);
  expect(() => openCatalog(path)).toThrow(/Cannot open the catalog ".*": quick_check says "/);
});

test("openCatalogForReading makes nothing and changes nothing", () => {
  expect(() => openCatalogForReading(path)).toThrow(`Cannot open the catalog "${path}"`);
  openCatalog(path).close();
  const database = openCatalogForReading(path);
  expect(() => database.run("DELETE FROM inode")).toThrow("readonly");
  database.close();
});
