/**
 * Opens the catalog's file: settings that make a commit durable, each read back, and a check of the
 * file itself, which for a large one may follow. Nothing is repaired here: a damaged catalog is
 * refused.
 */
import { Database, SQLiteError } from "bun:sqlite";
import { MIB } from "../base/bytes.ts";
import { TydfsError } from "../wire/errors.ts";
import { CATALOG_FORMAT_VERSION } from "../wire/version.ts";
import { migrate, readPragma, readValue } from "./schema.ts";

/** How long a connection waits for another one's lock: checkpoints and the writer's own start. */
const BUSY_MS = 10_000;
/** The log is moved into the database after this many pages (16 MiB). */
const CHECKPOINT_PAGES = 4096;
const WRITER_CACHE_KIB = 65_536;
const READER_CACHE_KIB = 16_384;

/** Catalogs up to this size are always checked before they are opened: some 0.1 s. */
const CHECKED_FIRST_BYTES = 32 * MIB;

/** SQLite's number for `synchronous=FULL`: the log is synced at each commit. */
const SYNCHRONOUS_FULL = 2;

/** A catalog that is open for its one writer. */
export interface OpenedCatalog {
  database: Database;
  /** Whether the whole file was looked at; if not, `checkCatalogFile` is owed. */
  checked: boolean;
}

/**
 * Opens the catalog for its one writer; makes or migrates it where needed. Throws `invalid` for a
 * catalog of a newer tydfs, `corrupt` for a damaged one, naming the check that failed.
 */
export function openCatalog(path: string): Database {
  return open(path, () => true).database;
}

/**
 * The same, but a large catalog is opened without the check, which takes a second for each million
 * files. One that is to be migrated is checked all the same.
 */
export function openCatalogSoon(path: string): OpenedCatalog {
  return open(path, (database) => {
    const sizeBytes = readPragma(database, "page_count") * readPragma(database, "page_size");
    const isOld = readPragma(database, "user_version") < CATALOG_FORMAT_VERSION;
    return isOld || sizeBytes <= CHECKED_FIRST_BYTES;
  });
}

/**
 * Checks a catalog that others have open: it takes a second for each million files, in which the
 * log of changes can't shrink. Throws `corrupt` when it is damaged.
 */
export function checkCatalogFile(path: string): void {
  const changed = "the master has worked on it since its start";
  const database = openCatalogForReading(path);
  try {
    const verdict = readValue(database, "PRAGMA quick_check(1)");
    if (verdict !== "ok") throw damaged(path, String(verdict), changed);
  } catch (error) {
    if (!(error instanceof SQLiteError) || !isDamage(error)) throw error;
    throw damaged(path, error.message, changed, error);
  } finally {
    database.close();
  }
}

function open(path: string, mustCheck: (database: Database) => boolean): OpenedCatalog {
  return guarded(path, () => {
    const database = new Database(path, { create: true, readwrite: true, strict: true });
    try {
      setPragmas(database, path);
      const checked = mustCheck(database);
      if (checked) verifyCatalog(database, path);
      migrate(database, path);
      return { database, checked };
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
  if (verdict !== "ok") throw damaged(path, String(verdict), UNCHANGED);
}

function guarded<T>(path: string, open: () => T): T {
  try {
    return open();
  } catch (error) {
    if (!(error instanceof SQLiteError)) throw error;
    if (isDamage(error)) throw damaged(path, error.message, UNCHANGED, error);
    throw new TydfsError("local", `Cannot open the catalog "${path}": ${error.message}`, {
      cause: error,
    });
  }
}

function isDamage({ code }: SQLiteError): boolean {
  return ["SQLITE_CORRUPT", "SQLITE_NOTADB"].some((bad) => code?.startsWith(bad));
}

const UNCHANGED = "nothing was changed in it";

function damaged(path: string, verdict: string, state: string, cause?: unknown): TydfsError {
  const doing = state === UNCHANGED ? "open" : "go on with";
  return new TydfsError(
    "corrupt",
    `Cannot ${doing} the catalog "${path}": quick_check says "${
      verdict.split("\n").join("; ")
    }"; ` +
      `${state}; move the data directory away, and rebuild the catalog from the ` +
      "keepers' archives with: tydfs master --recover --data DIR --url KEEPER_URL",
    { cause },
  );
}
