/** The types of the library's public face: settings, options and results of `TydfsClient`. */
import type { Clock } from "../base/clock.ts";
import type { Log } from "../base/log.ts";
import type { Random } from "../base/random.ts";
import type { Bus } from "../wire/bus.ts";
import type { ChunkTransport } from "../wire/chunk_http.ts";
import type { ClusterStatus } from "../wire/cluster.ts";
import type { ClusterEvent, LoggedEvent } from "../wire/event.ts";
import type { ChunkLocation, Entry } from "../wire/file.ts";
import type { Rule, RuleFacts } from "../wire/rule.ts";
import type { Subjects } from "../wire/subjects.ts";
import type { Committed } from "../wire/upload.ts";
import type { Progress, ProgressListener } from "./context.ts";
import type { RemoteFacts } from "./remote_file.ts";
import type { WaitNotice } from "./trackers.ts";

export type {
  ChunkLocation,
  ClusterEvent,
  ClusterStatus,
  Committed,
  Entry,
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
}

export interface OperationOptions {
  signal?: AbortSignal;
}

export interface PutOptions extends OperationOptions {
  replicas?: number;
  minCopies?: number;
  /** Fail with `exists` when there is such a file already. */
  exclusive?: boolean;
  onProgress?: ProgressListener;
}

export interface PutResult extends Committed {
  elapsedMs: number;
}

export interface GetOptions extends OperationOptions {
  onProgress?: ProgressListener;
  /** Sync the local file to its disk before returning. */
  sync?: boolean;
  /** The local path is the file's own, also where a directory (or a link to one) is there. */
  exact?: boolean;
}

export interface ReadOptions extends OperationOptions {
  onProgress?: ProgressListener;
}

export interface GetResult extends RemoteFacts {
  /** The local file. */
  local: string;
  elapsedMs: number;
}

/** What `stat` tells; `chunks` is filled when locations are asked for. */
export interface StatResult {
  entry: Entry;
  checksum: string;
  replicas: number;
  chunks: ChunkLocation[];
}
