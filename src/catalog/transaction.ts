/**
 * The writer's transaction as `apply` sees it: statements and counters, those of the cluster and
 * those of what each keeper holds. Counts of an operation that
 * fails are dropped with its rows; those of a batch are written once, at its end.
 */
import type { Counter } from "./schema.ts";
import { Statements } from "./statements.ts";

/** A change of what a keeper holds. */
interface Held {
  replicas: number;
  bytes: number;
}

export class Tx extends Statements {
  readonly #operation = new Map<Counter, number>();
  readonly #batch = new Map<Counter, number>();
  readonly #operationHeld = new Map<number, Held>();
  readonly #batchHeld = new Map<number, Held>();

  /** Adds `delta` to a counter. */
  count(counter: Counter, delta: number): void {
    if (delta !== 0) add(this.#operation, counter, delta);
  }

  /** A keeper holds so many replicas more (or fewer), of so many bytes. */
  hold(keeper: number, replicas: number, bytes: number): void {
    addHeld(this.#operationHeld, keeper, { replicas, bytes });
  }

  /** The operation stands: its counts join the batch's. */
  keep(): void {
    for (const [counter, delta] of this.#operation) add(this.#batch, counter, delta);
    for (const [keeper, held] of this.#operationHeld) addHeld(this.#batchHeld, keeper, held);
    this.drop();
  }

  /** The operation is undone: so are its counts. */
  drop(): void {
    this.#operation.clear();
    this.#operationHeld.clear();
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
    for (const [keeper, { replicas, bytes }] of this.#batchHeld) {
      const sql = "UPDATE keeper SET replicas = replicas + ?, bytes = bytes + ? WHERE number = ?";
      this.run(sql, replicas, bytes, keeper);
    }
    this.#batchHeld.clear();
    this.run("UPDATE meta SET value = ? WHERE key = 'sequence'", sequence);
    this.run("UPDATE meta SET value = ? WHERE key = 'hash'", hash);
  }
}

function addHeld(held: Map<number, Held>, keeper: number, { replicas, bytes }: Held): void {
  const sum = held.get(keeper) ?? { replicas: 0, bytes: 0 };
  held.set(keeper, { replicas: sum.replicas + replicas, bytes: sum.bytes + bytes });
}

function add(counts: Map<Counter, number>, counter: Counter, delta: number): void {
  counts.set(counter, (counts.get(counter) ?? 0) + delta);
}
