/** `cluster.status`: the tables and counters as people and scripts see them. */
import type { KeeperRecord } from "../../catalog/reader.ts";
import { UNKNOWN_SCRUB } from "../../tables/keeper_table.ts";
import { portRow } from "../../tables/port_table.ts";
import type { ClusterStatus, KeeperStatus } from "../../wire/cluster.ts";
import { sortByName } from "../../wire/keeper_word.ts";
import { allowsRepairs, describeSafeMode, unpackSafeMode } from "../safe_mode.ts";
import type { Desk } from "./desk.ts";
import { drainProgress, percent } from "./operator.ts";

/** `cluster.status`. */
export function status(desk: Desk): ClusterStatus {
  const { reader, roster, settings, tables, clock, version, natsVersion: nats } = desk;
  const { files, bytes, chunks: total, chunksMisplaced } = reader.counts();
  const { running, queued, stranded, blocked, etaMs, ...repairs } = tables.repairs.read();
  const { endangered, waiting, waitUntilMs, queuedBytes, bytesPerSecond } = repairs;
  const waitMs = Math.max(0, Math.round((waitUntilMs ?? 0) - clock.monotonicMs()));
  const mode = unpackSafeMode(repairs.safety);
  const reason = describeSafeMode(mode);
  const { under, lost } = health(desk);
  const misplaced = Math.max(0, chunksMisplaced - stranded);
  return {
    cluster: desk.cluster,
    master: { version, nats, uptimeMs: Math.round(clock.monotonicMs() - desk.startedMs) },
    minCopies: Math.min(settings.min_copies, settings.replicas),
    replicas: settings.replicas,
    keepers: sortByName(roster.all()).map((keeper) => keeperStatus(desk, keeper)),
    files,
    bytes,
    chunks: {
      total,
      atGoal: Math.max(0, total - under - lost),
      under,
      lost,
      misplaced,
      blocked: Math.min(blocked, misplaced),
      ...unknownPart(desk),
    },
    repairs: {
      ...{ running, queued, endangered, waiting, queuedBytes, bytesPerSecond },
      ...(etaMs === undefined ? {} : { etaMs }),
      ...(waitUntilMs === undefined ? {} : { waitMs }),
    },
    ...(reason === undefined ? {} : { safeMode: { reason, holdsRepairs: !allowsRepairs(mode) } }),
    balance: {
      running: repairs.balancing,
      spreadPercent: percent(repairs.spread),
      moving: repairs.moving,
    },
    archive: archiveStatus(desk),
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

/** Chunks that nobody but keepers knows: with an older catalog they may be somebody's files. */
function unknownPart(
  { reader, settings, clock }: Desk,
): Pick<ClusterStatus["chunks"], "unknown"> {
  const { chunks, bytes, sinceMs } = reader.straySum();
  if (chunks === 0) return {};
  const leftMs = Math.max(0, Math.round(sinceMs + settings.unknown_grace - clock.wallMs()));
  return { unknown: { chunks, bytes, leftMs } };
}

function drainPart(desk: Desk, keeper: KeeperRecord): KeeperStatus["drain"] {
  const { chunksLeft, safeToRemove } = drainProgress(desk, keeper);
  return { chunksLeft, safeToRemove };
}

/** How far the catalog is safe on the keepers. */
function archiveStatus({ reader, tables }: Desk): ClusterStatus["archive"] {
  const { madeMs: snapshotMs, copies: snapshotCopies } = tables.archive.readSnapshot();
  const { keepers } = tables.archive.readJournal();
  const archived = tables.archive.archived();
  const sequence = Math.max(archived, reader.sequence());
  return { sequence, archived, keepers, snapshotMs, snapshotCopies };
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
    state: keeper.draining && row?.state === "ALIVE" ? "DRAINING" : row?.state ?? "JOINING",
    host,
    labels,
    totalBytes: row?.totalBytes ?? 0,
    freeBytes: row?.freeBytes ?? 0,
    chunks: row?.chunks ?? 0,
    ...(heard ? { lastBeatAgoMs: Math.max(0, Math.round(nowMs - row.lastBeatMs)) } : {}),
    readOnly: row?.readOnly ?? false,
    ...(row?.fault === undefined ? {} : { fault: row.fault }),
    aside: row?.aside ?? 0,
    ...(keeper.draining ? { drain: drainPart(desk, keeper) } : {}),
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
