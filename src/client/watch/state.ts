/**
 * The state database of a watch: what was sent, so that a restart sends only what changed. It is a
 * memory, not the truth: one that is lost or damaged is begun anew, and what is in the cluster
 * already is found there. A lock that dies with the process keeps a second watch out.
 */
import { Database } from "bun:sqlite";
import { dirname } from "node:path";
import type { FileLock } from "../../base/file_lock.ts";
import { takeFileLock } from "../../base/file_lock.ts";
import { TydfsError } from "../../wire/errors.ts";
import { quotePath } from "../../wire/names.ts";
import type { KnownEntry } from "./plan.ts";
import { keyOf } from "../trees/merge.ts";
import { makeStateDirectory, moveAside } from "../state_files.ts";

/** Raised when the tables change; a database of another format is begun anew. */
const FORMAT = 1;
const PAGE_ROWS = 500;

const TABLES = `
  CREATE TABLE entry (
    path TEXT PRIMARY KEY,
    -- The path, of a directory with a slash behind it: rows in this order are a depth-first walk.
    key TEXT NOT NULL UNIQUE,
    kind TEXT NOT NULL,
    size INTEGER NOT NULL,
    mtime_ms REAL NOT NULL,
    mode INTEGER NOT NULL,
    -- Text: they may have 64 bits without a sign.
    inode TEXT NOT NULL,
    device TEXT NOT NULL,
    version INTEGER NOT NULL,
    checksum TEXT NOT NULL
  ) WITHOUT ROWID;
  CREATE INDEX entry_inode ON entry (inode);
  CREATE TABLE fact (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
  PRAGMA user_version = ${FORMAT};
`;

interface Row {
  path: string;
  kind: KnownEntry["kind"];
  size: number;
  mtime_ms: number;
  mode: number;
  inode: string;
  device: string;
  version: number;
  checksum: string;
}

export interface OpenStateOptions {
  /** Told when there was a database that can't be used; it was moved aside. */
  onLost: (reason: string, movedTo: string) => void;
}

export class WatchState {
  readonly path: string;
  readonly #database: Database;
  readonly #lock: FileLock;

  private constructor(path: string, database: Database, lock: FileLock) {
    this.path = path;
    this.#database = database;
    this.#lock = lock;
  }

  /**
   * Opens the database at `path`, made when absent. Throws `conflict` when another process has it,
   * `local` when it can't be written.
   */
  static open(path: string, { onLost }: OpenStateOptions): WatchState {
    makeStateDirectory(dirname(path));
    const lock = lockState(path);
    try {
      let database: Database;
      try {
        database = openDatabase(path);
      } catch (cause) {
        onLost(cause instanceof Error ? cause.message : String(cause), moveAside(path));
        database = openDatabase(path);
      }
      return new WatchState(path, database, lock);
    } catch (cause) {
      lock.release();
      const reason = cause instanceof Error ? cause.message : String(cause);
      const message = `Cannot keep the state of the watch in ${quotePath(path)}: ${reason}`;
      throw new TydfsError("local", message, { cause });
    }
  }

  /** What was sent of a path. */
  find(path: string): KnownEntry | undefined {
    const sql = "SELECT * FROM entry WHERE path = ?";
    return known(this.#database.query<Row, [string]>(sql).get(path));
  }

  /** What was sent of this inode, under whatever names. */
  findByInode(inode: bigint): KnownEntry[] {
    const sql = "SELECT * FROM entry WHERE inode = ? LIMIT 100";
    return this.#database.query<Row, [string]>(sql).all(String(inode)).map(mustKnow);
  }

  /**
   * A page of what is known below a directory (empty: of all), in the order of a walk, behind the
   * sort key `after`.
   */
  page(directory: string, after: string): KnownEntry[] {
    // "0" follows "/": all keys below `a/` lie between "a/" and "a0".
    const sql = `SELECT * FROM entry WHERE key > ?1 ${directory === "" ? "" : "AND key < ?2"}
      ORDER BY key LIMIT ${PAGE_ROWS}`;
    const from = after === "" && directory !== "" ? `${directory}/` : after;
    const query = this.#database.query<Row, string[]>(sql);
    return (directory === "" ? query.all(from) : query.all(from, `${directory}0`)).map(mustKnow);
  }

  /** All that is known below a directory (empty: everything), in the order of a walk. */
  *below(directory: string): Generator<KnownEntry> {
    for (let after = "";;) {
      const page = this.page(directory, after);
      yield* page;
      const last = page.at(-1);
      if (last === undefined) return;
      after = keyOf(last);
    }
  }

  /** Whether anything is known below a directory. */
  hasBelow(directory: string): boolean {
    const sql = "SELECT 1 FROM entry WHERE key > ?1 || '/' AND key < ?1 || '0' LIMIT 1";
    return this.#database.query(sql).get(directory) !== null;
  }

  /** All entries. */
  count(): number {
    return this.#database.query<{ n: number }, []>("SELECT count(*) AS n FROM entry").get()?.n ?? 0;
  }

  /** Files and links, without directories. */
  countFiles(): number {
    const sql = "SELECT count(*) AS n FROM entry WHERE kind <> 'directory'";
    return this.#database.query<{ n: number }, []>(sql).get()?.n ?? 0;
  }

  /** Takes down what was sent; replaces what was known of the same paths. */
  save(...entries: KnownEntry[]): void {
    const statement = this.#database.query(
      "INSERT OR REPLACE INTO entry VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
    );
    this.#database.transaction(() => {
      for (const entry of entries) {
        const { path, kind, sizeBytes, mtimeMs, mode, inode, device, version, checksum } = entry;
        const identity = [String(inode), String(device)] as const;
        const key = keyOf(entry);
        statement.run(path, key, kind, sizeBytes, mtimeMs, mode, ...identity, version, checksum);
      }
    })();
  }

  /** Forgets a path, and what is below it. */
  forget(path: string): void {
    this.#database.run(
      "DELETE FROM entry WHERE path = ?1 OR (key > ?1 || '/' AND key < ?1 || '0')",
      [path],
    );
  }

  /** What was known as `from` is known as `to`, with what is below it. */
  move(from: string, to: string): void {
    this.#database.transaction(() => {
      this.forget(to);
      this.#database.run(
        `UPDATE entry SET path = ?2 || substr(path, length(?1) + 1),
           key = ?2 || substr(key, length(?1) + 1)
         WHERE path = ?1 OR (key > ?1 || '/' AND key < ?1 || '0')`,
        [from, to],
      );
    })();
  }

  /** The disk that had the number `from` has the number `to`: it was mounted anew. */
  renumberDevice(from: bigint, to: bigint): void {
    const sql = "UPDATE entry SET device = ? WHERE device = ?";
    this.#database.run(sql, [String(to), String(from)]);
  }

  /** A fact about the watch as a whole. */
  fact(name: string): string | undefined {
    const sql = "SELECT value FROM fact WHERE name = ?";
    return this.#database.query<{ value: string }, [string]>(sql).get(name)?.value;
  }

  setFact(name: string, value: string): void {
    this.#database.run("INSERT OR REPLACE INTO fact VALUES (?, ?)", [name, value]);
  }

  close(): void {
    this.#database.close();
    this.#lock.release();
  }
}

/** Throws `conflict` when another process has the lock. */
function lockState(path: string): FileLock {
  let lock: FileLock | undefined;
  try {
    lock = takeFileLock(`${path}.lock`);
  } catch (cause) {
    const message = `Cannot keep the state of the watch in ${quotePath(path)}: ` +
      "its lock can't be made; name another place with --state";
    throw new TydfsError("local", message, { cause });
  }
  if (lock !== undefined) return lock;
  const message = "Cannot watch: another tydfs watch of this directory to this place is running " +
    `(it holds ${quotePath(`${path}.lock`)})`;
  throw new TydfsError("conflict", message);
}

/** Throws when there is a database that is damaged, or of another format. */
function openDatabase(path: string): Database {
  const database = new Database(path, { create: true, readwrite: true, strict: true });
  try {
    database.run("PRAGMA journal_mode = WAL");
    // A power loss may lose the last rows: those files are compared with the cluster, or sent anew.
    database.run("PRAGMA synchronous = NORMAL");
    const verdict = Object.values(database.query("PRAGMA quick_check(1)").get() ?? {})[0];
    if (verdict !== "ok") throw new Error(String(verdict));
    const format = Object.values(database.query("PRAGMA user_version").get() ?? {})[0];
    if (format === 0) database.run(TABLES);
    else if (format !== FORMAT) throw new Error(`it has format ${format}, not ${FORMAT}`);
    return database;
  } catch (error) {
    database.close();
    throw error;
  }
}

function known(row: Row | null): KnownEntry | undefined {
  return row === null ? undefined : mustKnow(row);
}

function mustKnow(row: Row): KnownEntry {
  const { size: sizeBytes, mtime_ms: mtimeMs, inode, device, path, kind, mode } = row;
  const { version, checksum } = row;
  const identity = { inode: BigInt(inode), device: BigInt(device) };
  return { path, kind, sizeBytes, mtimeMs, mode, ...identity, version, checksum };
}
