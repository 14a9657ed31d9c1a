/**
 * Sends what lies on this keeper's disk to the master, page by page: each is read just before it is
 * sent. Chunks that have another size than the master knows are put aside.
 */
import type { ChunkStore } from "../chunks/chunk_store.ts";
import { INVENTORY_PAGE_MAX } from "../wire/report.ts";
import type { Reporter } from "./reporter.ts";

/**
 * Sends the whole inventory. Throws when a page can't be delivered; once `signal` is aborted, none
 * is tried again.
 */
export async function sendInventory(
  store: ChunkStore,
  reporter: Pick<Reporter, "inventory">,
  signal?: AbortSignal,
): Promise<void> {
  for (let after = "", last = false; !last;) {
    const page = await store.inventory(after, INVENTORY_PAGE_MAX);
    const { wrongSize } = await reporter.inventory({ after, ...page }, signal);
    const listed = new Set(page.chunks.map(([id]) => id));
    for (const id of wrongSize) if (listed.has(id)) await store.quarantine(id);
    last = page.last;
    after = page.chunks.at(-1)?.[0] ?? after;
  }
}
