/**
 * The files of simulated catalogs: new ones, the same for all histories but for the copy, and how
 * one that was recovered differs from the one that was lost.
 */
import { Database } from "bun:sqlite";
import { copyFileSync, existsSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, dirname, join } from "node:path";
import { openCatalog } from "../../src/catalog/open.ts";
import { readCatalogFacts } from "../../src/catalog/snapshot.ts";

/** The id of all simulated catalogs: it stands in names, and so in traces. */
const CATALOG = "ca".repeat(16);

let workPlace: { directory: string; empty: string } | undefined;
let catalogs = 0;

/** A new catalog: the copy of an empty one that is made once. */
export function newCatalog(): string {
  if (workPlace === undefined) {
    const root = existsSync("/dev/shm") ? "/dev/shm" : tmpdir();
    const directory = mkdtempSync(join(root, "tydfs-sim-"));
    process.on("exit", () => rmSync(directory, { recursive: true, force: true }));
    const empty = join(directory, "empty.db");
    const database = openCatalog(empty);
    database.run("UPDATE meta SET value = ? WHERE key = 'catalog'", [CATALOG]);
    database.run("PRAGMA wal_checkpoint(TRUNCATE)");
    database.close();
    workPlace = { directory, empty };
  }
  const path = join(workPlace.directory, `catalog-${++catalogs}.db`);
  copyFileSync(workPlace.empty, path);
  return path;
}

/** Removes a catalog, what came after it, and what lay beside them. */
export function removeCatalog(path: string): void {
  for (const name of readdirSync(dirname(path))) {
    if (name.startsWith(basename(path))) rmSync(join(dirname(path), name), { force: true });
  }
}

/**
 * Where two catalogs of one history differ, if they have come equally far: a master's number
 * alone may be another.
 */
export function differences(lost: string, recovered: string): string[] {
  if (readCatalogFacts(lost).sequence !== readCatalogFacts(recovered).sequence) return [];
  const [before, after] = [rowsOf(lost), rowsOf(recovered)];
  return [...before].flatMap(([table, rows]) => {
    const others = after.get(table) ?? [];
    const at = rows.findIndex((row, index) => row !== others[index]);
    if (at < 0 && rows.length === others.length) return [];
    return [`${table} has ${others[at]} for ${rows[at]}, ${others.length} rows for ${rows.length}`];
  });
}

function rowsOf(path: string): Map<string, string[]> {
  const database = new Database(path, { readonly: true, strict: true });
  try {
    const sql = "SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name";
    const tables = database.query<{ name: string }, []>(sql).all();
    return new Map(tables.map(({ name }) => {
      const rows = database.query<Record<string, unknown>, []>(`SELECT * FROM "${name}"`).all();
      const isEpoch = (row: Record<string, unknown>) => name === "meta" && row["key"] === "epoch";
      return [name, rows.filter((row) => !isEpoch(row)).map(wordsOf).sort()];
    }));
  } finally {
    database.close();
  }
}

function wordsOf(row: Record<string, unknown>): string {
  return JSON.stringify(row, (_, value) => value instanceof Uint8Array ? value.toHex() : value);
}
