/** The state of a cluster in trouble, and one of a dozen keepers, as tests show them. */
import type { ClusterStatus, KeeperStatus } from "../../src/client/client.ts";
import { QUIET_PARTS, QUIET_REPAIRS, QUIET_SCRUB } from "../quiet_status.ts";

export const STATUS: ClusterStatus = {
  cluster: "main",
  master: { version: "0.1.0", nats: "2.15.1", uptimeMs: 185_000 },
  minCopies: 2,
  replicas: 3,
  keepers: [
    {
      id: "0".repeat(32),
      name: "barn-1",
      state: "ALIVE",
      host: "10.0.0.7",
      labels: {},
      totalBytes: 2 ** 40,
      freeBytes: 2 ** 39,
      chunks: 1200,
      lastBeatAgoMs: 300,
      readOnly: false,
      aside: 0,
      scrub: QUIET_SCRUB,
      ports: [
        { port: 7000, state: "FREE", slots: 8, inUse: 0, bytesIn: 0, bytesOut: 0 },
        { port: 7001, state: "BUSY", slots: 8, inUse: 8, bytesIn: 0, bytesOut: 0 },
      ],
    },
    {
      id: "1".repeat(32),
      name: "k2",
      state: "DEAD",
      host: "10.0.0.8",
      labels: {},
      totalBytes: 2 ** 30,
      freeBytes: 17,
      chunks: 3,
      readOnly: true,
      aside: 0,
      scrub: QUIET_SCRUB,
      ports: [{ port: 7000, state: "OFFLINE", slots: 8, inUse: 0, bytesIn: 0, bytesOut: 0 }],
    },
  ],
  files: 1,
  bytes: 3 * 2 ** 30,
  chunks: { total: 48, atGoal: 45, under: 2, lost: 1 },
  repairs: { ...QUIET_REPAIRS, running: 1, queued: 1, etaMs: 3000 },
  ...QUIET_PARTS,
};

/** A healthy cluster of `count` keepers in three zones, each busy in its own way. */
export function largeStatus(count: number): ClusterStatus {
  const keepers = Array.from({ length: count }, (_, index): KeeperStatus => ({
    id: String(index).padStart(32, "0"),
    name: `barn-${index + 1}`,
    state: "ALIVE",
    host: `10.0.0.${index + 1}`,
    labels: { zone: ["attic", "barn", "cellar"][index % 3] ?? "", disk: index % 2 ? "hdd" : "ssd" },
    totalBytes: 4 * 2 ** 40,
    freeBytes: (index + 1) * 2 ** 38,
    chunks: 10_000 + index,
    lastBeatAgoMs: 100 * index,
    readOnly: false,
    aside: 0,
    scrub: QUIET_SCRUB,
    ports: [7000, 7001].map((port) => {
      return { port, state: "FREE", slots: 8, inUse: index % 8, bytesIn: 0, bytesOut: 0 };
    }),
  }));
  return {
    ...STATUS,
    keepers,
    chunks: { total: 48, atGoal: 48, under: 0, lost: 0 },
    repairs: QUIET_REPAIRS,
    ...QUIET_PARTS,
  };
}
