/** Catalogs of older formats are migrated with all that is in them. */
import { expect, test } from "bun:test";
import { Database } from "bun:sqlite";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { checkCatalog } from "../../src/catalog/check.ts";
import { openCatalog } from "../../src/catalog/open.ts";
import { readPragma } from "../../src/catalog/schema.ts";
import { CATALOG_FORMAT_VERSION } from "../../src/wire/version.ts";
import { World } from "./world.ts";

function read(name: string): string {
  return readFileSync(join(import.meta.dir, name), "utf8");
}

/** Opens a catalog that an older tydfs has left, as SQL, and looks at it whole. */
function migrated(sql: string): World {
  const directory = mkdtempSync(join(tmpdir(), "catalog-"));
  const path = join(directory, "catalog.db");
  const old = new Database(path, { create: true });
  old.run(sql);
  old.close();
  const database = openCatalog(path);
  expect(readPragma(database, "user_version")).toBe(CATALOG_FORMAT_VERSION);
  expect(database.prepare("SELECT value FROM meta WHERE key = 'format'").values())
    .toEqual([[CATALOG_FORMAT_VERSION]]);
  expect(checkCatalog(database)).toEqual([]);
  database.run("PRAGMA wal_checkpoint(TRUNCATE)");
  database.close();

  const world = new World(readFileSync(path));
  rmSync(directory, { recursive: true });
  world.nowMs = 2000;
  return world;
}

/** Files, a film of two chunks, a replaced one, trash, an upload. */
test("a catalog of format 1 is migrated with all that is in it", () => {
  using world = migrated(read("format_1.sql"));
  const lines: [string, string][] = [
    ["ls -r /", "/a/ /a/film /a/one /empty/"],
    ["stat /a/film", "file v9, 17 bytes, 0644 ann at 7"],
    // Reports that are repeated: of the replaced version, of the new one, of a purged one.
    ["put /a/one x", "/a/one v4, 10 bytes, 2/3"],
    ["put /a/one y", "/a/one v5, 10 bytes, 2/3, replaced"],
    ["put /gone p", 'conflict: Cannot commit "/gone": it was committed before, and removed since'],
    ["put /c w", "/c v24, 10 bytes, 2/3"],
    // The upload that was under way goes on, or is taken over.
    ["touch v", "ok"],
    ["abort -k v", "kept"],
    ["begin -r n /a/film", "10 bytes resumed"],
    ["commit n g0=10", "/a/film v28, 10 bytes, 2/3, replaced"],
    ["purge 10", "3 purged"],
  ];
  expect(lines.map(([line]) => [line, world.do(line)])).toEqual(lines);
  expect(world.check()).toEqual([]);
  expect(world.reader.events(0, 9).events.map(({ path }) => path)).toEqual(["/c", "/a/film"]);
});

/** The same, and a copy, a rule and a policy, keepers that are emptied, a stray. */
test("a catalog of format 4 is migrated, and takes packs", () => {
  using world = migrated(read("format_4.sql"));
  const lines: [string, string][] = [
    ["ls -r /", "/a/ /a/copy /a/film /a/one /empty/ /v.mp4"],
    ["chunk v", "1 refs, 2/3 copies on 0,1, 2 misplaced"],
    ["stray s", "1"],
    ["lives x", "0 bytes 10@0"],
    ["packed s 10 k0,k1", "ok"],
    ["packed p 100 k0,k1", "ok"],
    ["fill p /a/one=10,/a/pack=5", "filled made made"],
    ["fill s /b=10", "filled made"],
    ["lives p", "15 bytes 10@0 5@10"],
    ["squeeze p s@0+10>50", "1 moved"],
    ["undelete -v5 /a/one", "replaced /a/one v5"],
    ["undelete -v4 /a/one /a/old", "put /a/old v4"],
    ["abort w", "ok"],
    ["purge 10", "2 purged"],
  ];
  expect(lines.map(([line]) => [line, world.do(line)])).toEqual(lines);
  expect(world.check()).toEqual([]);
});

/** Packs with copies and trash, of which rules have parted some; a film that has a copy. */
test("a catalog of format 5 is migrated, and its packs are held as their files want", () => {
  using world = migrated(read("format_5.sql"));
  const lines: [string, string][] = [
    ["ls -r /", "/a /b /copy /e /film /film2 /q /q1 /q2 /s /t"],
    // Copies were counted, each.
    ["lives p", "60 bytes 10@0 10@0 20@10 30@30 0@60"],
    ["lives q", "45 bytes 40@0 40@0 40@0 5@40"],
    ["wish p", "5 copies on kind=video, parted"],
    ["wish q", "2 copies on any"],
    ["wish s", "3 copies on kind=other, parted"],
    // What others than the last file wanted is learned again.
    ["apply /s 3", "changed"],
    ["wish s", "3 copies on kind=other, parted"],
    ["apply /t 3", "changed"],
    ["wish s", "3 copies on any"],
    ["undelete /c", "put /c v6"],
    ["purge 10", "1 purged"],
    ["lives q", "40 bytes 40@0 40@0 40@0"],
  ];
  expect(lines.map(([line]) => [line, world.do(line)])).toEqual(lines);
  expect(world.check()).toEqual([]);
});
