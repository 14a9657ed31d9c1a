/**
 * The table of keepers as columns that come and go with the width of the screen: pure functions
 * from keepers to cells, and from cells to lines.
 */
import { formatDuration, formatSize } from "../../base/bytes.ts";
import type { KeeperStatus } from "../../client/client.ts";
import { printable } from "../output.ts";
import type { Paint, Tone } from "../color.ts";
import type { Rate, Rates } from "./rates.ts";

const GAP = "  ";
const BAR_CELLS = 5;
/** Ports that are to be seen before there is room for more. */
const PORTS_MIN = 2;
const NAME_MAX = 20;
const HOST_MAX = 24;
const ZONE_MAX = 12;
const LABELS_MAX = 32;

interface Column {
  heading: string;
  /** The lower, the longer it stays when the screen is narrow. */
  rank: number;
  right?: true;
  /** A width that it has in any case, so that columns do not move as figures change. */
  min?: number;
  /** It takes what the others leave; the cells are cut there. */
  flexible?: true;
  cell: (keeper: KeeperStatus, rate: Rate | undefined) => string;
  tone?: (keeper: KeeperStatus) => Tone | undefined;
}

/** In the order in which they are shown. */
const COLUMNS: readonly Column[] = [
  { heading: "KEEPER", rank: 0, cell: ({ name }) => cut(printable(name), NAME_MAX) },
  { heading: "STATE", rank: 1, min: 7, cell: stateWords, tone: stateTone },
  {
    heading: "ZONE",
    rank: 7,
    cell: ({ labels }) => cut(printable(labels["zone"] ?? ""), ZONE_MAX),
  },
  { heading: "HOST", rank: 11, cell: ({ host }) => cut(printable(host), HOST_MAX) },
  {
    heading: "FREE",
    rank: 4,
    min: 8,
    right: true,
    cell: (keeper) => space(keeper, keeper.freeBytes),
  },
  { heading: "TOTAL", rank: 10, right: true, cell: (keeper) => space(keeper, keeper.totalBytes) },
  { heading: "USED", rank: 6, cell: usedBar, tone: usedTone },
  { heading: "CHUNKS", rank: 9, right: true, cell: ({ chunks }) => String(chunks) },
  { heading: "IN/s", rank: 2, min: 8, right: true, cell: (_, rate) => rateWords(rate?.inBytes) },
  { heading: "OUT/s", rank: 3, min: 8, right: true, cell: (_, rate) => rateWords(rate?.outBytes) },
  { heading: "BEAT", rank: 8, min: 5, right: true, cell: beatWords },
  { heading: "PORTS", rank: 5, flexible: true, cell: portWords },
  { heading: "LABELS", rank: 12, cell: labelWords },
];

export interface TableOptions {
  columns: number;
  rates: Rates;
  paint: Paint;
}

/** The heading and a line for each keeper, none wider than the screen. */
export function keeperTable(
  keepers: readonly KeeperStatus[],
  { columns, rates, paint }: TableOptions,
): { heading: string; rows: string[] } {
  const cells = new Map(COLUMNS.map((column) => {
    return [column, keepers.map((keeper) => column.cell(keeper, rates.get(keeper.id)))];
  }));
  const widths = chooseColumns(cells, columns);
  const chosen = COLUMNS.filter((column) => widths.has(column));
  const line = (cellOf: (column: Column) => string, toneOf: (column: Column) => Tone | undefined) =>
    chosen.map((column) => {
      const text = fit(cellOf(column), widths.get(column) ?? 0, column.right === true);
      const tone = toneOf(column);
      return tone === undefined ? text : paint(tone, text);
    }).join(GAP).trimEnd();
  return {
    heading: line(({ heading }) => heading, () => "heading"),
    rows: keepers.map((keeper, index) =>
      line((column) => cells.get(column)?.[index] ?? "", (column) => column.tone?.(keeper))
    ),
  };
}

/** The columns that fit, the most wanted first, with their widths. Empty ones are left out. */
function chooseColumns(
  cells: ReadonlyMap<Column, readonly string[]>,
  columns: number,
): Map<Column, number> {
  const widths = new Map<Column, number>();
  let used = -GAP.length;
  for (const column of COLUMNS.toSorted((a, b) => a.rank - b.rank)) {
    const texts = cells.get(column) ?? [];
    if (texts.length > 0 && texts.every((text) => text === "")) continue;
    const needed = column.flexible ? texts.map(firstPorts) : texts;
    const width = Math.max(column.min ?? 0, widest([column.heading, ...needed]));
    if (used + GAP.length + width > columns) {
      // Without names a table says nothing: they stay, as much of them as fits.
      if (column.rank === 0) return new Map([[column, columns]]);
      continue;
    }
    widths.set(column, width);
    used += GAP.length + width;
  }
  for (const [column, width] of widths) {
    if (!column.flexible) continue;
    const wanted = widest([column.heading, ...(cells.get(column) ?? [])]);
    widths.set(column, Math.min(wanted, width + columns - used));
  }
  return widths;
}

/** A keeper that can be asked, but takes nothing, is not simply alive. */
function stateWords({ state, readOnly, fault, drain }: KeeperStatus): string {
  if (state === "DRAINING" && drain !== undefined) {
    return drain.safeToRemove ? "EMPTIED" : `DRAINING ${drain.chunksLeft}`;
  }
  if (!readOnly || state !== "ALIVE") return state;
  return fault === "full" ? "FULL" : fault === "broken" ? "BROKEN" : "READ-ONLY";
}

function stateTone({ state, readOnly }: KeeperStatus): Tone {
  if (state === "DEAD") return "bad";
  return state === "ALIVE" && !readOnly ? "good" : "doubtful";
}

/** A keeper that was never heard has told nothing of its disk. */
function space({ totalBytes }: KeeperStatus, bytes: number): string {
  return totalBytes === 0 ? "-" : formatSize(bytes);
}

function usedShare({ totalBytes, freeBytes }: KeeperStatus): number {
  return totalBytes === 0 ? 0 : Math.min(1, Math.max(0, 1 - freeBytes / totalBytes));
}

function usedBar(keeper: KeeperStatus): string {
  if (keeper.totalBytes === 0) return "-";
  const share = usedShare(keeper);
  const full = Math.round(share * BAR_CELLS);
  const percent = `${Math.floor(share * 100)} %`.padStart(5);
  return "█".repeat(full) + "░".repeat(BAR_CELLS - full) + percent;
}

function usedTone(keeper: KeeperStatus): Tone | undefined {
  const share = usedShare(keeper);
  if (share >= 0.95) return "bad";
  return share >= 0.85 ? "doubtful" : undefined;
}

/** Bytes per second, where the heading says that it is per second. */
function rateWords(bytes: number | undefined): string {
  return bytes === undefined ? "-" : formatSize(Math.round(bytes));
}

function beatWords({ lastBeatAgoMs }: KeeperStatus): string {
  if (lastBeatAgoMs === undefined) return "never";
  if (lastBeatAgoMs < 60_000) return `${Math.floor(lastBeatAgoMs / 1000)} s`;
  // The first of the two parts is enough: 3 min, 2 h, 4 d.
  return formatDuration(lastBeatAgoMs).split(" ").slice(0, 2).join(" ");
}

function portWords({ ports }: KeeperStatus): string {
  return ports.map(({ port, state, inUse, slots }) =>
    state === "OFFLINE" ? `${port} off` : `${port} ${inUse}/${slots}`
  ).join(", ");
}

function firstPorts(words: string): string {
  const ports = words.split(", ");
  return ports.slice(0, PORTS_MIN).join(", ") + (ports.length > PORTS_MIN ? ", …" : "");
}

function labelWords({ labels }: KeeperStatus): string {
  const others = Object.entries(labels).filter(([key]) => key !== "zone");
  return cut(printable(others.map(([key, value]) => `${key}=${value}`).join(",")), LABELS_MAX);
}

/** Cuts text to `width` cells, with `…` where something is missing. */
export function cut(text: string, width: number): string {
  if (Bun.stringWidth(text) <= width) return text;
  let kept = "";
  for (const character of text) {
    if (Bun.stringWidth(kept + character) > width - 1) break;
    kept += character;
  }
  return width <= 0 ? "" : `${kept}…`;
}

function fit(text: string, width: number, right: boolean): string {
  const short = cut(text, width);
  const gap = " ".repeat(Math.max(0, width - Bun.stringWidth(short)));
  return right ? gap + short : short + gap;
}

function widest(texts: readonly string[]): number {
  return Math.max(...texts.map((text) => Bun.stringWidth(text)));
}
