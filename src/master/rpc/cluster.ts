/** `cluster.status`: the tables and counters as people and scripts see them. */
import type { KeeperRecord } from "../../catalog/reader.ts";
import { UNKNOWN_SCRUB } from "../../tables/keeper_table.ts";
import { portRow } from "../../tables/port_table.ts";
import type { ClusterStatus, KeeperStatus } from "../../wire/cluster.ts";
import type { Desk } from "./desk.ts";

/** `cluster.status`. */
export function status(desk: Desk): ClusterStatus {
  const { reader, roster, settings, tables, clock, version, natsVersion: nats } = desk;
  const { files, bytes, chunks: total, chunksMisplaced } = reader.counts();
  const { running, queued, stranded, blocked, etaMs } = tables.repairs.read();
  const { under, lost } = health(desk);
  const misplaced = Math.max(0, chunksMisplaced - stranded);
  return {
    cluster: desk.cluster,
    master: { version, nats, uptimeMs: Math.round(clock.monotonicMs() - desk.startedMs) },
    minCopies: Math.min(settings.min_copies, settings.replicas),
    replicas: settings.replicas,
    keepers: roster.all().map((keeper) => keeperStatus(desk, keeper)),
    files,
    bytes,
    chunks: {
      total,
      atGoal: Math.max(0, total - under - lost),
      under,
      lost,
      misplaced,
      blocked: Math.min(blocked, misplaced),
    },
    repairs: {
      ...{ running, queued, endangered: 0, waiting: 0, queuedBytes: 0, bytesPerSecond: 0 },
      ...(etaMs === undefined ? {} : { etaMs }),
    },
    balance: { running: false, spreadPercent: 0, moving: 0 },
    archive: { sequence: 0, archived: 0, keepers: 0, snapshotMs: 0, snapshotCopies: 0 },
  };
}

/**
 * Chunks with too few live copies, and with none. The replicator counts them by and by; what the
 * catalog's counters say now, and keepers that died since, are added, so that a fresh loss never
 * looks whole.
 */
function health(desk: Desk): { under: number; lost: number } {
  const { reader, roster, tables } = desk;
  const { chunks, chunksShort, chunksLost } = reader.counts();
  const counted = tables.repairs.read();
  let justLost = 0;
  for (const { number } of roster.all()) {
    const row = tables.keepers.find(number);
    if (row?.state === "DEAD" && row.deadSinceMs >= counted.scannedMs) {
      // It may have got chunks since its last beat.
      justLost += Math.max(1, row.chunks);
    }
  }
  const lost = Math.max(counted.lost, chunksLost);
  const under = Math.max(counted.under, chunksShort - chunksLost) + justLost;
  return { under: Math.min(under, chunks - lost), lost };
}

function keeperStatus(desk: Desk, keeper: KeeperRecord): KeeperStatus {
  const { tables, clock, startedMs } = desk;
  const { id, name, host, labels, number } = keeper;
  const row = tables.keepers.find(number);
  const nowMs = clock.monotonicMs();
  const heard = row !== undefined && row.lastBeatMs > startedMs && row.epoch > 0;
  return {
    id,
    name,
    state: row?.state ?? "JOINING",
    host,
    labels,
    totalBytes: row?.totalBytes ?? 0,
    freeBytes: row?.freeBytes ?? 0,
    chunks: row?.chunks ?? 0,
    ...(heard ? { lastBeatAgoMs: Math.max(0, Math.round(nowMs - row.lastBeatMs)) } : {}),
    readOnly: row?.readOnly ?? false,
    ...(row?.fault === undefined ? {} : { fault: row.fault }),
    aside: row?.aside ?? 0,
    scrub: row?.scrub ?? UNKNOWN_SCRUB,
    ports: keeper.ports.map((port, index) => {
      const at = portRow(number, index);
      const { bytesIn, bytesOut } = tables.ports.counts(at);
      const state = tables.ports.state(at, nowMs);
      const slots = tables.ports.slots(at);
      return { port, state, slots, inUse: tables.ports.inUse(at, nowMs), bytesIn, bytesOut };
    }),
  };
}
