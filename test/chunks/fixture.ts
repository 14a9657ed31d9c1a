/** A chunk store in a fresh directory, and chunks to put into it. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { systemClock } from "../../src/base/clock.ts";
import { randomHex, seededRandom } from "../../src/base/random.ts";
import { ChunkStore } from "../../src/chunks/chunk_store.ts";
import type { Disk } from "../../src/chunks/disk.ts";
import { systemDisk } from "../../src/chunks/disk.ts";
import type { ChunkFacts } from "../../src/chunks/sidecar.ts";
import { StoreShare } from "../../src/chunks/store_share.ts";
import { sumsOf } from "../../src/wire/sums.ts";

export const random = seededRandom(20_26);

export interface StoreWorld {
  directory: string;
  disk: Disk;
  share: StoreShare;
  store: ChunkStore;
  /** Another thread's view of the same store. */
  sibling: ChunkStore;
  [Symbol.dispose](): void;
}

/** Opens a store; `change` may put faults into its disk. */
export async function openWorld(
  change: (disk: Disk) => Partial<Disk> = () => ({}),
  reserveBytes: number | "default" = 0,
): Promise<StoreWorld> {
  const directory = mkdtempSync(join(tmpdir(), "tydfs-chunks-"));
  const plain = systemDisk(directory);
  const disk: Disk = { ...plain, ...change(plain) };
  const share = new StoreShare();
  const reserve = reserveBytes === "default" ? undefined : reserveBytes;
  const options = { disk, share, reserveBytes: reserve, clock: systemClock, random };
  const store = new ChunkStore(options);
  await store.prepare();
  return {
    directory,
    disk,
    share,
    store,
    sibling: new ChunkStore({ ...options, share: new StoreShare(share.buffer) }),
    [Symbol.dispose]: () => rmSync(directory, { recursive: true, force: true }),
  };
}

/** A chunk of random bytes. */
export function makeChunk(sizeBytes: number): { facts: ChunkFacts; bytes: Uint8Array } {
  const bytes = random.bytes(sizeBytes);
  return { bytes, facts: factsOf(bytes) };
}

/** What is to be known of a chunk with these bytes. */
export function factsOf(bytes: Uint8Array, chunk = randomHex(random, 16)): ChunkFacts {
  const origin = { path: "/films/one.mkv", upload: randomHex(random, 16), seq: 0, offset: 0 };
  return { chunk, sizeBytes: bytes.length, sums: sumsOf(bytes), goal: 3, origin };
}

/** Lands bytes as a request's body would. */
export function landBytes(
  store: ChunkStore,
  disk: Disk,
  facts: ChunkFacts,
  bytes: Uint8Array,
): Promise<"new" | "present"> {
  return store.land(facts, (path) => disk.write(path, [bytes], { sync: false }));
}
