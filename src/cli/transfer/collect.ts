/**
 * Keeps a transferring process small. The collector sees a few bytes of each piece that came over a
 * socket and lets hundreds of MB of them lie; a program whose heap is tiny can afford to ask.
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

/**
 * Passes progress on, and has garbage collected each so many bytes. Transfers that hold chunks in
 * memory, for want of a file, do so more often.
 */
export function collecting(
  listener: ProgressListener,
  everyBytes = COLLECT_BYTES,
): ProgressListener {
  let collectedBytes = 0;
  return (progress) => {
    if (progress.doneBytes - collectedBytes >= everyBytes) {
      collectedBytes = progress.doneBytes;
      Bun.gc(true);
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
