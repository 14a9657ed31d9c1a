/** One row of the bench table, and how rows are taken and printed. */

export interface Figure {
  what: string;
  /** The measured value, in `unit`. */
  value: number;
  unit: string;
  /** The value of the limit that was measured beside it. */
  limit?: { what: string; value: number };
  /** What is aimed at: a ratio to the limit, or a bound on the value. */
  target: { kind: "ratio" | "most" | "least"; value: number };
}

/** Runs `task` and returns its milliseconds. */
export async function timed(task: () => unknown): Promise<number> {
  const startMs = performance.now();
  await task();
  return performance.now() - startMs;
}

export function median(values: number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? NaN;
}

/** Whether a figure holds its target. */
export function holds(figure: Figure): boolean {
  const { kind, value } = figure.target;
  if (kind === "most") return figure.value <= value;
  if (kind === "least") return figure.value >= value;
  return figure.limit !== undefined && figure.value / figure.limit.value >= value;
}

/** The table, one row a figure, columns aligned. */
export function formatFigures(figures: Figure[]): string {
  const rows = [["figure", "measured", "limit", "ratio", "target", "holds"]];
  for (const figure of figures) {
    const { limit, target, unit } = figure;
    const sign = { ratio: "≥", least: "≥", most: "≤" }[target.kind];
    rows.push([
      figure.what,
      `${roundFigure(figure.value)} ${unit}`,
      limit === undefined ? "" : `${roundFigure(limit.value)} ${unit} (${limit.what})`,
      limit === undefined ? "" : (figure.value / limit.value).toFixed(2),
      `${sign} ${target.value}${target.kind === "ratio" ? " × limit" : ` ${unit}`}`,
      holds(figure) ? "yes" : "NO",
    ]);
  }
  const widths = rows[0]?.map((_, column) =>
    Math.max(...rows.map((row) => row[column]?.length ?? 0))
  );
  return rows.map((row) => row.map((cell, column) => cell.padEnd(widths?.[column] ?? 0)).join("  "))
    .join("\n");
}

/** A value in three digits, or more where they are whole. */
export function roundFigure(value: number): string {
  return value >= 100 ? value.toFixed(0) : value.toPrecision(3);
}
