/**
 * Snapshots: a consistent copy of the catalog in a file of its own, made while its writer goes on.
 */
import { Database } from "bun:sqlite";
import { rmSync } from "node:fs";
import { assert } from "../base/assert.ts";
import { openCatalogForReading } from "./open.ts";
import { readValue } from "./schema.ts";

/** What a catalog is, and how far its history goes. */
export interface CatalogFacts {
  catalog: string;
  epoch: number;
  sequence: number;
  /** SHA-256 of the history. */
  hash: Uint8Array;
}

/**
 * Copies the catalog at `path` into the new file `target`, synced, without its free pages. This
 * thread does nothing else meanwhile. The log grows until it is done. Throws `local` when there is
 * no room.
 */
export function snapshotCatalog(path: string, target: string): CatalogFacts {
  rmSync(target, { force: true });
  const database = openCatalogForReading(path);
  try {
    // It keeps the connection from writing to the catalog, and would keep it from the copy too.
    database.run("PRAGMA query_only = OFF");
    using statement = database.prepare("VACUUM INTO ?");
    statement.run(target);
  } finally {
    database.close();
  }
  return readCatalogFacts(target);
}

/** What the catalog in a file says of itself. */
export function readCatalogFacts(path: string): CatalogFacts {
  const database = new Database(path, { readonly: true, strict: true });
  try {
    return factsOf(database);
  } finally {
    database.close();
  }
}

/** The same over an open connection. */
export function factsOf(database: Database): CatalogFacts {
  const meta = (key: string) => readValue(database, `SELECT value FROM meta WHERE key = '${key}'`);
  const hash = meta("hash");
  assert(hash instanceof Uint8Array, "a catalog knows its history");
  const [epoch, sequence] = [Number(meta("epoch")), Number(meta("sequence"))];
  return { catalog: String(meta("catalog")), epoch, sequence, hash };
}
