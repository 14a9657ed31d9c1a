/**
 * The writer's transaction as `apply` sees it: statements and counters. Counts of an operation that
 * fails are dropped with its rows; those of a batch are written once, at its end.
 */
import type { Counter } from "./schema.ts";
import { Statements } from "./statements.ts";

export class Tx extends Statements {
  readonly #operation = new Map<Counter, number>();
  readonly #batch = new Map<Counter, number>();

  /** Adds `delta` to a counter. */
  count(counter: Counter, delta: number): void {
    if (delta !== 0) add(this.#operation, counter, delta);
  }

  /** The operation stands: its counts join the batch's. */
  keep(): void {
    for (const [counter, delta] of this.#operation) add(this.#batch, counter, delta);
    this.#operation.clear();
  }

  /** The operation is undone: so are its counts. */
  drop(): void {
    this.#operation.clear();
  }

  /**
   * Writes what the batch counted, and how far the history goes. `hash` is of all operations up to
   * `sequence`.
   */
  flush(sequence: number, hash: Uint8Array): void {
    for (const [counter, delta] of this.#batch) {
      this.run("UPDATE meta SET value = value + ? WHERE key = ?", delta, counter);
    }
    this.#batch.clear();
    this.run("UPDATE meta SET value = ? WHERE key = 'sequence'", sequence);
    this.run("UPDATE meta SET value = ? WHERE key = 'hash'", hash);
  }
}

function add(counts: Map<Counter, number>, counter: Counter, delta: number): void {
  counts.set(counter, (counts.get(counter) ?? 0) + delta);
}
