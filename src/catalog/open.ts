/**
 * Opens the catalog's file: settings that make a commit durable, each read back, and a check of the
 * file itself. Nothing is repaired here: a damaged catalog is refused.
 */
import { Database, SQLiteError } from "bun:sqlite";
import { TydfsError } from "../wire/errors.ts";
import { migrate, readPragma, readValue } from "./schema.ts";

/** How long a connection waits for another one's lock: checkpoints and the writer's own start. */
const BUSY_MS = 10_000;
/** The log is moved into the database after this many pages (16 MiB). */
const CHECKPOINT_PAGES = 4096;
const WRITER_CACHE_KIB = 65_536;
const READER_CACHE_KIB = 16_384;

/** SQLite's number for `synchronous=FULL`: the log is synced at each commit. */
const SYNCHRONOUS_FULL = 2;

/**
 * Opens the catalog for its one writer; makes or migrates it where needed. Throws `invalid` for a
 * catalog of a newer tydfs, `corrupt` for a damaged one, naming the check that failed.
 */
export function openCatalog(path: string): Database {
  return guarded(path, () => {
    const database = new Database(path, { create: true, readwrite: true, strict: true });
    try {
      setPragmas(database, path);
      verifyCatalog(database, path);
      migrate(database, path);
      return database;
    } catch (error) {
      database.close();
      throw error;
    }
  });
}

/**
 * Opens an existing catalog for reading only. Throws `corrupt` or `invalid` as `openCatalog` does.
 */
export function openCatalogForReading(path: string): Database {
  return guarded(path, () => {
    const database = new Database(path, { readonly: true, strict: true });
    database.run(`PRAGMA busy_timeout = ${BUSY_MS}`);
    database.run(`PRAGMA cache_size = -${READER_CACHE_KIB}`);
    database.run("PRAGMA query_only = ON");
    return database;
  });
}

function setPragmas(database: Database, path: string): void {
  database.run(`PRAGMA busy_timeout = ${BUSY_MS}`);
  const mode = readValue(database, "PRAGMA journal_mode = WAL");
  database.run("PRAGMA synchronous = FULL");
  database.run("PRAGMA foreign_keys = OFF");
  database.run("PRAGMA temp_store = MEMORY");
  database.run(`PRAGMA wal_autocheckpoint = ${CHECKPOINT_PAGES}`);
  database.run(`PRAGMA cache_size = -${WRITER_CACHE_KIB}`);
  // Read back: a setting that SQLite has silently refused would cost acknowledged writes at a power
  // loss.
  const durable = mode === "wal" && readPragma(database, "synchronous") === SYNCHRONOUS_FULL &&
    readPragma(database, "busy_timeout") === BUSY_MS;
  if (durable) return;
  throw new TydfsError(
    "internal",
    `Cannot open the catalog "${path}": SQLite refuses the settings that make it durable`,
  );
}

/** Throws `corrupt` when SQLite's own quick check finds the file damaged. */
function verifyCatalog(database: Database, path: string): void {
  const verdict = readValue(database, "PRAGMA quick_check(1)");
  if (verdict !== "ok") throw damaged(path, String(verdict));
}

function guarded(path: string, open: () => Database): Database {
  try {
    return open();
  } catch (error) {
    if (!(error instanceof SQLiteError)) throw error;
    const bad = ["SQLITE_CORRUPT", "SQLITE_NOTADB"].some((code) => error.code?.startsWith(code));
    if (bad) throw damaged(path, error.message, error);
    throw new TydfsError("local", `Cannot open the catalog "${path}": ${error.message}`, {
      cause: error,
    });
  }
}

function damaged(path: string, verdict: string, cause?: unknown): TydfsError {
  return new TydfsError(
    "corrupt",
    `Cannot open the catalog "${path}": quick_check says "${verdict.split("\n").join("; ")}"; ` +
      "nothing was changed in it; move the data directory away, and rebuild the catalog from the " +
      "keepers' archives with: tydfs master --recover --data DIR --url KEEPER_URL",
    { cause },
  );
}
