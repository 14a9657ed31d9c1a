/** The keepers' disks as balancing sees them: what is on record of each, and what its beats say. */
import type { CatalogReader } from "../catalog/reader.ts";
import type { KeeperTable } from "../tables/keeper_table.ts";
import type { BalanceDisk } from "./balance.ts";
import type { Roster } from "./roster.ts";
import type { Slots } from "./slots.ts";

export interface DiskSources {
  reader: Pick<CatalogReader, "heldByKeepers">;
  roster: Roster;
  slots: Slots;
  tables: { keepers: KeeperTable };
}

/** The disks of the keepers that are alive; those that are being emptied are left out. */
export function balanceDisks({ reader, roster, slots, tables }: DiskSources): BalanceDisk[] {
  const heldByNumber = new Map(reader.heldByKeepers().map(({ number, bytes }) => [number, bytes]));
  return roster.all().flatMap((keeper) => {
    const { number, draining } = keeper;
    const heldBytes = heldByNumber.get(number);
    if (heldBytes === undefined || draining || !tables.keepers.alive(number)) return [];
    const isWritable = tables.keepers.writable(number);
    return [{ ...slots.candidateOf(keeper), heldBytes, isWritable }];
  });
}
