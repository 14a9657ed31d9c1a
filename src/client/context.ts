/** What every operation of the client stands on: its effects and its limits, as one value. */
import type { Clock } from "../base/clock.ts";
import type { Limiter } from "../base/limit.ts";
import type { Log } from "../base/log.ts";
import type { Random } from "../base/random.ts";
import type { ChunkTransport } from "../wire/chunk_http.ts";
import type { Receivers } from "./receiver/receivers.ts";
import type { RecentFailures } from "./recent_failures.ts";
import type { BlockPool } from "./transfer.ts";
import type { Trackers, WaitNotice } from "./trackers.ts";

export interface ClientContext {
  trackers: Trackers;
  transport: ChunkTransport;
  /** Threads for large files; undefined over a transport that is not the real one. */
  receivers: Receivers | undefined;
  clock: Clock;
  random: Random;
  log: Log;
  /** Recorded as the owner of files that are put. */
  owner: string;
  /** Time to wait while all ports are busy. */
  waitMs: number;
  /** Chunks or ranges of one file in transfer at once. */
  parallel: number;
  /** Bounds those of all files together that have more than one. */
  streams: Limiter;
  /** Bounds the large chunks that are being summed: the first one is to be on its way soon. */
  sums: Limiter;
  /** Bounds the files of one chunk that are being sent: each takes a slot at its keepers. */
  wholes: Limiter;
  blocks: BlockPool;
  /** The keepers that could not be reached lately, whatever was wanted of them. */
  failures: RecentFailures;
  onWait: (notice: WaitNotice) => void;
}

/** How far a transfer is. */
export interface Progress {
  /** Those that need not be transferred included. */
  doneBytes: number;
  /** Of these, bytes of an earlier try that were there already: they say nothing about speed. */
  resumedBytes?: number;
  /** Undefined where the end is not known (standard input). */
  totalBytes: number | undefined;
}

/** Hears the progress of a transfer; it is called often, and must be quick. */
export type ProgressListener = (progress: Progress) => void;

/** The signal of an operation; one that never aborts where its caller gave none. */
export function signalOf(options: { signal?: AbortSignal }): AbortSignal {
  return options.signal ?? new AbortController().signal;
}
