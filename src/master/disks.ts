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
  return reader.heldByKeepers().flatMap(({ number, bytes: heldBytes }) => {
    const keeper = roster.byNumber(number);
    const row = tables.keepers.find(number);
    if (keeper === undefined || keeper.draining || row?.state !== "ALIVE") return [];
    return [{ ...slots.candidateOf(keeper), heldBytes, isWritable: !row.readOnly }];
  });
}
