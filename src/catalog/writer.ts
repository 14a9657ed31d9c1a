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
import { openCatalog } from "./open.ts";
import type { Journal, Operation, OperationKind, ResultOf } from "./operation.ts";
import { Tx } from "./transaction.ts";

export interface CatalogWriterOptions {
  /** The catalog's file; made when it is not there. */
  path: string;
  log: Log;
  /** Operations in one transaction, at most. */
  batchMax?: number;
  /** Operations that may wait; one more is refused with `busy`. */
  waitingMax?: number;
  /** The catalog can't be written any more: the process must stop. Called once. */
  onFatal: (error: unknown) => void;
}

/** How far a catalog's history goes. */
export interface HistoryMark {
  sequence: number;
  /** SHA-256 over the hash before and the operation's CBOR, as hexadecimal. */
  hash: string;
}

const BATCH_MAX = 1000;
const WAITING_MAX = 65_536;

type Item = BatchItem<Operation, ResultOf<OperationKind>>;

export class CatalogWriter implements Journal {
  readonly #database: Database;
  readonly #tx: Tx;
  readonly #log: Log;
  readonly #onFatal: (error: unknown) => void;
  readonly #batcher: Batcher<Operation, ResultOf<OperationKind>>;
  #sequence: number;
  #hash: Uint8Array;
  #closed: TydfsError | undefined;

  /** Opens the catalog. Throws `corrupt` for a damaged one, `invalid` for one of a newer tydfs. */
  constructor(options: CatalogWriterOptions) {
    this.#log = options.log;
    this.#onFatal = options.onFatal;
    this.#database = openCatalog(options.path);
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

  /** Operations that wait for their transaction. */
  get waiting(): number {
    return this.#batcher.waiting;
  }

  /**
   * Applies one operation and answers once it is durable. Throws what `apply` threw (nothing was
   * changed then), `busy` when too many wait, `unavailable` after the end, and `internal` when the
   * disk failed (it is unknown then whether it was done).
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
    if (closed !== undefined) return;
    this.#tx.finalize();
    this.#database.run("PRAGMA wal_checkpoint(TRUNCATE)");
    this.#database.close();
  }

  async #runBatch(items: Item[]): Promise<void> {
    if (this.#closed?.code === "internal") throw this.#closed;
    const answers: (() => void)[] = [];
    let { sequence, hash } = { sequence: this.#sequence, hash: this.#hash };
    try {
      this.#tx.run("BEGIN IMMEDIATE");
      for (const item of items) {
        const result = this.#attempt(item.input, sequence + 1);
        if (result.kind === "refused") {
          answers.push(() => item.reject(result.error));
          continue;
        }
        sequence++;
        hash = chainHash(hash, item.input);
        answers.push(() => item.resolve(result.value));
      }
      this.#tx.flush(sequence, hash);
      if (items.some(commitsFile)) await failpoint("master.commit.before");
      this.#tx.run("COMMIT");
    } catch (error) {
      throw this.#fail(error);
    }
    this.#sequence = sequence;
    this.#hash = hash;
    if (items.some(commitsFile)) await failpoint("master.commit.after");
    for (const answer of answers) answer();
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
  const hasher = new Bun.CryptoHasher("sha256");
  hasher.update(before);
  hasher.update(encode(operation));
  return new Uint8Array(hasher.digest());
}

/** Whether a file may become visible by an operation: the steps at which tests look. */
function commitsFile({ input }: Item): boolean {
  return input.kind === "upload.commit" ||
    input.kind === "chunk.stored" && input.commit !== undefined;
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
