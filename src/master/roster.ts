/** The keepers that the catalog knows, kept in memory and read again only when they change. */
import { PORTS_MAX } from "../tables/port_table.ts";
import type { CatalogReader, KeeperRecord, RemovedKeeper } from "../catalog/reader.ts";
import type { Holder } from "../wire/file.ts";

/** What a roster reads. */
export type KeeperReader = Pick<
  CatalogReader,
  "keepers" | "keepersGeneration" | "removedKeepers"
>;

export class Roster {
  readonly #reader: KeeperReader;
  #generation = -1;
  #all: readonly KeeperRecord[] = [];
  #byId = new Map<string, KeeperRecord>();
  #byNumber = new Map<number, KeeperRecord>();
  #removed: readonly RemovedKeeper[] = [];

  constructor(reader: KeeperReader) {
    this.#reader = reader;
  }

  /** All keepers of the cluster. */
  all(): readonly KeeperRecord[] {
    this.#refresh();
    return this.#all;
  }

  /** The keeper with this id; undefined when the cluster knows none. */
  byId(id: string): KeeperRecord | undefined {
    this.#refresh();
    return this.#byId.get(id);
  }

  byNumber(number: number): KeeperRecord | undefined {
    this.#refresh();
    return this.#byNumber.get(number);
  }

  /** The keeper with this number as the last look at the catalog has found it. */
  known(number: number): KeeperRecord | undefined {
    return this.#byNumber.get(number);
  }

  /** Keepers that were removed, and have not joined again. */
  removed(): readonly RemovedKeeper[] {
    this.#refresh();
    return this.#removed;
  }

  #refresh(): void {
    const generation = this.#reader.keepersGeneration();
    if (generation === this.#generation) return;
    this.#all = this.#reader.keepers();
    this.#byId = new Map(this.#all.map((keeper) => [keeper.id, keeper]));
    this.#byNumber = new Map(this.#all.map((keeper) => [keeper.number, keeper]));
    this.#removed = this.#reader.removedKeepers();
    this.#generation = generation;
  }
}

/** A keeper as readers address it. */
export function holderOf(keeper: KeeperRecord): Holder {
  const { id, name, host, ports } = keeper;
  return { keeper: id, name, host, ports: ports.slice(0, PORTS_MAX) };
}
