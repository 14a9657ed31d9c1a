/**
 * What every system under measurement can do: `bench/peers/NAME.ts` brings one to life in a
 * directory of its own, and takes it away again.
 */
import type { Processes } from "./processes.ts";
import type { Pair, Work } from "./work.ts";

export type SystemName = "tydfs" | "moosefs" | "minio" | "nats" | "seaweedfs";

/** A system with one choice of durability: a column of the table. */
export interface Setting {
  system: SystemName;
  /** The head of the column. */
  title: string;
  /** A put is answered when all copies of its bytes are fsynced. */
  synced: boolean;
  /** Copies, and what has happened to them when a put is answered. */
  durability: string;
}

/** A setting that can be had here: what it stands on, and how one is made. */
export interface Candidate {
  setting: Setting;
  /** Finds or installs what it needs, and returns its version; throws why it can't be had. */
  prepare(): Promise<string>;
  /** A system of which nothing runs yet, with its data below `directory`. */
  create(directory: string): PeerSystem;
}

export interface PeerSystem {
  readonly processes: Processes;
  /** Starts it from nothing; a put may be tried as soon as this returns. */
  start(): Promise<void>;
  /** Whole large files, all of them at once, by the client that does it best. */
  putLarge(files: Pair[]): Promise<void>;
  getLarge(files: Pair[]): Promise<void>;
  /** A local tree to a remote directory and back, by the client that does it best. */
  putTree(tree: Tree, pace: Pace): Promise<Work>;
  getTree(tree: Tree, pace: Pace): Promise<Work>;
  /** Each file by itself, `clients` of them at once, until `boundMs` are over. */
  putSingles(files: Pair[], pace: Pace): Promise<Work>;
  getSingles(files: Pair[], pace: Pace): Promise<Work>;
  statSingles(remotes: string[], pace: Pace): Promise<Work>;
  /** Makes empty files, as many as `pace` allows. */
  fillNames(remotes: string[], pace: Pace): Promise<Work>;
  /** The number of files directly in a remote directory, told by a listing of it. */
  list(remote: string): Promise<number>;
  /** Removes a tree of `files`; returns how many went. */
  removeTree(remote: string, files: string[], pace: Pace): Promise<Work>;
  /** Before gets: waits until all copies are made, where some are made behind the answer. */
  settle?(): Promise<void>;
  /** Before gets: forgets what the client's side has in its own caches. */
  forget?(): Promise<void>;
  /** One server dies with its disk, and an empty one takes its place. */
  replaceServer?(): Promise<void>;
  /** Whether all data has its full redundancy. */
  isWhole?(bytes: number): Promise<boolean>;
  /** Ends all that it started. Also after a start that failed. */
  stop(): Promise<void>;
}

/** A local directory, the remote one, and the files in it, by their relative names. */
export interface Tree {
  local: string;
  remote: string;
  names: string[];
}

/** How many at once, and how long at most. */
export interface Pace {
  clients: number;
  boundMs: number;
}
