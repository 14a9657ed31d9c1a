/**
 * Downloads: ranges of one version of a file, several at once from different keepers, each byte
 * verified; either to its place in a local file that may hold some already, or in order as a
 * stream.
 */
import { MIB } from "../base/bytes.ts";
import { BLOCK_BYTES, blockLength, getSum, hashBlock } from "../wire/sums.ts";
import type { ClientContext, ProgressListener } from "./context.ts";
import { runCrew } from "./crew.ts";
import type { LocalTarget } from "./local_target.ts";
import type { PlannedRange, Span } from "./plan.ts";
import { ALL, cutRanges, filePosition, packedRange, planMissing } from "./plan.ts";
import { RangeReader } from "./range_reader.ts";
import type { OpenExtent, RemoteFile } from "./remote_file.ts";
import type { BlockPair } from "./transfer.ts";
import { makeBlockPair } from "./transfer.ts";

const FILE_RANGE_BYTES = 8 * MIB;
/** Ranges of a stream are held in memory until their turn: at most `STREAM_RANGES_MAX` of them. */
const STREAM_RANGE_BYTES = 2 * MIB;
const STREAM_RANGES_MAX = 8;

interface OpenRange {
  range: PlannedRange;
  open: OpenExtent;
}

/** What a download fills: a `LocalTarget`, or memory. */
export type DownloadTarget =
  & Pick<LocalTarget, "foundBytes" | "fit" | "readBack" | "write">
  & Partial<Pick<LocalTarget, "fd" | "path" | "noteWritten">>;

export interface DownloadOptions {
  signal: AbortSignal;
  onProgress: ProgressListener;
}

/**
 * How far a download came: all of `doneBytes` are right, `resumedBytes` of them were there before.
 */
export interface Downloaded {
  doneBytes: number;
  resumedBytes: number;
}

/**
 * Fills `target` with the file's bytes, but for blocks that an earlier try left there and that are
 * right; `target` is whole when this returns, and not put in its place yet. `done` is kept up to
 * date, also for a caller whose download fails.
 */
export async function downloadInto(
  context: ClientContext,
  file: RemoteFile,
  target: DownloadTarget,
  options: DownloadOptions & { done: Downloaded },
): Promise<void> {
  const { sizeBytes } = file.facts;
  const { done } = options;
  const reader = new RangeReader(context, file);
  const span = { start: 0, end: sizeBytes };
  const ranges = rangesOf(file, { rangeBytes: FILE_RANGE_BYTES, span, signal: options.signal });
  const size = Math.min(context.parallel, Math.max(1, Math.ceil(sizeBytes / FILE_RANGE_BYTES)));
  const tell = () => options.onProgress({ ...done, totalBytes: sizeBytes });
  await target.fit(sizeBytes);
  tell();
  const take = async (bytes: Uint8Array, position: number) => {
    await target.write(bytes, position);
    done.doneBytes += bytes.length;
    tell();
  };
  const { fd, path } = target;
  const pays = context.receivers?.pay(sizeBytes) ?? false;
  const onWritten = (bytes: number) => {
    target.noteWritten?.();
    done.doneBytes += bytes;
    tell();
  };
  const into = pays && fd !== undefined && path !== undefined ? { fd, path, onWritten } : undefined;
  await runCrew(size, options.signal, async (signal) => {
    for (let next = await ranges.next(); !next.done; next = await ranges.next()) {
      const { range, open } = next.value;
      const read = async () => {
        signal.throwIfAborted();
        const good = await goodBlocks(context, target, range);
        for (const goodBytes of good.values()) {
          done.doneBytes += goodBytes;
          done.resumedBytes += goodBytes;
        }
        if (good.size > 0) tell();
        const ranges = isBlocks(range) ? planMissing(range, (start) => good.has(start)) : [range];
        for (const missing of ranges) {
          signal.throwIfAborted();
          await reader.read(missing, open, { signal, take, into });
        }
      };
      await (size === 1 ? read() : context.streams.run(read));
    }
  });
}

/**
 * The blocks of a range that `target` holds already, with right sums: where each starts in the
 * chunk, and how many bytes it has. A block of which the file has only a part can't be checked.
 */
async function goodBlocks(
  { blocks }: ClientContext,
  target: DownloadTarget,
  range: PlannedRange,
): Promise<Map<number, number>> {
  const good = new Map<number, number>();
  if (!isBlocks(range) || target.foundBytes === 0) return good;
  const pair = blocks.take();
  const [buffer] = pair;
  const { extent, fetchStart, fetchEnd, wantStart, wantEnd } = range;
  for (let start = fetchStart; start < fetchEnd; start += BLOCK_BYTES) {
    const position = filePosition(extent, start);
    if (position >= target.foundBytes) break;
    const block = start / BLOCK_BYTES;
    const bytes = buffer.subarray(0, blockLength(extent.chunkBytes, block));
    const isWhole = start >= wantStart && start + bytes.length <= wantEnd;
    if (!isWhole || !await target.readBack(bytes, position)) continue;
    if (hashBlock(bytes) === getSum(extent.sums, block)) good.set(start, bytes.length);
  }
  blocks.giveBack(pair);
  return good;
}

/** Whether whole blocks are fetched. */
function isBlocks({ checksum }: PlannedRange): boolean {
  return checksum === undefined;
}

/**
 * The bytes of a span of the file in order; what is yielded is the caller's to keep. Little is
 * fetched ahead at first, and more as the caller goes on; its streams end when it is left early.
 */
export async function* downloadInOrder(
  context: ClientContext,
  file: RemoteFile,
  options: DownloadOptions & { span: Span },
): AsyncGenerator<Uint8Array> {
  const { span } = options;
  const reader = new RangeReader(context, file);
  const left = new AbortController();
  const signal = AbortSignal.any([options.signal, left.signal]);
  const window: Promise<Uint8Array>[] = [];
  const pool: BlockPair[] = [];
  const windowMax = Math.min(context.parallel, STREAM_RANGES_MAX);
  // Who wants only the first lines has them for one range.
  let windowNow = 1;
  let doneBytes = 0;
  try {
    for await (const range of rangesOf(file, { rangeBytes: STREAM_RANGE_BYTES, span, signal })) {
      const bytes = readWhole(reader, range, pool, signal);
      // It is awaited in its turn; until then its failure must not count as unhandled.
      bytes.catch(() => {});
      window.push(bytes);
      if (window.length < windowNow) continue;
      yield await nextBytes();
      windowNow = Math.min(windowNow + 1, windowMax);
    }
    while (window.length > 0) yield await nextBytes();
  } finally {
    left.abort();
    await Promise.allSettled(window);
  }

  async function nextBytes(): Promise<Uint8Array> {
    const bytes = await window[0] ?? new Uint8Array();
    window.shift();
    doneBytes += bytes.length;
    options.onProgress({ doneBytes, totalBytes: span.end - span.start });
    return bytes;
  }
}

async function readWhole(
  reader: RangeReader,
  { range, open }: OpenRange,
  pool: BlockPair[],
  signal: AbortSignal,
): Promise<Uint8Array> {
  const bytes = new Uint8Array(range.wantEnd - range.wantStart);
  const start = filePosition(range.extent, range.wantStart);
  const blocks = pool.pop() ?? makeBlockPair();
  await reader.read(range, open, {
    signal,
    blocks,
    take: (part, position) => {
      bytes.set(part, position - start);
      return Promise.resolve();
    },
  });
  // Not after a failure: then a late stream might still write to them.
  pool.push(blocks);
  return bytes;
}

interface RangesOptions {
  rangeBytes: number;
  span: Span;
  signal: AbortSignal;
}

async function* rangesOf(
  file: RemoteFile,
  { rangeBytes, span, signal }: RangesOptions,
): AsyncGenerator<OpenRange> {
  const isWhole = span.start === 0 && span.end >= file.facts.sizeBytes;
  if (!isWhole && span.start >= span.end) return;
  for await (const open of file.extents(signal)) {
    const wanted = isWhole ? ALL : span;
    const packed = packedRange(open.extent, file.facts, wanted);
    const ranges = packed === undefined ? cutRanges(open.extent, rangeBytes, wanted) : [packed];
    for (const range of ranges) yield { range, open };
    // Of a whole file the end is awaited: its extents are checked together there. Of a part no page
    // more is asked for than it needs.
    if (!isWhole && open.extent.offset + open.extent.length >= span.end) return;
  }
}
