/**
 * Keeps a transferring process small. The collector sees a few bytes of each piece that came over a
 * socket and lets hundreds of MB of them lie; a program whose heap is tiny can afford to ask. It
 * asks only where the process has grown: what the kernel sends, and what receivers take in, leaves
 * nothing behind, and a collection for each 16 MiB of that took a third of the time of a tree.
 */
import { MIB } from "../../base/bytes.ts";
import type { Clock } from "../../base/clock.ts";
import type { ProgressListener } from "../../client/client.ts";

/** How often that is looked at: for transfers from and to standard input and output … */
export const STREAM_COLLECT_BYTES = 8 * MIB;
/** … for several transfers at once … */
export const TREE_COLLECT_BYTES = 16 * MIB;
/** … and for one. Measured on a get of 1 GiB without receivers: peak 105 MB in place of 160. */
const COLLECT_BYTES = 32 * MIB;

/** A process of this size has nothing that is worth a collection. */
const SMALL_BYTES = 80 * MIB;
/** Nor one that has grown by less than this since the last one … */
const GROWN_BYTES = 8 * MIB;
/** … unless it is of this size: the target is 120 MB. */
const LARGE_BYTES = 100 * MIB;

/** The memory of a process, as far as collecting garbage is concerned. */
export interface Memory {
  /** What of it is resident. */
  sizeBytes(): number;
  /** Collects all garbage now. */
  collect(): void;
}

const processMemory: Memory = {
  sizeBytes: () => process.memoryUsage.rss(),
  collect: () => Bun.gc(true),
};

/** Passes progress on, and looks after each so many bytes whether there is garbage to collect. */
export function collecting(
  listener: ProgressListener,
  everyBytes = COLLECT_BYTES,
  memory = processMemory,
): ProgressListener {
  const collect = collectingGrowth(memory);
  let lookedBytes = 0;
  return (progress) => {
    if (progress.doneBytes - lookedBytes >= everyBytes) {
      lookedBytes = progress.doneBytes;
      collect();
    }
    listener(progress);
  };
}

/** Has garbage collected when it is called and the process has grown. */
function collectingGrowth(memory: Memory): () => void {
  let worthBytes = SMALL_BYTES;
  return () => {
    if (memory.sizeBytes() < worthBytes) return;
    memory.collect();
    const grownBytes = Math.max(SMALL_BYTES, memory.sizeBytes() + GROWN_BYTES);
    worthBytes = Math.min(grownBytes, LARGE_BYTES);
  };
}

/** Jobs of a tree after which garbage is collected, however few bytes they have moved. */
const COLLECT_JOBS = 128;
/** Not more often than this, which would cost more than small files that go in packs do. */
const COLLECT_MS = 500;

/** The same, looking after each so many calls: for thousands of files without many bytes. */
export function collectingByCount(clock: Clock, memory = processMemory): () => void {
  const collect = collectingGrowth(memory);
  let jobs = 0;
  let collectedMs = clock.monotonicMs();
  return () => {
    if (++jobs < COLLECT_JOBS) return;
    jobs = 0;
    const nowMs = clock.monotonicMs();
    if (nowMs - collectedMs < COLLECT_MS) return;
    collectedMs = nowMs;
    collect();
  };
}
