/**
 * Lists what lies on the disk, in id order and one shelf at a time, so that memory stays small with
 * millions of chunks.
 */
import { isId } from "../wire/ids.ts";
import type { Disk } from "./disk.ts";
import { CHUNKS, SIDECAR_ENDING } from "./places.ts";

/** A page of chunks in id order. */
export interface InventoryPage {
  chunks: [id: string, sizeBytes: number][];
  /** No chunk lies behind this page. */
  last: boolean;
}

/** A directory of chunks and sidecars, its names sorted. */
export interface Shelf {
  path: string;
  names: string[];
}

/** All shelves in id order that may hold ids behind `after`. */
export async function* walkShelves(disk: Disk, after: string): AsyncIterable<Shelf> {
  const isPlace = (name: string) => /^[0-9a-f]{2}$/.test(name);
  for (const aisle of (await disk.list(CHUNKS)).filter(isPlace)) {
    if (aisle < after.slice(0, 2)) continue;
    for (const name of (await disk.list(`${CHUNKS}/${aisle}`)).filter(isPlace)) {
      if (aisle + name < after.slice(0, 4)) continue;
      const path = `${CHUNKS}/${aisle}/${name}`;
      yield { path, names: await disk.list(path) };
    }
  }
}

/** Files that are looked at before other work of this thread gets a turn: a look may take 10 ms. */
const LOOKS_PER_TURN = 16;

/** The chunks behind `after`, `limit` at most. A chunk without a sidecar is not counted as one. */
export async function readInventory(
  disk: Disk,
  after: string,
  limit: number,
): Promise<InventoryPage> {
  const chunks: InventoryPage["chunks"] = [];
  let looks = 0;
  for await (const { path, names } of walkShelves(disk, after)) {
    const present = new Set(names);
    for (const name of names) {
      if (!isId(name) || name <= after || !present.has(name + SIDECAR_ENDING)) continue;
      if (chunks.length === limit) return { chunks, last: false };
      if (++looks % LOOKS_PER_TURN === 0) await new Promise((resolve) => setImmediate(resolve));
      const sizeBytes = disk.sizeOf(`${path}/${name}`);
      if (sizeBytes !== undefined) chunks.push([name, sizeBytes]);
    }
  }
  return { chunks, last: true };
}

/**
 * The ids behind `after` of all files that look like chunks, also of those without a sidecar: what
 * a scrub is to look at.
 */
export async function* walkIds(disk: Disk, after: string): AsyncIterable<string> {
  for await (const { names } of walkShelves(disk, after)) {
    for (const name of names) if (isId(name) && name > after) yield name;
  }
}
