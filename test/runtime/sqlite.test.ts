/** Contract: what the catalog needs of bun:sqlite. */
import { Database } from "bun:sqlite";
import { expect, test } from "bun:test";
import { makeTemporaryDir } from "./fixture.ts";

function open(path: string): Database {
  const db = new Database(path, { create: true, strict: true });
  db.run("PRAGMA journal_mode = WAL");
  db.run("PRAGMA synchronous = FULL");
  return db;
}

test("WAL and synchronous=FULL are set, and say so", () => {
  using dir = makeTemporaryDir();
  using db = open(dir.file("a.db"));
  expect(db.query("PRAGMA journal_mode").get()).toEqual({ journal_mode: "wal" });
  expect(db.query("PRAGMA synchronous").get()).toEqual({ synchronous: 2 });
});

test("a read-only connection sees what is committed, and only that", () => {
  using dir = makeTemporaryDir();
  using writer = open(dir.file("a.db"));
  writer.run("CREATE TABLE t (n INTEGER)");
  using reader = new Database(dir.file("a.db"), { readonly: true });
  const count = reader.query<{ n: number }, []>("SELECT count(*) AS n FROM t");
  writer.run("BEGIN IMMEDIATE");
  writer.run("INSERT INTO t VALUES (1)");
  expect(count.get()?.n).toBe(0);
  writer.run("COMMIT");
  expect(count.get()?.n).toBe(1);
  expect(() => reader.run("INSERT INTO t VALUES (2)")).toThrow("readonly");
});

test("a read transaction keeps its view while others commit", () => {
  using dir = makeTemporaryDir();
  using writer = open(dir.file("a.db"));
  writer.run("CREATE TABLE t (n INTEGER)");
  using reader = new Database(dir.file("a.db"), { readonly: true });
  const count = reader.query<{ n: number }, []>("SELECT count(*) AS n FROM t");
  reader.run("BEGIN");
  expect(count.get()?.n).toBe(0);
  writer.run("INSERT INTO t VALUES (1)");
  expect(count.get()?.n).toBe(0);
  reader.run("COMMIT");
  expect(count.get()?.n).toBe(1);
});

test("integers beyond 2^53 need safeIntegers, and then are exact", () => {
  using db = new Database(":memory:", { strict: true, safeIntegers: true });
  db.run("CREATE TABLE t (n INTEGER)");
  db.query("INSERT INTO t VALUES (?)").run(2n ** 62n + 1n);
  expect(db.query<{ n: bigint }, []>("SELECT n FROM t").get()?.n).toBe(2n ** 62n + 1n);
});
