/**
 * Remote calls about the cluster as a whole. The reply is what `status --json` prints (DESIGN.md
 * §9).
 */
import * as v from "valibot";
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
  }),
  repairs: v.object({ running: Natural, queued: Natural, etaMs: v.optional(Natural) }),
});
export type ClusterStatus = v.InferOutput<typeof ClusterStatus>;

/** `cluster.status`: keepers, ports, files, chunks, repairs. */
export const clusterStatus = rpc("cluster.status", v.object({}), ClusterStatus);
