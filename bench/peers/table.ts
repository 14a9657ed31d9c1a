/**
 * The table: a row of it is a piece of work, a column a system with one choice of durability, a
 * cell the median of what was measured. Ratios say how many times better tydfs is: above 1 it
 * leads, whichever way the row's figures go.
 */
import { median } from "../figure.ts";
import type { Row } from "./rows.ts";

/** A column. */
export interface Column {
  title: string;
  kind: "tydfs" | "peer" | "limit";
  /** A put is answered when all copies are fsynced. */
  synced: boolean;
}

/** One value that was measured, and what is to be said of it. */
export interface Measurement {
  row: string;
  column: string;
  value: number;
  note?: string;
}

export interface TableRow {
  row: Row;
  /** By the columns' order; undefined where nothing was measured. */
  values: (number | undefined)[];
  /** Those that are not what the row says, or not wholly. The parts of a sum are no such remark. */
  noted: boolean[];
  /** tydfs against the best peer that fsyncs, the best of all peers, and the limit that fsyncs. */
  toSynced: Ratio | undefined;
  toAny: Ratio | undefined;
  toLimit: Ratio | undefined;
}

export interface Ratio {
  /** Above 1: tydfs is better. */
  value: number;
  /** The title of the column that it is compared with. */
  against: string;
}

/** The rows for which something was measured. */
export function makeTable(
  rows: readonly Row[],
  columns: readonly Column[],
  measurements: readonly Measurement[],
): TableRow[] {
  return rows.flatMap((row) => {
    const values = columns.map(({ title }) => {
      const own = measurements.filter((each) => each.row === row.id && each.column === title);
      return own.length === 0 ? undefined : median(own.map(({ value }) => value));
    });
    if (values.every((value) => value === undefined)) return [];
    const noted = columns.map(({ title }) =>
      measurements.some((each) =>
        each.row === row.id && each.column === title && each.note !== undefined &&
        row.group !== "memory"
      )
    );
    const ratio = (test: (column: Column) => boolean) => ratioOf(row, columns, values, test);
    return [{
      row,
      values,
      noted,
      toSynced: ratio(({ kind, synced }) => kind === "peer" && synced),
      toAny: ratio(({ kind }) => kind === "peer"),
      toLimit: ratio(({ kind, synced }) => kind === "limit" && synced),
    }];
  });
}

function ratioOf(
  row: Row,
  columns: readonly Column[],
  values: readonly (number | undefined)[],
  test: (column: Column) => boolean,
): Ratio | undefined {
  const own = values[columns.findIndex(({ kind }) => kind === "tydfs")];
  if (own === undefined) return undefined;
  const better = (one: number, other: number) => row.better === "more" ? one > other : one < other;
  let best: { value: number; against: string } | undefined;
  for (const [at, column] of columns.entries()) {
    const value = values[at];
    if (value === undefined || !test(column)) continue;
    if (best === undefined || better(value, best.value)) best = { value, against: column.title };
  }
  if (best === undefined) return undefined;
  const value = row.better === "more" ? own / best.value : best.value / own;
  return { value, against: best.against };
}

const RATIOS = ["÷ best fsynced", "÷ best peer", "÷ limit"];

/** The cells as texts, heads first. */
export function cellsOf(columns: readonly Column[], table: readonly TableRow[]): string[][] {
  const heads = ["", "unit", ...columns.map(({ title }) => title), ...RATIOS];
  const lines = table.map(({ row, values, noted, toSynced, toAny, toLimit }) => [
    row.title,
    row.unit,
    ...values.map((value, at) => `${formatValue(value)}${noted[at] === true ? "†" : ""}`),
    ...[toSynced, toAny].map((ratio) =>
      ratio === undefined ? "" : `${formatRatio(ratio)} (${ratio.against})`
    ),
    toLimit === undefined ? "" : formatRatio(toLimit),
  ]);
  return [heads, ...lines];
}

/** Aligned columns for a terminal. */
export function formatTable(cells: readonly string[][]): string {
  const widths = (cells[0] ?? []).map((_, at) =>
    Math.max(...cells.map((line) => (line[at] ?? "").length))
  );
  return cells.map((line) =>
    line.map((cell, at) => at < 2 ? cell.padEnd(widths[at] ?? 0) : cell.padStart(widths[at] ?? 0))
      .join("  ").trimEnd()
  ).join("\n");
}

/** The same as a table of Markdown; a ratio below 1 stands out. */
export function formatMarkdown(cells: readonly string[][]): string {
  const [heads = [], ...lines] = cells;
  const rule = heads.map((_, at) => at < 2 ? "---" : "---:");
  const ratioAt = heads.length - RATIOS.length;
  const marked = lines.map((line) =>
    line.map((cell, at) =>
      at >= ratioAt && cell !== "" && parseFloat(cell) < 1 ? `**${cell}**` : cell
    )
  );
  return [heads, rule, ...marked].map((line) => `| ${line.join(" | ")} |`).join("\n");
}

/** The rows in which tydfs does not lead, a sentence each. */
export function describeLosses(table: readonly TableRow[]): string[] {
  return table.flatMap(({ row, toSynced }) =>
    toSynced === undefined || toSynced.value >= 1
      ? []
      : [`${row.title}: ${formatRatio(toSynced)} of ${toSynced.against}`]
  );
}

function formatRatio({ value }: Ratio): string {
  return value.toFixed(2);
}

function formatValue(value: number | undefined): string {
  if (value === undefined) return "–";
  if (value >= 100) return Math.round(value).toLocaleString("en");
  return value >= 10 ? value.toFixed(1) : value.toFixed(2);
}
