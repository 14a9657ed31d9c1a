/**
 * Keeps a transferring process small. The collector sees a few bytes of each piece that came over a
 * socket and lets hundreds of MB of them lie; a program whose heap is tiny can afford to ask. It
 * asks only where the process has grown: what the kernel sends, and what receivers take in, leaves
 * nothing behind, and a collection for each 16 MiB of that took a third of the time of a tree.
 */
import { MIB } from "../../base/bytes.ts";
import type { Clock } from "../../base/clock.ts";
import type { ProgressListener } from "../../client/client.ts";

/** For transfers from and to standard input and output. */
export const STREAM_COLLECT_BYTES = 8 * MIB;
/** For several transfers at once. */
export const TREE_COLLECT_BYTES = 16 * MIB;
/** Measured on get of 1 GiB: peak 105 MB in place of 160, for 0.1 s of CPU. */
const COLLECT_BYTES = 32 * MIB;

/** A process of this size has nothing that is worth a collection. */
const SMALL_BYTES = 80 * MIB;
/** Nor one that has grown by less than this since the last one … */
const GROWN_BYTES = 8 * MIB;
/** … unless it is of this size: the target is 120 MB. */
const LARGE_BYTES = 100 * MIB;

/**
 * Passes progress on, and has garbage collected each so many bytes, if the process has grown.
 * Transfers that hold chunks in memory, for want of a file, do so more often.
 */
export function collecting(
  listener: ProgressListener,
  everyBytes = COLLECT_BYTES,
): ProgressListener {
  let lookedBytes = 0;
  let worthBytes = SMALL_BYTES;
  return (progress) => {
    if (progress.doneBytes - lookedBytes >= everyBytes) {
      lookedBytes = progress.doneBytes;
      if (process.memoryUsage.rss() >= worthBytes) {
        Bun.gc(true);
        const leftBytes = process.memoryUsage.rss();
        worthBytes = Math.min(Math.max(SMALL_BYTES, leftBytes + GROWN_BYTES), LARGE_BYTES);
      }
    }
    listener(progress);
  };
}

/** Jobs of a tree after which garbage is collected, however few bytes they have moved. */
const COLLECT_JOBS = 128;
/** Not more often than this, which would cost more than small files that go in packs do. */
const COLLECT_MS = 500;

/** Has garbage collected each so many calls: for thousands of files without many bytes. */
export function collectingByCount(clock: Clock): () => void {
  let jobs = 0;
  let collectedMs = clock.monotonicMs();
  return () => {
    if (++jobs < COLLECT_JOBS) return;
    jobs = 0;
    const nowMs = clock.monotonicMs();
    if (nowMs - collectedMs < COLLECT_MS) return;
    collectedMs = nowMs;
    Bun.gc(true);
  };
}
