/** The scrubs of keepers, and what reading a file's copies again has found, as text and as JSON. */
import { formatDuration, formatSize } from "../../base/bytes.ts";
import type { ClusterStatus } from "../../client/client.ts";
import type { ScrubPage } from "../../client/operator.ts";
import { quotePath } from "../../wire/names.ts";
import type { Paint } from "../color.ts";
import { alignColumns, formatCount } from "./format.ts";

type Keeper = ClusterStatus["keepers"][number];

/** What the copies of files have come to, summed up. */
export interface ScrubTotals {
  files: number;
  copies: number;
  bytes: number;
  bad: number;
  unread: number;
}

export const NO_TOTALS: ScrubTotals = { files: 0, copies: 0, bytes: 0, bad: 0, unread: 0 };

/** How far the scrub of each keeper is. `wallMs` is now. */
export function formatScrubs(
  keepers: readonly Keeper[],
  wallMs: number,
  paint: Paint,
): string[] {
  const heading = ["KEEPER", "LAST DONE", "THIS PASS", "READ", "BAD", "ASIDE", ""];
  const rows = keepers.map((keeper) => {
    const { name, state, scrub, aside } = keeper;
    const { running, passedMs, beganMs, bad } = scrub;
    return [
      name,
      passedMs === 0 ? "never" : ago(wallMs - passedMs),
      running ? `began ${ago(wallMs - beganMs)}` : "-",
      running ? formatShare(scrub) : "-",
      String(bad),
      String(aside),
      state === "ALIVE" ? overdueWords(keeper, wallMs) : state,
    ];
  });
  const [first = "", ...lines] = alignColumns([heading, ...rows], [3, 4, 5]);
  return [
    paint("heading", first.trimEnd()),
    ...lines.map((line, index) => toned(line.trimEnd(), keepers[index], wallMs, paint)),
  ];
}

/** The same for programs. */
export function scrubJson(keeper: Keeper, wallMs: number): Record<string, unknown> {
  const { id, name, state, aside, scrub } = keeper;
  return { keeper: name, id, state, aside, ...scrub, overdueMs: overdueMs(keeper, wallMs) };
}

/** How much of a pass is done: `45 % of 1.2 TiB`. */
export function formatShare({ doneBytes, totalBytes }: Keeper["scrub"]): string {
  if (totalBytes === 0) return "nothing to read";
  const percent = Math.min(100, Math.floor(100 * doneBytes / totalBytes));
  return `${percent} % of ${formatSize(totalBytes)}`;
}

/** By how much a keeper's pass is late; 0 while it is in time. */
export function overdueMs({ scrub }: Keeper, wallMs: number): number {
  return scrub.dueMs === 0 ? 0 : Math.max(0, Math.floor(wallMs - scrub.dueMs));
}

/** What is wrong with the copies of a page, a line each. */
export function formatFindings(path: string, page: ScrubPage): string[] {
  const bad = page.bad.map(({ chunk, keeper, state }) =>
    keeper === ""
      ? `${quotePath(path)}: chunk ${chunk} has no copy on record`
      : `${quotePath(path)}: chunk ${chunk} on ${keeper} is ${state}`
  );
  const unread = page.unread.map(({ chunk, keeper, reason }) =>
    `${quotePath(path)}: chunk ${chunk} on ${keeper} was not read: ${reason}`
  );
  return [...bad, ...unread];
}

/** One line for all files that were read. */
export function formatTotals({ files, copies, bytes, bad, unread }: ScrubTotals): string {
  const read = `read ${formatCount(files, "file")} · ` +
    `${formatCount(copies, "copy", "copies")}, ${formatSize(bytes)}`;
  const found = bad === 0 ? "all good" : `${bad} bad, to be copied anew from good ones`;
  return `${read} · ${found}${unread === 0 ? "" : ` · ${unread} not read`}`;
}

function overdueWords(keeper: Keeper, wallMs: number): string {
  const ms = overdueMs(keeper, wallMs);
  return ms === 0 ? "" : `overdue by ${formatDuration(ms)}`;
}

function toned(line: string, keeper: Keeper | undefined, wallMs: number, paint: Paint): string {
  if (keeper === undefined) return line;
  if (keeper.scrub.bad > 0) return paint("bad", line);
  return overdueMs(keeper, wallMs) > 0 || keeper.aside > 0 ? paint("doubtful", line) : line;
}

function ago(ms: number): string {
  return `${formatDuration(Math.max(0, ms))} ago`;
}
