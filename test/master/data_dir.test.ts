/**
 * The master's data directory: private, of one format, one master at a time, its key never made
 * anew over a catalog.
 */
import { afterEach, beforeEach, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { writePrivate } from "../../src/base/private_file.ts";
import { systemRandom } from "../../src/base/random.ts";
import { lockDataDir, openClusterKey, openDataDir, removeFile } from "../../src/master/data_dir.ts";

let root: string;
beforeEach(() => root = mkdtempSync(join(tmpdir(), "tydfs-data-")));
afterEach(() => rmSync(root, { recursive: true, force: true }));

const modeOf = (path: string) => statSync(path).mode & 0o777;

test("openDataDir makes a private directory that says its format", () => {
  const dataDir = openDataDir(join(root, "deep/master"));
  expect(modeOf(dataDir.root)).toBe(0o700);
  expect(readFileSync(join(dataDir.root, "format"), "utf8")).toBe("tydfs-master 1\n");
  expect(openDataDir(dataDir.root)).toEqual(dataDir);
});

test("openDataDir refuses what is not a master's, or is a newer one's", () => {
  const table: [string, RegExp][] = [
    ["tydfs-master 2\n", /format 2.*use a newer tydfs/],
    ["tydfs-keeper 1\n", /its file "format" says "tydfs-keeper 1/],
    ["", /its file "format" says ""/],
  ];
  for (const [text, message] of table) {
    writeFileSync(join(root, "format"), text);
    expect(() => openDataDir(root)).toThrow(message);
  }
  rmSync(join(root, "format"));
  mkdirSync(join(root, "chunks"));
  expect(() => openDataDir(root)).toThrow(/it is a keeper's/);
  writeFileSync(join(root, "file"), "");
  expect(() => openDataDir(join(root, "file"))).toThrow(/Cannot use the data directory/);
});

test("openClusterKey makes a key once, and keeps it to the owner", () => {
  const dataDir = openDataDir(root);
  const key = openClusterKey(dataDir, systemRandom);
  expect(key).toMatch(/^[0-9a-f]{64}$/);
  expect(modeOf(dataDir.key)).toBe(0o600);
  expect(openClusterKey(dataDir, systemRandom)).toBe(key);
});

test("openClusterKey makes no new key where there is a catalog, and takes none that is damaged", () => {
  const dataDir = openDataDir(root);
  writeFileSync(dataDir.catalog, "");
  expect(() => openClusterKey(dataDir, systemRandom)).toThrow(/is missing, but there is a catalog/);
  writeFileSync(dataDir.key, "short\n");
  expect(() => openClusterKey(dataDir, systemRandom)).toThrow(/holds no key/);
});

test("lockDataDir lets one master in", () => {
  const dataDir = openDataDir(root);
  const lock = lockDataDir(dataDir);
  expect(() => lockDataDir(dataDir)).toThrow(/another master runs on the data directory/);
  lock.release();
  lockDataDir(dataDir).release();
});

test("writePrivate replaces a file whole, and removeFile bears its absence", () => {
  const path = join(root, "secret");
  writeFileSync(path, "a much longer text than the new one", { mode: 0o644 });
  writePrivate(path, "new");
  expect(readFileSync(path, "utf8")).toBe("new");
  expect(modeOf(path)).toBe(0o600);
  removeFile(path);
  removeFile(path);
});
