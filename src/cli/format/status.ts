/** The state of the cluster as people read it. */
import { formatDuration, formatSize } from "../../base/bytes.ts";
import type { ClusterStatus, KeeperStatus } from "../../client/client.ts";
import type { Paint, Tone } from "../color.ts";
import { plain } from "../color.ts";
import { alignColumns, formatCount } from "./format.ts";
import { printable } from "../output.ts";

const HEADINGS = ["KEEPER", "STATE", "FREE", "TOTAL", "CHUNKS", "ZONE", "PORTS IN USE"];
const ZONE_COLUMN = HEADINGS.indexOf("ZONE");
/** The width that all terminals have. */
const COLUMNS = 80;

/** What a keeper's state says; the others are said without colour. */
const TONES: Readonly<Record<string, Tone>> = { ALIVE: "good", SUSPECT: "doubtful", DEAD: "bad" };

/**
 * What `status` prints: the master, a table of keepers, and the files and repairs in plain words.
 */
export function formatStatus(status: ClusterStatus, paint: Paint = plain): string[] {
  const { cluster, master, keepers } = status;
  return [
    `Cluster ${cluster} · master ${master.version} · NATS ${master.nats} · ` +
    `up ${formatDuration(master.uptimeMs)}`,
    "",
    ...(keepers.length === 0 ? ["No keeper has joined yet"] : keeperLines(keepers, paint)),
    "",
    ...fileLines(status),
    ...warnings(status).map((line) => paint("doubtful", line)),
    repairsLine(status),
  ];
}

/** The state of a keeper in its colour. */
export function paintState(state: string, paint: Paint): string {
  const tone = TONES[state];
  return tone === undefined ? state : paint(tone, state);
}

/** The table; what makes it too wide is told below it. */
function keeperLines(keepers: readonly KeeperStatus[], paint: Paint): string[] {
  const rows = [HEADINGS, ...keepers.map((keeper) => keeperRow(keeper, paint))];
  const hasZones = keepers.some(({ labels }) => labels["zone"] !== undefined);
  const table = hasZones ? rows : rows.map((row) => row.toSpliced(ZONE_COLUMN, 1));
  const labels = keepers.flatMap(({ name, labels }) => {
    const others = Object.entries(labels).filter(([key]) => key !== "zone");
    const words = others.map(([key, value]) => `${key}=${value}`).join(", ");
    return others.length === 0 ? [] : [`Labels of ${printable(name)}: ${printable(words)}`];
  });
  return [...alignColumns(table, [2, 3, 4]).flatMap(wrapPorts), ...labels];
}

/** A keeper with many ports gets more than one line, with the ports below each other. */
function wrapPorts(line: string): string[] {
  const first = /: \d+ (?:offline|\d+\/\d+)/.exec(line);
  if (first === null || Bun.stringWidth(line) <= COLUMNS) return [line];
  const indent = " ".repeat(Bun.stringWidth(line.slice(0, first.index + 2)));
  const lines: string[] = [];
  let current = line.slice(0, first.index + 2);
  for (const port of line.slice(first.index + 2).split(", ")) {
    const gap = current.endsWith(" ") ? "" : ", ";
    // A comma may still follow.
    if (gap !== "" && Bun.stringWidth(current + gap + port) >= COLUMNS) {
      lines.push(`${current},`);
      current = indent + port;
    } else {
      current += gap + port;
    }
  }
  return [...lines, current];
}

function keeperRow(keeper: KeeperStatus, paint: Paint): string[] {
  const { name, state, freeBytes, totalBytes, chunks, readOnly, host, labels, ports } = keeper;
  const inUse = ports.map(({ port, state, slots, inUse }) =>
    state === "OFFLINE" ? `${port} offline` : `${port} ${inUse}/${slots}`
  );
  return [
    printable(name),
    paintState(state, paint) + (readOnly ? " read-only" : ""),
    formatSize(freeBytes),
    formatSize(totalBytes),
    String(chunks),
    printable(labels["zone"] ?? "-"),
    `${host}: ${inUse.join(", ")}`,
  ];
}

function fileLines({ files, bytes, chunks, replicas, minCopies }: ClusterStatus): string[] {
  return [
    `${formatCount(files, "file")}, ${formatSize(bytes)} in ` +
    `${formatCount(chunks.total, "chunk")}, ${chunks.atGoal} of them with all copies`,
    `Copies: ${replicas} of each chunk unless a file has its own number; ` +
    `a put waits for ${minCopies}`,
  ];
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

/** The repairs in plain words. */
export function repairsLine({ repairs }: ClusterStatus): string {
  const { running, queued, etaMs } = repairs;
  if (running + queued === 0) return "No repairs are due";
  const eta = etaMs === undefined ? "" : `, done in about ${formatDuration(etaMs)}`;
  return `Repairs: ${running} running, ${queued} waiting${eta}`;
}
