/**
 * What is to become of a pack whose files want different goals or policies: pure decisions. Those
 * that want the same are a group; the largest stays, and each other one is moved into packs of its
 * own kind.
 */
import type { PackedWish, PackPlace } from "../catalog/pack_reader.ts";

/** Files of one pack that want the same. */
export interface WishGroup {
  goal: number;
  policy: number;
  /** Where they lie, each place once. */
  places: PackPlace[];
  bytes: number;
}

export type PartingPlan =
  /** All named files want the same: it is enough that the pack is held so. */
  | { kind: "agreed" }
  /** These are to be moved away, in this order; what stays comes to agree by that. */
  | { kind: "split"; groups: WishGroup[] };

/**
 * Plans for what lies in a pack. Where that is not all of it (`isWhole` false: it has too many
 * copies to be seen at once) nothing can be said to be the rest, and all groups are moved. What
 * lies in the trash makes no group; it goes along with its like.
 */
export function planParting(files: readonly PackedWish[], isWhole: boolean): PartingPlan {
  const groups = groupByWish(files.filter(({ trashed }) => trashed === 0));
  groups.sort((left, right) => left.bytes - right.bytes);
  if (isWhole) groups.pop();
  return groups.length === 0 ? { kind: "agreed" } : { kind: "split", groups };
}

function groupByWish(files: readonly PackedWish[]): WishGroup[] {
  const groups = new Map<string, WishGroup & { known: Set<string> }>();
  for (const { goal, policy, chunkOffset, length } of files) {
    const wish = `${goal} ${policy}`;
    const group = groups.get(wish) ?? { goal, policy, places: [], bytes: 0, known: new Set() };
    groups.set(wish, group);
    const place = `${chunkOffset} ${length}`;
    if (group.known.has(place)) continue;
    group.known.add(place);
    group.places.push({ chunkOffset, length });
    group.bytes += length;
  }
  return [...groups.values()].map(({ known: _known, ...group }) => group);
}
