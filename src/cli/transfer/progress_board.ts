/**
 * The progress of a tree as lines of a terminal: one for each transfer that takes a while, and one
 * for all. Pure functions from counts to text.
 */
import { formatSize, MIB } from "../../base/bytes.ts";
import { printable } from "../output.ts";
import type { Running, Tally } from "./tally.ts";
import { formatTimeLeft } from "./time_left.ts";

/** A transfer that is over sooner has no line of its own: hundreds a second can't be read. */
const FIRST_LINE_MS = 400;
const LINE_BYTES_MIN = MIB;
const LINES_MAX = 8;
const BAR_CELLS_MIN = 10;
const BAR_CELLS_MAX = 40;
const NAME_CELLS_MIN = 12;
/** Per cent, rate and time left with the gaps around them. */
const FIGURES_CELLS = 5 + 2 + 12 + 2 + 16;

export interface BoardOptions {
  columns: number;
  rows: number;
  nowMs: number;
}

/** The lines to show now. */
export function formatBoard(tally: Tally, options: BoardOptions): string[] {
  const { columns, rows, nowMs } = options;
  // The last column stays free: some terminals break the line there.
  const width = Math.max(20, columns - 1);
  const linesMax = Math.max(0, Math.min(LINES_MAX, rows - 3));
  const old = [...tally.running.values()].filter(({ job, sinceMs }) =>
    job.sizeBytes >= LINE_BYTES_MIN && nowMs - sinceMs >= FIRST_LINE_MS
  );
  const lines = old.slice(0, linesMax).map((running) => formatRunning(running, width, nowMs));
  if (old.length > linesMax) lines.push(`… and ${old.length - linesMax} more`);
  return [...lines, fit(formatTotal(tally, nowMs), width)];
}

/** How far all is: `12 of 1,234+ files · 1.2 GiB of 5.6 GiB+ · 480 MiB/s · 12 s left`. */
export function formatTotal(tally: Tally, nowMs: number): string {
  const { filesDone, filesFound, bytesDone, bytesFound, foundAll, failed, removed } = tally;
  const more = foundAll ? "" : "+";
  const rate = tally.rate.bytesPerMs(nowMs);
  const left = foundAll ? formatTimeLeft(tally.pace(nowMs)) : undefined;
  return [
    `${grouped(filesDone)} of ${grouped(filesFound)}${more} files`,
    `${formatSize(bytesDone)} of ${formatSize(bytesFound)}${more}`,
    ...(rate === undefined ? [] : [`${formatSize(Math.round(rate * 1000))}/s`]),
    ...(left === undefined ? [] : [left]),
    ...(removed > 0 ? [`${grouped(removed)} removed`] : []),
    ...(failed > 0 ? [`${grouped(failed)} failed`] : []),
  ].join(" · ");
}

/** `1,234,567`. */
export function grouped(count: number): string {
  return String(count).replace(/\B(?=(\d{3})+$)/g, ",");
}

/** Shortens a text in the middle, where names differ least, to a width in terminal cells. */
export function shorten(text: string, cells: number): string {
  if (Bun.stringWidth(text) <= cells) return text;
  const letters = [...new Intl.Segmenter().segment(text)].map(({ segment }) => segment);
  const headCells = Math.ceil((cells - 1) / 3);
  let head = "";
  for (const letter of letters) {
    if (Bun.stringWidth(head + letter) > headCells) break;
    head += letter;
  }
  const tailCells = cells - 1 - Bun.stringWidth(head);
  let tail = "";
  for (const letter of letters.toReversed()) {
    if (Bun.stringWidth(letter + tail) > tailCells) break;
    tail = letter + tail;
  }
  return `${head}…${tail}`;
}

function formatRunning(running: Running, width: number, nowMs: number): string {
  const { job, doneBytes, resumedBytes, sinceMs, rate } = running;
  const share = job.sizeBytes === 0 ? 1 : Math.min(1, doneBytes / job.sizeBytes);
  const percent = `${Math.floor(share * 100)} %`.padStart(5);
  const bytesPerMs = rate.bytesPerMs(nowMs);
  // Nothing has come where a transfer still waits for its turn.
  const speed = bytesPerMs === undefined || bytesPerMs === 0
    ? ""
    : `${formatSize(Math.round(bytesPerMs * 1000))}/s`;
  const left = formatTimeLeft({
    elapsedMs: nowMs - sinceMs,
    done: doneBytes - resumedBytes,
    left: job.sizeBytes - doneBytes,
    perMs: bytesPerMs,
  }) ?? "";
  const name = printable(job.from === "" ? job.path : job.from);
  const room = width - FIGURES_CELLS - 2;
  // Half of what is left is the bar's, the rest the name's; a narrow window has no bar.
  const narrow = room < NAME_CELLS_MIN + BAR_CELLS_MIN;
  const cells = narrow ? 0 : Math.min(BAR_CELLS_MAX, Math.max(BAR_CELLS_MIN, room >> 1));
  const nameCells = Math.max(NAME_CELLS_MIN, room - cells - 2);
  const full = Math.floor(share * cells);
  const bar = "█".repeat(full) + "░".repeat(cells - full);
  const shown = pad(shorten(name, nameCells), nameCells);
  return fit(`${shown}  ${bar} ${percent}  ${speed.padStart(12)}  ${left}`.trimEnd(), width);
}

function pad(text: string, cells: number): string {
  return text + " ".repeat(Math.max(0, cells - Bun.stringWidth(text)));
}

/** Cuts what is too wide, at the end. */
function fit(text: string, cells: number): string {
  if (Bun.stringWidth(text) <= cells) return text;
  let kept = "";
  for (const { segment } of new Intl.Segmenter().segment(text)) {
    if (Bun.stringWidth(kept + segment) > cells - 1) break;
    kept += segment;
  }
  return `${kept}…`;
}
