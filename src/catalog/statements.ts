/**
 * Prepared statements over one connection, made once for each text. Row types are the callers'
 * word: the tables are STRICT.
 */
import type { Database, Statement } from "bun:sqlite";

/** What a parameter may be. */
export type Value = string | number | null | Uint8Array;

export class Statements {
  readonly database: Database;
  readonly #prepared = new Map<string, Statement<unknown, Value[]>>();

  constructor(database: Database) {
    this.database = database;
  }

  /** The texts prepared so far; for tests that look at their plans. */
  get texts(): string[] {
    return [...this.#prepared.keys()];
  }

  /** Runs a change. Returns the rows changed and the rowid of the last row inserted. */
  run(sql: string, ...values: Value[]): { changes: number; rowid: number } {
    const { changes, lastInsertRowid } = this.#prepare(sql).run(...values);
    return { changes, rowid: Number(lastInsertRowid) };
  }

  /** The first row, or undefined. */
  get<Row>(sql: string, ...values: Value[]): Row | undefined {
    return (this.#prepare(sql).get(...values) as Row | null) ?? undefined;
  }

  /** All rows: the statement must have a LIMIT or a natural bound. */
  all<Row>(sql: string, ...values: Value[]): Row[] {
    return this.#prepare(sql).all(...values) as Row[];
  }

  /** Frees all statements. */
  finalize(): void {
    for (const statement of this.#prepared.values()) statement.finalize();
    this.#prepared.clear();
  }

  #prepare(sql: string): Statement<unknown, Value[]> {
    let statement = this.#prepared.get(sql);
    if (statement === undefined) {
      statement = this.database.prepare<unknown, Value[]>(sql);
      this.#prepared.set(sql, statement);
    }
    return statement;
  }
}
