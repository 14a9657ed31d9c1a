/** The state of the cluster as people read it: a table of keepers, and plain words. */
import { formatDuration, formatSize } from "../../base/bytes.ts";
import type { ClusterStatus, KeeperStatus } from "../../client/client.ts";
import type { Paint, Tone } from "../color.ts";
import { plain } from "../color.ts";
import { alignColumns, formatCount } from "./format.ts";
import { healthLines } from "./health.ts";
import { printable } from "../output.ts";

const HEADINGS = ["KEEPER", "STATE", "FREE", "TOTAL", "CHUNKS", "ZONE", "PORTS IN USE"];
const ZONE_COLUMN = HEADINGS.indexOf("ZONE");
/** The width that all terminals have. */
const COLUMNS = 80;

/** What a keeper's state says; the others are said without colour. */
const TONES: Readonly<Record<string, Tone>> = { ALIVE: "good", SUSPECT: "doubtful", DEAD: "bad" };

export interface StatusFormat {
  /** Wall time, for what is told as so long ago. */
  nowMs: number;
  paint?: Paint;
}

/**
 * What `status` prints: the master, a table of keepers, and in plain words how the files fare.
 */
export function formatStatus(
  status: ClusterStatus,
  { nowMs, paint = plain }: StatusFormat,
): string[] {
  const { cluster, master, keepers } = status;
  const health = healthLines(status, nowMs);
  return [
    `Cluster ${cluster} · master ${master.version} · NATS ${master.nats} · ` +
    `up ${formatDuration(master.uptimeMs)}`,
    "",
    ...(keepers.length === 0 ? ["No keeper has joined yet"] : keeperLines(keepers, paint)),
    "",
    ...fileLines(status),
    ...health.map(({ tone, text }) => tone === undefined ? text : paint(tone, text)),
  ];
}

/** Why a keeper takes nothing, beside its state. */
const FAULTS = { full: "full", "read-only": "read-only", broken: "broken" } as const;

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
  const { name, state, freeBytes, totalBytes, chunks, readOnly, fault, host, labels, ports } =
    keeper;
  const inUse = ports.map(({ port, state, slots, inUse }) =>
    state === "OFFLINE" ? `${port} offline` : `${port} ${inUse}/${slots}`
  );
  return [
    printable(name),
    paintState(state, paint) + (readOnly ? ` ${FAULTS[fault ?? "read-only"]}` : ""),
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
