/** The state of the cluster as people read it. */
import { formatDuration, formatSize } from "../base/bytes.ts";
import type { ClusterStatus } from "../client/client.ts";
import { alignColumns, formatCount } from "./format.ts";
import { printable } from "./output.ts";

const HEADINGS = ["KEEPER", "STATE", "FREE", "TOTAL", "CHUNKS", "PORTS IN USE"];

/**
 * What `status` prints: the master, a table of keepers, and the files and repairs in plain words.
 */
export function formatStatus(status: ClusterStatus): string[] {
  const { cluster, master, keepers } = status;
  const table = keepers.length === 0
    ? ["No keeper has joined yet"]
    : alignColumns([HEADINGS, ...keepers.map(keeperRow)], [2, 3, 4]);
  return [
    `Cluster ${cluster} · master ${master.version} · NATS ${master.nats} · ` +
    `up ${formatDuration(master.uptimeMs)}`,
    "",
    ...table,
    "",
    filesLine(status),
    ...warnings(status),
    repairsLine(status),
  ];
}

function keeperRow(keeper: ClusterStatus["keepers"][number]): string[] {
  const { name, state, freeBytes, totalBytes, chunks, readOnly, host, ports } = keeper;
  const inUse = ports.map(({ port, state, slots, inUse }) =>
    state === "OFFLINE" ? `${port} offline` : `${port} ${inUse}/${slots}`
  );
  return [
    printable(name),
    readOnly ? `${state} read-only` : state,
    formatSize(freeBytes),
    formatSize(totalBytes),
    String(chunks),
    `${host}: ${inUse.join(", ")}`,
  ];
}

function filesLine({ files, bytes, chunks, replicas, minCopies }: ClusterStatus): string {
  return `${formatCount(files, "file")}, ${formatSize(bytes)} in ${
    formatCount(chunks.total, "chunk")
  }: ${chunks.atGoal} with all copies (${replicas} unless a file has its own number; ` +
    `a put waits for ${minCopies})`;
}

function warnings({ chunks }: ClusterStatus): string[] {
  const lines: string[] = [];
  if (chunks.under > 0) lines.push(`${formatCount(chunks.under, "chunk")} short of copies`);
  const { misplaced = 0, blocked = 0 } = chunks;
  if (misplaced > 0) {
    const waiting = blocked === 0
      ? ""
      : `; ${blocked} wait for one more keeper with the labels and room`;
    const moves = formatCount(misplaced, "chunk is", "chunks are");
    lines.push(`${moves} to be moved by placement rules${waiting}`);
  }
  if (chunks.lost > 0) lines.push(`${formatCount(chunks.lost, "chunk")} with no copy in reach`);
  return lines;
}

function repairsLine({ repairs }: ClusterStatus): string {
  const { running, queued, etaMs } = repairs;
  if (running + queued === 0) return "No repairs are due";
  const eta = etaMs === undefined ? "" : `, done in about ${formatDuration(etaMs)}`;
  return `Repairs: ${running} running, ${queued} waiting${eta}`;
}
