/**
 * The one writer of the catalog: what waits becomes one transaction, and nobody is answered before
 * it is on disk. Operations that stand are numbered and chained by hash, so that a gap or a foreign
 * history is seen. A commit that fails is never tried again: the pages that the kernel dropped are
 * gone, and only a restart reads what is really there.
 */
import { type Database, SQLiteError } from "bun:sqlite";
import { assert, AssertionError } from "../base/assert.ts";
import { Batcher, type BatchItem } from "../base/batch.ts";
import { failpoint } from "../base/failpoint.ts";
import type { Log } from "../base/log.ts";
import { encode } from "../wire/codec.ts";
import { TydfsError } from "../wire/errors.ts";
import { apply } from "./apply.ts";
import { openCatalog, openCatalogSoon } from "./open.ts";
import type { Journal, Operation, OperationKind, ResultOf } from "./operation.ts";
import { readValue } from "./schema.ts";
import { Tx } from "./transaction.ts";

export interface CatalogWriterOptions {
  /** The catalog's file; made when it is not there. */
  path: string;
  log: Log;
  /** Operations in one transaction, at most. */
  batchMax?: number;
  /** Operations that may wait; one more is refused with `busy`. */
  waitingMax?: number;
  /** A large catalog is opened without being checked whole: see `checked`. */
  checkLater?: boolean;
  /**
   * Takes each batch on after its commit, in order. Callers whose operations must not be lost with
   * this disk are answered when what it returns resolves (it never rejects); where there are none,
   * it is not `awaited`.
   */
  ship?: (batch: CommittedBatch, awaited: boolean) => Promise<void> | undefined;
  /** The catalog can't be written any more: the process must stop. Called once. */
  onFatal: (error: unknown) => void;
}

/** Operations that were committed together, as the archive takes them. */
export interface CommittedBatch {
  /** The numbers of the first and the last one. */
  from: number;
  to: number;
  /** SHA-256 of the history before them. */
  hashBefore: Uint8Array;
  /** Each as the CBOR that the hash is over. */
  operations: Uint8Array[];
}

/** How far a catalog's history goes. */
export interface HistoryMark {
  sequence: number;
  /** SHA-256 over the hash before and the operation's CBOR, as hexadecimal. */
  hash: string;
}

const BATCH_MAX = 1000;
const WAITING_MAX = 65_536;
/** Batches that are committed, but whose callers still wait for the archive. */
const SHIPPING_MAX = 64;

type Item = BatchItem<Operation, ResultOf<OperationKind>>;

export class CatalogWriter implements Journal {
  /** Whether the catalog's file was checked; if not, `checkCatalogFile` is owed. */
  readonly checked: boolean;
  readonly #database: Database;
  readonly #tx: Tx;
  readonly #log: Log;
  readonly #onFatal: (error: unknown) => void;
  readonly #batcher: Batcher<Operation, ResultOf<OperationKind>>;
  #sequence: number;
  #hash: Uint8Array;
  #closed: TydfsError | undefined;
  readonly #ship: (batch: CommittedBatch, awaited: boolean) => Promise<void> | undefined;
  /** The answers that wait for the archive, in order, and their number. */
  #shipped: Promise<void> = Promise.resolve();
  #shipping = 0;

  /** Opens the catalog. Throws `corrupt` for a damaged one, `invalid` for one of a newer tydfs. */
  constructor(options: CatalogWriterOptions) {
    this.#log = options.log;
    this.#onFatal = options.onFatal;
    this.#ship = options.ship ?? (() => undefined);
    const { database, checked } = options.checkLater === true
      ? openCatalogSoon(options.path)
      : { database: openCatalog(options.path), checked: true };
    this.#database = database;
    this.checked = checked;
    this.#tx = new Tx(this.#database);
    const { sequence, hash } = readMark(this.#tx);
    this.#sequence = sequence;
    this.#hash = hash;
    const waitingMax = options.waitingMax ?? WAITING_MAX;
    this.#batcher = new Batcher({
      waitingMax,
      batchMax: options.batchMax ?? BATCH_MAX,
      run: (items) => this.#runBatch(items),
      onFull: () =>
        new TydfsError("busy", `Cannot change the catalog: ${waitingMax} operations wait already`),
    });
  }

  /** The history that is on disk. */
  get mark(): HistoryMark {
    return { sequence: this.#sequence, hash: this.#hash.toHex() };
  }

  /** The catalog's id. */
  get catalogId(): string {
    const sql = "SELECT value FROM meta WHERE key = 'catalog'";
    return String(readValue(this.#database, sql));
  }

  /** Operations that wait for their transaction. */
  get waiting(): number {
    return this.#batcher.waiting;
  }

  /**
   * Applies one operation and answers once it is durable, here and where it is shipped to. Throws
   * what `apply` threw (nothing was changed then), `busy` when too many wait, `unavailable` after
   * the end, and `internal` when the disk failed (it is unknown then whether it was done).
   */
  async submit<K extends OperationKind>(
    operation: Extract<Operation, { kind: K }>,
  ): Promise<ResultOf<K>> {
    if (this.#closed !== undefined) throw this.#closed;
    return await this.#batcher.submit(operation) as ResultOf<K>;
  }

  /** Lets what waits finish, moves the log into the database, closes. Safe to call again. */
  async close(): Promise<void> {
    const closed = this.#closed;
    this.#closed ??= new TydfsError("unavailable", "Cannot change the catalog: it is closed");
    await this.#batcher.idle();
    await this.#shipped;
    if (closed !== undefined) return;
    this.#tx.finalize();
    this.#database.run("PRAGMA wal_checkpoint(TRUNCATE)");
    this.#database.close();
  }

  async #runBatch(items: Item[]): Promise<void> {
    // What is committed does not wait for what is shipped, but only so far.
    if (this.#shipping >= SHIPPING_MAX) await this.#shipped;
    const { now, later, batch } = await this.#commit(items);
    if (items.some(commitsFile)) await failpoint("master.commit.after");
    const awaited = later.length > 0;
    const shipped = batch.from > batch.to ? undefined : this.#ship(batch, awaited);
    for (const answer of now) answer();
    if (shipped === undefined) return later.forEach((answer) => answer());
    if (!awaited) return;
    this.#shipping++;
    this.#shipped = Promise.all([this.#shipped, shipped]).then(() => {
      this.#shipping--;
      for (const answer of later) answer();
    });
  }

  /** Commits what stands. Returns the answers: those for now, and those for when it is shipped. */
  async #commit(
    items: Item[],
  ): Promise<{ now: (() => void)[]; later: (() => void)[]; batch: CommittedBatch }> {
    if (this.#closed?.code === "internal") throw this.#closed;
    const now: (() => void)[] = [];
    const later: (() => void)[] = [];
    const operations: Uint8Array[] = [];
    let { sequence, hash } = { sequence: this.#sequence, hash: this.#hash };
    try {
      this.#tx.run("BEGIN IMMEDIATE");
      for (const item of items) {
        const result = this.#attempt(item.input, sequence + 1);
        if (result.kind === "refused") {
          now.push(() => item.reject(result.error));
          continue;
        }
        sequence++;
        const bytes = encode(item.input);
        hash = chainBytes(hash, bytes);
        operations.push(bytes);
        const list = mustOutlive(item.input) ? later : now;
        list.push(() => item.resolve(result.value));
      }
      this.#tx.flush(sequence, hash);
      if (items.some(commitsFile)) await failpoint("master.commit.before");
      this.#tx.run("COMMIT");
    } catch (error) {
      throw this.#fail(error);
    }
    const batch = { from: this.#sequence + 1, to: sequence, hashBefore: this.#hash, operations };
    this.#sequence = sequence;
    this.#hash = hash;
    return { now, later, batch };
  }

  /**
   * Applies one operation in a savepoint of its own. Throws only what the whole process must not
   * survive.
   */
  #attempt(
    operation: Operation,
    sequence: number,
  ): { kind: "done"; value: ResultOf<OperationKind> } | { kind: "refused"; error: unknown } {
    this.#tx.run("SAVEPOINT operation");
    try {
      const value = apply(this.#tx, operation, sequence);
      this.#tx.run("RELEASE operation");
      this.#tx.keep();
      return { kind: "done", value };
    } catch (error) {
      if (isFatal(error)) throw error;
      this.#tx.run("ROLLBACK TO operation");
      this.#tx.run("RELEASE operation");
      this.#tx.drop();
      if (error instanceof TydfsError) return { kind: "refused", error };
      this.#log.error("Cannot apply an operation", { kind: operation.kind, error });
      const cause = new TydfsError("internal", `Cannot apply "${operation.kind}"`, {
        cause: error,
      });
      return { kind: "refused", error: cause };
    }
  }

  /** The end: whatever was not committed is dropped by SQLite at the next start. */
  #fail(error: unknown): TydfsError {
    const words = error instanceof Error ? error.message : String(error);
    const fatal = new TydfsError("internal", `Cannot write the catalog: ${words}`, {
      cause: error,
    });
    this.#closed = fatal;
    this.#log.error("Cannot write the catalog: the master must stop", { error });
    try {
      this.#tx.finalize();
      this.#database.close();
    } finally {
      this.#onFatal(error);
    }
    return fatal;
  }
}

/** The hash of a history that grows by one operation. */
export function chainHash(before: Uint8Array, operation: Operation): Uint8Array {
  return chainBytes(before, encode(operation));
}

/** The same, of an operation's CBOR. */
export function chainBytes(before: Uint8Array, operation: Uint8Array): Uint8Array {
  const hasher = new Bun.CryptoHasher("sha256");
  hasher.update(before);
  hasher.update(operation);
  return new Uint8Array(hasher.digest());
}

/** Whether a file may become visible by an operation: the steps at which tests look. */
function commitsFile({ input }: Item): boolean {
  return input.kind === "upload.commit" || input.kind === "pack.commit" ||
    input.kind === "chunk.stored" && input.commit !== undefined;
}

/**
 * Whether an operation's caller waits for the archive. What is only a step of something that is
 * committed later does not: the history is shipped in order, so that it goes ahead of that.
 */
function mustOutlive(operation: Operation): boolean {
  switch (operation.kind) {
    case "master.start":
    case "keeper.inventory":
    case "keeper.recount":
    case "upload.begin":
    case "upload.touch":
    case "replica.gone":
    case "chunk.forget":
      return false;
    case "chunk.stored":
      return operation.commit !== undefined;
    default:
      return true;
  }
}

/**
 * Broken invariants, and SQLite errors other than a constraint's: the state of the transaction is
 * not known then.
 */
function isFatal(error: unknown): boolean {
  if (error instanceof AssertionError) return true;
  return error instanceof SQLiteError && error.code?.startsWith("SQLITE_CONSTRAINT") !== true;
}

function readMark(tx: Tx): { sequence: number; hash: Uint8Array } {
  const sql = "SELECT value FROM meta WHERE key = ?";
  const sequence = tx.get<{ value: number }>(sql, "sequence")?.value;
  const hash = tx.get<{ value: Uint8Array }>(sql, "hash")?.value;
  assert(sequence !== undefined && hash?.length === 32, "the catalog knows its history");
  return { sequence, hash };
}
