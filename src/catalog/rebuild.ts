/**
 * Rebuilds a catalog from a snapshot, or from nothing, and pieces of its journal: unordered,
 * overlapping, from several archives, some perhaps of a history that was given up. The hash chain
 * decides what belongs to it; where two pieces do, the newer master's is taken. The result is the
 * same catalog, row for row, as the one that was lost.
 */
import type { Database } from "bun:sqlite";
import * as v from "valibot";
import { decode } from "../wire/codec.ts";
import type { JournalPiece } from "../wire/archive.ts";
import { TydfsError } from "../wire/errors.ts";
import { apply } from "./apply.ts";
import { checkCatalog } from "./check.ts";
import { openCatalog } from "./open.ts";
import type { Operation } from "./operation.ts";
import { factsOf } from "./snapshot.ts";
import { Tx } from "./transaction.ts";
import { chainBytes } from "./writer.ts";

/** What of a piece rebuilding looks at. */
export type RebuildPiece = Pick<
  JournalPiece,
  "catalog" | "epoch" | "from" | "to" | "hashBefore" | "operations"
>;

export interface RebuildReport {
  /** The last operation that is in the catalog now. */
  sequence: number;
  /** Operations that were applied. */
  applied: number;
  /** The latest time that an applied operation tells, as wall time in ms; undefined: none. */
  lastMs?: number;
  /** Pieces begin again behind these missing operations: what they hold is lost. */
  gap?: { from: number; to: number; lastSeen: number };
  /** Pieces that reach further, but belong to another history. */
  foreign: number;
  /** The last operation of all pieces that are not in the catalog; 0: all are. */
  givenUp: number;
  /** The newest epoch of a master in catalog and pieces. */
  epoch: number;
  /** Broken invariants of the result: empty, or something is wrong with what was found. */
  problems: string[];
}

const Operations = v.array(v.instance(Uint8Array));
const AnyOperation = v.looseObject({ kind: v.string() });
/** Operations in one transaction. */
const BATCH_MAX = 1000;

/**
 * Applies to the catalog at `path` (an empty one is made when there is none, with the pieces'
 * catalog id) all operations that follow it without a gap, and checks the result. Throws `corrupt`
 * when the file is damaged, or an operation of the very history can't be applied.
 */
export function rebuildCatalog(path: string, pieces: readonly RebuildPiece[]): RebuildReport {
  const database = openCatalog(path);
  try {
    const first = pieces[0];
    if (factsOf(database).sequence === 0 && first !== undefined) {
      database.run("UPDATE meta SET value = ? WHERE key = 'catalog'", [first.catalog]);
    }
    const report = replay(database, pieces);
    const problems = checkCatalog(database);
    database.run("PRAGMA wal_checkpoint(TRUNCATE)");
    return { ...report, problems };
  } finally {
    database.close();
  }
}

/**
 * Makes the next master of this catalog newer than any that was: its epoch will be above `epoch`.
 * What keepers have of the history up to `givenUp` makes the catalog no old one.
 */
export function leapEpoch(path: string, epoch: number, givenUp = 0): void {
  const database = openCatalog(path);
  try {
    database.run("UPDATE meta SET value = max(value, ?) WHERE key = 'epoch'", [epoch]);
    const sql = `INSERT INTO meta VALUES ('given_up', ?1)
      ON CONFLICT DO UPDATE SET value = max(value, ?1)`;
    if (givenUp > 0) database.run(sql, [givenUp]);
    database.run("PRAGMA wal_checkpoint(TRUNCATE)");
  } finally {
    database.close();
  }
}

function replay(
  database: Database,
  pieces: readonly RebuildPiece[],
): Omit<RebuildReport, "problems"> {
  const facts = factsOf(database);
  const replayer = new Replayer(database, facts);
  const own = pieces.filter(({ catalog }) => catalog === facts.catalog)
    .sort((left, right) => left.from - right.from || right.epoch - left.epoch);
  let waiting = own.filter(({ to }) => to > facts.sequence);
  for (;;) {
    const next = replayer.choose(waiting);
    if (next === undefined) break;
    replayer.run(next.rest);
    waiting = waiting.filter(({ to }) => to > replayer.sequence);
  }
  replayer.finish();
  const epoch = own.reduce((newest, piece) => Math.max(newest, piece.epoch), facts.epoch);
  const beyond = waiting.filter(({ from }) => from > replayer.sequence + 1);
  const gapEnd = beyond[0];
  const { sequence, applied, lastMs } = replayer;
  const lastSeen = beyond.reduce((last, { to }) => Math.max(last, to), 0);
  const givenUp = waiting.reduce((last, { to }) => Math.max(last, to), 0);
  return {
    ...{ sequence, applied, epoch, foreign: waiting.length - beyond.length, givenUp },
    ...(lastMs === undefined ? {} : { lastMs }),
    ...(gapEnd === undefined ? {} : { gap: { from: sequence + 1, to: gapEnd.from - 1, lastSeen } }),
  };
}

/** A catalog whose history grows by what others have kept of it. */
class Replayer {
  sequence: number;
  applied = 0;
  lastMs: number | undefined;
  #hash: Uint8Array;
  readonly #tx: Tx;
  readonly #catalog: string;

  constructor(database: Database, facts: { catalog: string; sequence: number; hash: Uint8Array }) {
    this.#tx = new Tx(database);
    this.#catalog = facts.catalog;
    this.sequence = facts.sequence;
    this.#hash = facts.hash;
  }

  /**
   * The piece that goes on from here, and what of it is new: of those of this history the newest
   * master's, and of these the longest.
   */
  choose(
    pieces: readonly RebuildPiece[],
  ): { piece: RebuildPiece; rest: Uint8Array[] } | undefined {
    let best: { piece: RebuildPiece; rest: Uint8Array[] } | undefined;
    for (const piece of pieces) {
      if (piece.from > this.sequence + 1) break;
      const rest = this.#restOf(piece);
      if (rest === undefined) continue;
      const newer = best === undefined || piece.epoch > best.piece.epoch ||
        (piece.epoch === best.piece.epoch && piece.to > best.piece.to);
      if (newer) best = { piece, rest };
    }
    return best;
  }

  /** Applies operations, `BATCH_MAX` to a transaction. */
  run(operations: readonly Uint8Array[]): void {
    for (let at = 0; at < operations.length; at += BATCH_MAX) {
      this.#tx.run("BEGIN IMMEDIATE");
      try {
        for (const bytes of operations.slice(at, at + BATCH_MAX)) this.#apply(bytes);
        this.#tx.flush(this.sequence, this.#hash);
        this.#tx.run("COMMIT");
      } catch (cause) {
        this.#tx.run("ROLLBACK");
        const words = cause instanceof Error ? cause.message : String(cause);
        const message = `Cannot rebuild the catalog "${this.#catalog}": operation ` +
          `${this.sequence + 1} can't be applied: ${words}`;
        throw new TydfsError("corrupt", message, { cause });
      }
    }
  }

  finish(): void {
    this.#tx.finalize();
  }

  #apply(bytes: Uint8Array): void {
    const operation = decode(AnyOperation, bytes, "an operation") as unknown as Operation;
    apply(this.#tx, operation, this.sequence + 1);
    this.#tx.keep();
    this.sequence++;
    this.applied++;
    this.#hash = chainBytes(this.#hash, bytes);
    if ("atMs" in operation) this.lastMs = Math.max(this.lastMs ?? 0, operation.atMs);
  }

  /** What of a piece lies behind this history; undefined when it belongs to another one. */
  #restOf(piece: RebuildPiece): Uint8Array[] | undefined {
    const operations = decode(Operations, piece.operations, "a piece of the journal");
    if (operations.length !== piece.to - piece.from + 1) return undefined;
    let hash: Uint8Array = piece.hashBefore;
    const known = this.sequence - piece.from + 1;
    for (const bytes of operations.slice(0, known)) hash = chainBytes(hash, bytes);
    return Buffer.compare(hash, this.#hash) === 0 ? operations.slice(known) : undefined;
  }
}
