/**
 * Corrects inventories that are older than what the catalog knows. A keeper lists its disk a moment
 * before its page is applied: a chunk that was stored in between would seem missing, one that was
 * deleted would come back as a replica that is not there. This end of the journal remembers both
 * for a while and mends each page when its turn has come. Bounded: past its room the oldest
 * memories go.
 */
import type { Clock } from "../base/clock.ts";
import type { Journal, Operation, OperationKind, ResultOf } from "../catalog/operation.ts";
import { InventoryLane } from "./inventory_lane.ts";

/** Longer than a keeper goes on repeating a page, and than that waits for its turn. */
const MEMORY_MS = 120_000;
const MEMORIES_MAX = 200_000;

type Inventory = Extract<Operation, { kind: "keeper.inventory" }>;

interface Memory {
  /** The size of a chunk that was stored; undefined for one that is gone. */
  sizeBytes: number | undefined;
  atMs: number;
}

/** A journal that passes operations on and mends inventories on their way. */
export class LateInventory implements Journal {
  readonly #journal: Journal;
  readonly #clock: Clock;
  readonly #lane: InventoryLane;
  /** By keeper and chunk, the oldest first. */
  readonly #memories = new Map<string, Memory>();
  /** The epoch with which each keeper joined last; as many as there are keepers. */
  readonly #epochs = new Map<string, number>();

  constructor(journal: Journal, clock: Clock) {
    this.#journal = journal;
    this.#clock = clock;
    this.#lane = new InventoryLane(clock);
  }

  /** See `Journal`. */
  async submit<K extends OperationKind>(
    operation: Extract<Operation, { kind: K }>,
  ): Promise<ResultOf<K>> {
    const any: Operation = operation;
    if (any.kind === "keeper.inventory") {
      return await this.#lane.run(any, () => this.#take(any)) as ResultOf<K>;
    }
    if (any.kind === "keeper.join") this.#forgetOlder(any.keeper.id, any.keeper.epoch);
    // Remembered before it is applied, so that no page comes in between; undone if it is refused.
    const undo = this.#note(any);
    try {
      const result = await this.#journal.submit(operation);
      if (any.kind === "replica.release") {
        const released = new Set((result as ResultOf<"replica.release">).released);
        undo((chunk) => !released.has(chunk));
      }
      return result;
    } catch (error) {
      undo(() => true);
      throw error;
    }
  }

  async #take(page: Inventory): Promise<ResultOf<"keeper.inventory">> {
    const mended = { ...page, chunks: this.#mend(page) };
    const result = await this.#journal.submit<"keeper.inventory">(mended);
    // A copy that was cut after it was stored is none: no later page must bring its row back.
    for (const chunk of result.wrongSize ?? []) this.#memories.delete(`${page.keeper}/${chunk}`);
    return result;
  }

  /** Remembers what an operation does to replicas. Returns how to forget that of some chunks. */
  #note(operation: Operation): (which: (chunk: string) => boolean) => void {
    const before: { key: string; chunk: string; memory: Memory | undefined }[] = [];
    const note = (keeper: string, chunk: string, sizeBytes: number | undefined) => {
      const key = `${keeper}/${chunk}`;
      before.push({ key, chunk, memory: this.#memories.get(key) });
      this.#remember(key, sizeBytes);
    };
    if (operation.kind === "chunk.stored") {
      const { id, sizeBytes } = operation.chunk;
      for (const keeper of operation.keepers) note(keeper, id, sizeBytes);
    } else if (operation.kind === "replica.gone" || operation.kind === "replica.release") {
      for (const id of operation.chunks) note(operation.keeper, id, undefined);
    }
    return (which) => {
      for (const { key, memory } of before.filter(({ chunk }) => which(chunk))) {
        if (memory === undefined) this.#memories.delete(key);
        else this.#memories.set(key, memory);
      }
    };
  }

  /** A keeper that was started anew lists what it has now: older memories of it mislead. */
  #forgetOlder(keeper: string, epoch: number): void {
    if (this.#epochs.get(keeper) === epoch) return;
    this.#epochs.set(keeper, epoch);
    for (const key of this.#memories.keys()) {
      if (key.startsWith(`${keeper}/`)) this.#memories.delete(key);
    }
  }

  #remember(key: string, sizeBytes: number | undefined): void {
    const nowMs = this.#clock.monotonicMs();
    this.#memories.delete(key);
    for (const [old, { atMs }] of this.#memories) {
      if (atMs > nowMs - MEMORY_MS && this.#memories.size < MEMORIES_MAX) break;
      this.#memories.delete(old);
    }
    this.#memories.set(key, { sizeBytes, atMs: nowMs });
  }

  /** The page with what was stored since it was made, and without what is gone since. */
  #mend(page: Inventory): [string, number][] {
    const sizes = new Map(page.chunks);
    const end = page.last ? undefined : page.chunks.at(-1)?.[0];
    const prefix = `${page.keeper}/`;
    const sinceMs = this.#clock.monotonicMs() - MEMORY_MS;
    for (const [key, { sizeBytes, atMs }] of this.#memories) {
      // What was noted long ago is older than the page: the page knows better.
      if (!key.startsWith(prefix) || atMs < sinceMs) continue;
      const chunk = key.slice(prefix.length);
      if (chunk <= page.after || (end !== undefined && chunk > end)) continue;
      if (sizeBytes === undefined) sizes.delete(chunk);
      else if (!sizes.has(chunk)) sizes.set(chunk, sizeBytes);
    }
    return [...sizes].sort(([left], [right]) => left < right ? -1 : 1);
  }
}
