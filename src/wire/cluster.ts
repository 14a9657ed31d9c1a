/**
 * Remote calls about the cluster as a whole. The reply is what `status --json` prints (DESIGN.md
 * §9).
 */
import * as v from "valibot";
import { DiskFault, ScrubBeat } from "./heartbeat.ts";
import { Natural } from "./ids.ts";
import { rpc } from "./rpc.ts";

export const KeeperState = v.picklist(["JOINING", "ALIVE", "SUSPECT", "DEAD", "DRAINING"]);
export type KeeperState = v.InferOutput<typeof KeeperState>;

export const PortState = v.picklist(["OFFLINE", "FREE", "BUSY"]);
export type PortState = v.InferOutput<typeof PortState>;

export const PortStatus = v.object({
  port: Natural,
  state: PortState,
  slots: Natural,
  inUse: Natural,
  bytesIn: Natural,
  bytesOut: Natural,
});

export const KeeperStatus = v.object({
  id: v.string(),
  name: v.string(),
  state: KeeperState,
  host: v.string(),
  labels: v.record(v.string(), v.string()),
  totalBytes: Natural,
  freeBytes: Natural,
  chunks: Natural,
  /** Ms since the last heartbeat; undefined when this master has heard none. */
  lastBeatAgoMs: v.optional(Natural),
  readOnly: v.boolean(),
  /** Why it is read-only, where that is known. */
  fault: v.optional(DiskFault),
  /** Bad or unknown chunks that it keeps aside. */
  aside: Natural,
  scrub: ScrubBeat,
  /** It is being emptied. */
  drain: v.optional(v.object({ chunksLeft: Natural, safeToRemove: v.boolean() })),
  ports: v.array(PortStatus),
});
export type KeeperStatus = v.InferOutput<typeof KeeperStatus>;

export const ClusterStatus = v.object({
  cluster: v.string(),
  master: v.object({ version: v.string(), nats: v.string(), uptimeMs: Natural }),
  minCopies: Natural,
  replicas: Natural,
  keepers: v.array(KeeperStatus),
  files: Natural,
  bytes: Natural,
  chunks: v.object({
    total: Natural,
    atGoal: Natural,
    under: Natural,
    lost: Natural,
    /** Those with copies where placement rules don't want them. */
    misplaced: v.optional(Natural),
    /** Of those: no keeper that the rules allow can take them now. */
    blocked: v.optional(Natural),
    /** Those on keepers that the catalog knows nothing of, and when the first ones are deleted. */
    unknown: v.optional(v.object({ chunks: Natural, bytes: Natural, leftMs: Natural })),
  }),
  repairs: v.object({
    running: Natural,
    queued: Natural,
    etaMs: v.optional(Natural),
    /** Chunks with one live copy left. */
    endangered: Natural,
    /** Chunks whose repair waits, since their keepers may come back; and until when, in ms. */
    waiting: Natural,
    waitMs: v.optional(Natural),
    /** Bytes still to be copied, and the present rate. */
    queuedBytes: Natural,
    bytesPerSecond: Natural,
  }),
  /** Why nothing is deleted or moved, and whether nothing is repaired either; undefined else. */
  safeMode: v.optional(v.object({ reason: v.string(), holdsRepairs: v.boolean() })),
  balance: v.object({
    running: v.boolean(),
    /** Largest difference between a keeper's used share and the mean, in percent of a disk. */
    spreadPercent: v.number(),
    /** Chunks on their way. */
    moving: Natural,
  }),
  /** How far the catalog is safe on the keepers. */
  archive: v.object({
    /** Operations in the catalog, and of these those that keepers have. */
    sequence: Natural,
    archived: Natural,
    /** Keepers that get the journal now. */
    keepers: Natural,
    /** Wall time of the latest snapshot in ms, and the keepers that have it; 0 for none. */
    snapshotMs: Natural,
    snapshotCopies: Natural,
  }),
});
export type ClusterStatus = v.InferOutput<typeof ClusterStatus>;

/** `cluster.status`: keepers, ports, files, chunks, repairs. */
export const clusterStatus = rpc("cluster.status", v.object({}), ClusterStatus);
