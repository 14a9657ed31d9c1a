/** The report of a run as Markdown, of which docs/PERFORMANCE.md is made. */
import type { Setting } from "./system.ts";
import type { Column, Measurement, TableRow } from "./table.ts";
import { cellsOf, describeLosses, formatMarkdown } from "./table.ts";

export interface Report {
  facts: string[];
  versions: string[];
  settings: Setting[];
  columns: Column[];
  table: TableRow[];
  measurements: Measurement[];
  failures: string[];
  run: { scale: number; rounds: number; boundMs: number; cold: boolean; minutes: number };
}

/** A page with the table, the machine, the settings, and how to run it again. */
export function formatReport(report: Report): string {
  const { facts, versions, settings, columns, table, measurements, failures, run } = report;
  const losses = describeLosses(table);
  const notes = measurements.filter(({ note }) => note !== undefined)
    .map(({ row, column, note }) => `${row}, ${column}: ${note}`);
  return [
    "# Performance",
    "",
    "tydfs and the systems that people would take in its place, on the same machine, disk and " +
    "files, in turn and in one run. Made by `npm run bench:peers -- --markdown " +
    "FILE`; what bounds each row is told below the tables, by hand.",
    "",
    ...(run.scale === 1 ? [] : [
      "**A try with smaller files (see the load of the machine below, too): it shows that all runs, and says little about speed.**",
      "",
    ]),
    "## The table",
    "",
    "Ratios say how many times better tydfs is, whichever way a row's figures go: against the " +
    "best peer that fsyncs as tydfs does, against the best of all, and against the fsynced limit. " +
    "**Below 1** another one leads.",
    "",
    formatMarkdown(cellsOf(columns, table)),
    "",
    ...section("Where tydfs does not lead at equal durability", losses, "Nowhere."),
    ...section("† Remarks on single figures", notes, "None."),
    ...(failures.length === 0 ? [] : section("What failed", failures, "")),
    "## The machine and the versions",
    "",
    ...list([...facts, ...versions]),
    "",
    "## Durability",
    "",
    ...list(settings.map(({ title, durability }) => `**${title}**: ${durability}`)),
    "",
    "## How it was measured",
    "",
    ...list([
      `Files at ${run.scale} of the size or number that the rows say; ${run.rounds} ` +
      `round${run.rounds === 1 ? "" : "s"} over all systems in turn, medians; ` +
      `${run.minutes.toFixed(0)} minutes in all.`,
      `Gets are ${
        run.cold
          ? "cold: the page cache was dropped before"
          : "warm: what they read is in the servers' page cache; mounts are made anew before, so that nothing comes from the client's own cache"
      }.`,
      "Gets begin when all copies are made: tydfs makes the third one behind the answer to a put.",
      "Small files that are done with are removed at the end, and a minute goes by between " +
      "systems: for so long ext4 passes over the inodes of removed files whenever one is made, " +
      "which would tell more of what was removed before than of what is measured.",
      ...(run.cold ? [] : [
        "Memory is kept full of clean page cache, as on a machine that has run for a while: this " +
        "guest gives free memory back to its host, and each GiB that it takes again costs 2 s of CPU.",
      ]),
      "The disk is synced before each row. Large files come back to the same disk, not fsynced.",
      `Rows of many small files end after ${run.boundMs / 1000} s; what was done until then ` +
      "counts.",
      "Clients: the compiled binary of tydfs and its library in the bench's process; `cp` and " +
      "16 threads on MooseFS' mount; Bun's S3 client in the bench's process, with parts and " +
      "ranges of 16 MiB, for MinIO; `@nats-io/obj` there with messages of 512 KiB and native " +
      "SHA-256; HTTP to the filer of SeaweedFS.",
      "CPU is of all servers, of the bench where it is the client, and of the tools that it runs.",
      "tydfs has a keeper counted as dead after 3 s, its chunks repaired 1 s later, and no limit " +
      "on the bandwidth of repairs; all else is as it comes.",
      "The lost server is killed, its disk emptied, and an empty one started in its place at " +
      "once; the time ends when all data has its full redundancy again.",
      "Names are empty or small files in directories of 1,000. tydfs' are written into its catalog while " +
      "the master is away; peers make them by their clients, as many as fit into the time.",
      "Limits: as many `cp` at once as there are copies (with fsync and without), `cp -r` for " +
      "trees, 16 threads for single files; `curl` and `fetch` from a server that calls sendfile.",
    ]),
    "",
  ].join("\n");
}

function section(title: string, lines: string[], none: string): string[] {
  return [`## ${title}`, "", ...(lines.length === 0 ? [none] : list(lines)), ""];
}

function list(lines: string[]): string[] {
  return lines.map((line) => `- ${line.replaceAll("\n", " ")}`);
}
