/** What a recovery has brought back, and what not, in plain words; pure. */
import { formatSize } from "../base/bytes.ts";
import type { RecoveryReport } from "./recovery.ts";

/** The report, a sentence a line. */
export function recoveryWords(report: RecoveryReport): string[] {
  const { rebuilt, snapshot, heard, missing, unread, badSnapshots, files, bytes } = report;
  const { sequence, applied, lastMs, gap, foreign } = rebuilt;
  const begin = snapshot === undefined
    ? "no snapshot, but the journal from the first operation on"
    : `a snapshot of ${timeOf(snapshot.madeMs)} (operation ${snapshot.sequence})`;
  const until = lastMs === undefined ? "" : `, the last one of ${timeOf(lastMs)}`;
  const lines = [
    `Heard ${plural(heard.length, "keeper")}: ${heard.join(", ")}`,
    `Found ${begin}, and ${plural(applied, "operation")} since then${until}`,
    `The catalog has ${plural(files, "file")} with ${formatSize(bytes)}, up to operation ` +
    `${sequence}`,
  ];
  if (gap !== undefined) {
    const behind = gap.lastSeen - gap.to;
    lines.push(
      `Missing: operations ${gap.from} to ${gap.to} are on no keeper that was heard, so that ` +
        `${plural(behind, "later one")} can't be used: changes since then are lost`,
    );
  }
  if (foreign > 0) {
    const pieces = plural(foreign, "piece");
    lines.push(`Left out ${pieces} of journals that belong to a history that was given up`);
  }
  if (missing.length > 0) {
    lines.push(
      `Not heard: ${missing.join(", ")}; what only they know is missing. If one of them had the ` +
        "newest journal, stop, start it, and recover again into an empty directory",
    );
  }
  if (unread.length > 0) lines.push(`Journals could not be read from: ${unread.join(", ")}`);
  if (badSnapshots.length > 0) lines.push(`Unreadable snapshots: ${badSnapshots.join(", ")}`);
  return lines;
}

function timeOf(wallMs: number): string {
  return new Date(wallMs).toISOString().replace("T", " ").replace(/\.\d+Z$/, " UTC");
}

function plural(count: number, noun: string): string {
  return count === 1 ? `1 ${noun}` : `${count} ${noun}s`;
}
