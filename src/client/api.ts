/** The types of the library's public face: settings, options and results of `TydfsClient`. */
import type { Clock } from "../base/clock.ts";
import type { Log } from "../base/log.ts";
import type { Random } from "../base/random.ts";
import type { Bus } from "../wire/bus.ts";
import type { ChunkTransport } from "../wire/chunk_http.ts";
import type { ClusterStatus, KeeperStatus } from "../wire/cluster.ts";
import type { ClusterEvent, LoggedEvent } from "../wire/event.ts";
import type { ChunkLocation, Entry } from "../wire/file.ts";
import type { Rule, RuleFacts } from "../wire/rule.ts";
import type { Subjects } from "../wire/subjects.ts";
import type { Committed } from "../wire/upload.ts";
import type { Progress, ProgressListener } from "./context.ts";
import type { Receivers } from "./receiver/receivers.ts";
import type { RemoteFacts } from "./remote_file.ts";
import type { WaitNotice } from "./trackers.ts";

export type {
  ChunkLocation,
  ClusterEvent,
  ClusterStatus,
  Committed,
  Entry,
  KeeperStatus,
  LoggedEvent,
  Progress,
  ProgressListener,
  RemoteFacts,
  Rule,
  RuleFacts,
  WaitNotice,
};

/** How a client behaves; everything has a default. */
export interface ClientSettings {
  /** Recorded as the owner of what is put. */
  owner?: string;
  /** Time to wait while all ports are busy. */
  waitMs?: number;
  /** Chunks or ranges in transfer at once. */
  parallel?: number;
  log?: Log;
  /** Told once for each reason for which the client waits. */
  onWait?: (notice: WaitNotice) => void;
}

/** What a client stands on; tests and simulations give their own. */
export interface ClientEffects {
  bus: Bus;
  subjects: Subjects;
  transport: ChunkTransport;
  clock: Clock;
  random: Random;
  /** Threads that receive large files, for the real transport only. */
  receivers?: Receivers | undefined;
}

export interface OperationOptions {
  signal?: AbortSignal;
}

/** How a path is moved or copied. */
export interface MoveOptions extends OperationOptions {
  /** Replace a file that is there (the default); otherwise fail with `exists`. */
  replace?: boolean;
  /** The target is the new path itself, also where a directory is: then that is an error. */
  exact?: boolean;
}

export interface PutOptions extends OperationOptions {
  replicas?: number;
  minCopies?: number;
  /** Fail with `exists` when there is such a file already. */
  exclusive?: boolean;
  onProgress?: ProgressListener;
}

export interface PutResult extends Committed {
  /** Bytes that an earlier, interrupted put had stored: they were not sent again. */
  resumedBytes: number;
  elapsedMs: number;
}

export interface GetOptions extends OperationOptions {
  onProgress?: ProgressListener;
  /** Sync the local file to its disk before returning. */
  sync?: boolean;
  /** The local path is the file's own, also where a directory (or a link to one) is there. */
  exact?: boolean;
  /** The size that it was listed with: a large file need not wait to be asked for with others. */
  sizeBytes?: number;
}

/** A file of the cluster, and the local path that it is to have. */
export interface ManyFile {
  remote: string;
  local: string;
}

export interface GetManyOptions extends OperationOptions {
  /** Sync the local files to their disk before returning. */
  sync?: boolean;
  /** Hears of each file that is in its place, by its index. */
  onProgress?: (index: number, progress: Progress) => void;
}

export interface ReadOptions extends OperationOptions {
  onProgress?: ProgressListener;
  /** The first byte wanted, 0 unless given; counted from the end when negative. */
  offset?: number;
  /** Bytes wanted, all unless given; a file that has fewer yields what it has. */
  length?: number;
}

/** A version of a file that is open for reading. */
export interface OpenFile {
  facts: RemoteFacts;
  /** Its bytes in order, or a part of them. */
  read(options?: ReadOptions): AsyncGenerator<Uint8Array>;
}

export interface GetResult extends RemoteFacts {
  /** The local file. */
  local: string;
  /** Bytes that an earlier, interrupted get had left: they were checked, and not fetched again. */
  resumedBytes: number;
  elapsedMs: number;
}

/** What `stat` tells; `chunks` is filled when locations are asked for. */
export interface StatResult {
  entry: Entry;
  checksum: string;
  replicas: number;
  chunks: ChunkLocation[];
}

/** What a video file says of itself. What it does not say is undefined. */
export interface MediaFacts {
  /** `mp4`, `mov`, `webm` or `mkv`. */
  container: string;
  durationMs?: number;
  video: VideoFacts[];
  audio: AudioFacts[];
}

export interface VideoFacts {
  codec: string;
  /** In square pixels, before any rotation. */
  width: number;
  height: number;
  /** Frames per second, on average. */
  frameRate?: number;
  frames?: number;
  /** `frames` follows from rate and duration: the file does not list its frames. */
  framesEstimated?: true;
  /** Degrees clockwise by which players turn it. */
  rotation?: number;
}

export interface AudioFacts {
  codec: string;
  channels: number;
  /** In hertz. */
  sampleRate: number;
}
