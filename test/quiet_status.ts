/** The parts of a cluster's status in which nothing goes on: what a test does not look at. */
import type { ClusterStatus } from "../src/wire/cluster.ts";
import type { ScrubBeat } from "../src/wire/heartbeat.ts";

export const QUIET_SCRUB: ScrubBeat = {
  ...{ running: false, doneBytes: 0, totalBytes: 0, bad: 0, passedMs: 0, beganMs: 0, dueMs: 0 },
};

export const QUIET_REPAIRS: ClusterStatus["repairs"] = {
  ...{ running: 0, queued: 0, endangered: 0, waiting: 0, queuedBytes: 0, bytesPerSecond: 0 },
};

export const QUIET_PARTS: Pick<ClusterStatus, "balance" | "archive"> = {
  balance: { running: false, spreadPercent: 0, moving: 0 },
  archive: { sequence: 0, archived: 0, keepers: 0, snapshotMs: 0, snapshotCopies: 0 },
};
