/**
 * The picture of `tydfs top`: a pure function from what is known to the lines of a screen. Nothing
 * in it is wider or longer than the screen.
 */
import { formatDuration, formatSize } from "../../base/bytes.ts";
import type { ClusterStatus, KeeperStatus } from "../../client/client.ts";
import { formatCount } from "../format/format.ts";
import { repairsLine, safeModeWords } from "../format/health.ts";
import { cut, keeperTable } from "./keeper_columns.ts";
import { printable } from "../output.ts";
import type { Paint } from "../color.ts";
import type { Rates } from "./rates.ts";
import { totalRate } from "./rates.ts";

/** By what keepers are sorted; the next one with each `s`. */
export const SORT_KEYS = ["name", "free", "in", "out", "chunks", "zone"] as const;
export type SortKey = typeof SORT_KEYS[number];

/** All that a picture shows. */
export interface TopState {
  status: ClusterStatus;
  rates: Rates;
  /** Time since the master's last answer, when it is overdue. */
  silentMs: number | undefined;
  paused: boolean;
  intervalMs: number;
  sort: SortKey;
  /** Keepers that are scrolled away at the top. */
  scroll: number;
}

export interface ViewOptions {
  columns: number;
  /** Undefined: as many as there are keepers, and no line of keys. */
  rows: number | undefined;
  paint: Paint;
}

/** Lines above the keepers: four of words, one of warning, the heading. */
const HEAD_LINES = 6;
const FOOT_LINES = 1;

/** The lines of a picture. */
export function renderTop(state: TopState, { columns, rows, paint }: ViewOptions): string[] {
  const { status } = state;
  const keepers = sortKeepers(status.keepers, state);
  const table = keeperTable(keepers, { columns, rates: state.rates, paint });
  const room = rows === undefined ? keepers.length : roomFor(rows);
  const first = clampScroll(state.scroll, keepers.length, room);
  const shown = table.rows.slice(first, first + room);
  const body = keepers.length === 0
    ? [cut("No keeper has joined yet", columns)]
    : [table.heading, ...shown];
  const lines = [
    paint("heading", cut(titleLine(status), columns)),
    paint(healthTone(status), cut(healthLine(status), columns)),
    cut([repairsLine(status), ...balanceWords(status)].join(" · "), columns),
    cut(trafficLine(state), columns),
    paint("bad", cut(warningLine(state), columns)),
    ...body,
  ];
  if (rows === undefined) return lines;
  const picture = lines.slice(0, Math.max(0, rows - FOOT_LINES));
  while (picture.length < rows - FOOT_LINES) picture.push("");
  const range = { first, last: first + shown.length, all: keepers.length };
  return [...picture, paint("faint", cut(keysLine(state, range), columns))];
}

/** How many keepers fit on a screen; at least one is tried. */
export function roomFor(rows: number): number {
  return Math.max(1, rows - HEAD_LINES - FOOT_LINES);
}

/** The nearest place to which can be scrolled. */
export function clampScroll(scroll: number, keepers: number, room: number): number {
  return Math.max(0, Math.min(scroll, keepers - room));
}

function sortKeepers(
  keepers: readonly KeeperStatus[],
  { sort, rates }: TopState,
): KeeperStatus[] {
  const rank = (keeper: KeeperStatus): number | string => {
    const rate = rates.get(keeper.id);
    if (sort === "free") return -keeper.freeBytes;
    if (sort === "in") return -(rate?.inBytes ?? 0);
    if (sort === "out") return -(rate?.outBytes ?? 0);
    if (sort === "chunks") return -keeper.chunks;
    return sort === "zone" ? keeper.labels["zone"] ?? "" : "";
  };
  return keepers.toSorted((a, b) =>
    compare(rank(a), rank(b)) || a.name.localeCompare(b.name, "en", { numeric: true })
  );
}

function compare(a: number | string, b: number | string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

function titleLine({ cluster, master }: ClusterStatus): string {
  return `tydfs ${printable(cluster)} · up ${formatDuration(master.uptimeMs)} · ` +
    `master ${printable(master.version)} · NATS ${printable(master.nats)}`;
}

function healthTone({ chunks, repairs }: ClusterStatus): "good" | "doubtful" | "bad" {
  if (chunks.lost + repairs.endangered > 0) return "bad";
  return chunks.under > 0 ? "doubtful" : "good";
}

function healthLine({ files, bytes, chunks, repairs }: ClusterStatus): string {
  const stored = `${formatCount(files, "file")}, ${formatSize(bytes)} in ` +
    formatCount(chunks.total, "chunk");
  if (chunks.under + chunks.lost === 0) return `${stored} · all copies there`;
  const parts = [`${chunks.atGoal} with all copies`];
  const last = repairs.endangered > 0 ? ` (${repairs.endangered} with one copy left)` : "";
  if (chunks.under > 0) parts.push(`${chunks.under} short${last}`);
  if (chunks.lost > 0) parts.push(`${chunks.lost} out of reach`);
  return `${stored} · ${parts.join(", ")}`;
}

function balanceWords({ balance }: ClusterStatus): string[] {
  return balance.running ? [`balancing, ${formatCount(balance.moving, "chunk")} on the way`] : [];
}

function trafficLine({ status: { keepers }, rates }: TopState): string {
  const alive = keepers.filter(({ state }) => state === "ALIVE");
  const ports = keepers.flatMap((keeper) => keeper.ports).filter(({ state }) =>
    state !== "OFFLINE"
  );
  const inUse = ports.reduce((sum, port) => sum + port.inUse, 0);
  const slots = ports.reduce((sum, port) => sum + port.slots, 0);
  const { inBytes, outBytes } = totalRate(rates);
  const rate = rates.size === 0
    ? ""
    : ` · in ${formatSize(Math.round(inBytes))}/s, out ${formatSize(Math.round(outBytes))}/s`;
  const free = alive.reduce((sum, keeper) => sum + keeper.freeBytes, 0);
  return `Keepers ${alive.length}/${keepers.length} alive · streams ${inUse}/${slots}` +
    `${rate} · ${formatSize(free)} free`;
}

function warningLine({ status, silentMs, paused }: TopState): string {
  if (silentMs !== undefined) {
    return `No answer from the master for ${formatDuration(silentMs)}: this is the last picture`;
  }
  const words = [
    ...(paused ? ["Paused: p goes on"] : []),
    ...(status.safeMode === undefined ? [] : [safeModeWords(status.safeMode)]),
  ];
  return words.join(" · ");
}

function keysLine(
  { intervalMs, sort, paused }: TopState,
  { first, last, all }: { first: number; last: number; all: number },
): string {
  const scroll = last - first < all ? ` · ↑↓ ${first + 1}–${last} of ${all}` : "";
  return `q quit · p ${paused ? "go on" : "pause"} · +/- each ${formatDuration(intervalMs)} · ` +
    `s sort: ${sort}${scroll}`;
}
