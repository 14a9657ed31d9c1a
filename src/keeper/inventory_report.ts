/**
 * Sends what lies on this keeper's disk to the master, page by page: each is read just before it is
 * sent.
 */
import type { ChunkStore } from "../chunks/chunk_store.ts";
import { INVENTORY_PAGE_MAX } from "../wire/report.ts";
import type { Reporter } from "./reporter.ts";

/** Sends the whole inventory. Throws when a page can't be delivered. */
export async function sendInventory(
  store: ChunkStore,
  reporter: Reporter,
  pageMax = INVENTORY_PAGE_MAX,
): Promise<void> {
  for (let after = "", last = false; !last;) {
    const page = await store.inventory(after, pageMax);
    await reporter.inventory({ after, ...page });
    last = page.last;
    after = page.chunks.at(-1)?.[0] ?? after;
  }
}
