/**
 * Results as people read them, and as `--json` prints them (DESIGN.md §9): pure functions from
 * values to text.
 */
import { formatDuration, formatSize } from "../../base/bytes.ts";
import type { Entry, GetResult, PutResult, StatResult } from "../../client/client.ts";
import { isLinkMode, PERMISSION_BITS } from "../../wire/file.ts";
import { quotePath } from "../../wire/names.ts";
import type { Paint } from "../color.ts";
import { plain } from "../color.ts";
import { printable } from "../output.ts";
import type { Explanation } from "../transfer/receipt.ts";
import { formatReceipt, receiptJson } from "../transfer/receipt.ts";

/** The line of a put that is done, with its receipt; `why` there are fewer copies than wanted. */
export function formatPut(result: PutResult, why?: Explanation): string {
  const receipt = formatReceipt(result, why);
  return `put ${quotePath(result.path)} · ${formatTransfer(result)} · ${receipt}`;
}

/** The line of a get that is done. */
export function formatGet(result: GetResult): string {
  const { path, checksum, local } = result;
  return `got ${quotePath(path)} · ${formatTransfer(result)} · ` +
    `every block checked · xxh3 ${checksum} · ${quotePath(local)}`;
}

/** What `put --json` prints; scripts rely on it. */
export function putJson(result: PutResult, why?: Explanation): Record<string, unknown> {
  const { path, sizeBytes: size, version, checksum, resumedBytes, elapsedMs } = result;
  const receipt = receiptJson(result, why);
  return { path, size, version, checksum, ...receipt, resumedBytes, elapsedMs };
}

/** What `get --json` prints; scripts rely on it. */
export function getJson(result: GetResult): Record<string, unknown> {
  const { path, local, sizeBytes: size, version, checksum, resumedBytes, elapsedMs } = result;
  return { path, local, size, version, checksum, resumedBytes, elapsedMs };
}

/** `1 file`, `3 files`. */
export function formatCount(count: number, one: string, many = `${one}s`): string {
  return `${count} ${count === 1 ? one : many}`;
}

export interface EntriesFormat {
  long: boolean;
  /** Names are shown relative to it; whole paths when undefined. */
  directory: string | undefined;
  /** Colours directories; none unless given. */
  paint?: Paint;
}

/** Lines of a list, aligned among themselves. */
export function formatEntries(entries: readonly Entry[], format: EntriesFormat): string[] {
  const paint = format.paint ?? plain;
  const names = entries.map((entry) => {
    const name = nameOf(entry, format.directory);
    return entry.kind === "directory" ? paint("directory", name) : name;
  });
  if (!format.long) return names;
  const rows = entries.map((entry, index) => [
    formatMode(entry),
    printable(entry.owner === "" ? "-" : entry.owner),
    entry.kind === "directory" ? "-" : formatSize(entry.size),
    formatTime(entry, "minutes"),
    `${names[index]}${entry.updating ? "  (updating)" : ""}`,
  ]);
  return alignColumns(rows, [2]);
}

/** What people call an entry: to the cluster a symbolic link is a file like any other. */
export function kindOf({ kind, mode }: Entry): "file" | "directory" | "link" {
  return kind === "file" && isLinkMode(mode) ? "link" : kind;
}

/** What `ls --json` prints for an entry. */
export function entryJson(entry: Entry): Record<string, unknown> {
  const { path, size, mtimeMs, owner, updating } = entry;
  return { path, kind: kindOf(entry), size, mtimeMs, mode: octalMode(entry), owner, updating };
}

/** What `stat` tells besides what the master does. */
export interface StatExtras {
  /** With each chunk, and where its copies are. */
  locations: boolean;
  /** What a symbolic link leads to. */
  target?: string | undefined;
}

/** What `stat` prints. */
export function formatStat(result: StatResult, { locations, target }: StatExtras): string[] {
  const { entry, checksum, replicas, chunks } = result;
  const file = entry.kind === "file";
  const rows = [
    ["  kind", kindOf(entry)],
    ...(target === undefined ? [] : [["  target", printable(target)]]),
    ...(file ? [["  size", `${formatSize(entry.size)} (${entry.size} bytes)`]] : []),
    ...(file ? [["  version", String(entry.version)]] : []),
    ...(file ? [["  checksum", `xxh3 ${checksum}`]] : []),
    ["  modified", formatTime(entry, "seconds")],
    ["  owner", printable(entry.owner === "" ? "-" : entry.owner)],
    ["  mode", formatMode(entry)],
    ...(file ? [["  copies", `${replicas} wanted`]] : []),
    ...(entry.updating ? [["  updating", "an upload to this path is under way"]] : []),
  ];
  const lines = [printable(entry.path), ...alignColumns(rows, [])];
  if (!locations || !file) return lines;
  for (const [index, chunk] of chunks.entries()) {
    const size = formatSize(chunk.size);
    lines.push(`  chunk ${index}  ${chunk.id}  at ${chunk.offset}, ${size}`);
    const holders = chunk.holders.map(({ keeper, state, path }) => [`    ${keeper}`, state, path]);
    lines.push(...(holders.length > 0 ? alignColumns(holders, []) : ["    no copy is known"]));
  }
  return lines;
}

/** What `stat --json` prints. */
export function statJson(
  result: StatResult,
  { locations, target }: StatExtras,
): Record<string, unknown> {
  const { entry, checksum, replicas, chunks } = result;
  const { path, size, version, mtimeMs, owner } = entry;
  return {
    ...{ path, kind: kindOf(entry), size, version, checksum, mtimeMs, mode: octalMode(entry) },
    ...{ owner, replicas },
    ...(target === undefined ? {} : { target }),
    ...(locations ? { chunks } : {}),
  };
}

/** Whether it is known when an entry was modified: nobody has made the root. */
export function hasTime({ path }: Entry): boolean {
  return path !== "/";
}

/** When an entry was modified, in local time, as precisely as is asked for. */
export function formatTime(entry: Entry, precision: "minutes" | "seconds"): string {
  if (!hasTime(entry)) return "-";
  const minutes = formatMoment(entry.mtimeMs);
  if (precision === "minutes") return minutes;
  return `${minutes}:${String(new Date(entry.mtimeMs).getSeconds()).padStart(2, "0")}`;
}

/** A moment in local time, up to the minute. */
export function formatMoment(atMs: number): string {
  const date = new Date(atMs);
  const two = (value: number) => String(value).padStart(2, "0");
  const day = `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`;
  return `${day} ${two(date.getHours())}:${two(date.getMinutes())}`;
}

/** Pads all columns but the last; those in `right` to the right. */
export function alignColumns(rows: readonly string[][], right: readonly number[]): string[] {
  const widths: number[] = [];
  for (const row of rows) {
    for (const [column, cell] of row.entries()) {
      widths[column] = Math.max(widths[column] ?? 0, Bun.stringWidth(cell));
    }
  }
  return rows.map((row) =>
    row.map((cell, column) => {
      const gap = " ".repeat((widths[column] ?? 0) - Bun.stringWidth(cell));
      if (right.includes(column)) return gap + cell;
      return column === row.length - 1 ? cell : cell + gap;
    }).join("  ")
  );
}

interface Transfer {
  sizeBytes: number;
  resumedBytes: number;
  elapsedMs: number;
}

/** Size, time and rate; the rate is of the bytes that were moved, not of those that were there. */
function formatTransfer({ sizeBytes, resumedBytes, elapsedMs }: Transfer): string {
  const seconds = elapsedMs < 60_000
    ? `${(elapsedMs / 1000).toFixed(elapsedMs < 1000 ? 2 : 1)} s`
    : formatDuration(elapsedMs);
  const movedBytes = sizeBytes - resumedBytes;
  const rate = formatSize(Math.round(movedBytes / Math.max(elapsedMs, 1) * 1000));
  const there = resumedBytes === 0
    ? ""
    : resumedBytes === sizeBytes
    ? " · all of it was there already"
    : ` · ${formatSize(resumedBytes)} of it were there already`;
  return `${formatSize(sizeBytes)} in ${seconds} (${rate}/s)${there}`;
}

function nameOf(entry: Entry, directory: string | undefined): string {
  if (entry.path === "/") return "/";
  const prefix = directory === undefined || directory === "/" ? "/" : `${directory}/`;
  const inside = directory !== undefined && entry.path.startsWith(prefix);
  const name = inside ? entry.path.slice(prefix.length) : entry.path;
  return printable(name) + (entry.kind === "directory" ? "/" : "");
}

/** Permission bits as `chmod` takes them. */
function octalMode({ mode }: Entry): string {
  return (mode & PERMISSION_BITS).toString(8).padStart(4, "0");
}

function formatMode(entry: Entry): string {
  const { mode } = entry;
  const letters = "rwxrwxrwx";
  const bits = [...letters].map((letter, index) => (mode >> (8 - index)) & 1 ? letter : "-");
  const kinds = { directory: "d", link: "l", file: "-" };
  return kinds[kindOf(entry)] + bits.join("");
}
