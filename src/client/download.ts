/**
 * Downloads: ranges of one version of a file, several at once from different keepers, each byte
 * verified; either to its place in a local file, or in order as a stream.
 */
import { MIB } from "../base/bytes.ts";
import type { ClientContext, ProgressListener } from "./context.ts";
import { runCrew } from "./crew.ts";
import type { LocalTarget } from "./local_files.ts";
import type { PlannedRange } from "./plan.ts";
import { cutRanges, filePosition } from "./plan.ts";
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

export interface DownloadOptions {
  signal: AbortSignal;
  onProgress: ProgressListener;
}

/**
 * Fills `target` with the file's bytes; `target` is whole when this returns, and not put in its
 * place yet.
 */
export async function downloadInto(
  context: ClientContext,
  file: RemoteFile,
  target: LocalTarget,
  options: DownloadOptions,
): Promise<void> {
  const { sizeBytes } = file.facts;
  const reader = new RangeReader(context, file);
  const ranges = rangesOf(file, FILE_RANGE_BYTES, options.signal);
  let doneBytes = 0;
  const size = Math.min(context.parallel, Math.max(1, Math.ceil(sizeBytes / FILE_RANGE_BYTES)));
  await target.reserve(sizeBytes);
  await runCrew(size, options.signal, async (signal) => {
    const blocks = makeBlockPair();
    const take = async (bytes: Uint8Array, position: number) => {
      await target.write(bytes, position);
      doneBytes += bytes.length;
      options.onProgress({ doneBytes, totalBytes: sizeBytes });
    };
    for (let next = await ranges.next(); !next.done; next = await ranges.next()) {
      const { range, open } = next.value;
      const read = () => {
        signal.throwIfAborted();
        return reader.read(range, open, { signal, blocks, take });
      };
      await (size === 1 ? read() : context.streams.run(read));
    }
  });
}

/**
 * The file's bytes in order; what is yielded is the caller's to keep. Ends its streams when it is
 * left early.
 */
export async function* downloadInOrder(
  context: ClientContext,
  file: RemoteFile,
  options: DownloadOptions,
): AsyncGenerator<Uint8Array> {
  const { sizeBytes } = file.facts;
  const reader = new RangeReader(context, file);
  const left = new AbortController();
  const signal = AbortSignal.any([options.signal, left.signal]);
  const window: Promise<Uint8Array>[] = [];
  const pool: BlockPair[] = [];
  const windowMax = Math.min(context.parallel, STREAM_RANGES_MAX);
  let doneBytes = 0;
  try {
    for await (const range of rangesOf(file, STREAM_RANGE_BYTES, signal)) {
      const bytes = readWhole(reader, range, pool, signal);
      // It is awaited in its turn; until then its failure must not count as unhandled.
      bytes.catch(() => {});
      window.push(bytes);
      if (window.length >= windowMax) yield await nextBytes();
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
    options.onProgress({ doneBytes, totalBytes: sizeBytes });
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

async function* rangesOf(
  file: RemoteFile,
  rangeBytes: number,
  signal: AbortSignal,
): AsyncGenerator<OpenRange> {
  for await (const open of file.extents(signal)) {
    for (const range of cutRanges(open.extent, rangeBytes)) yield { range, open };
  }
}
