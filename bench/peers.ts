/**
 * `npm run bench:peers`: tydfs and the systems that people would take in its place, on the same
 * machine, disk and files with as many copies, in turn and in one run. Prints one table; ratios
 * above 1 say that tydfs leads.
 */
import { mkdirSync, mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { Aside } from "./peers/aside.ts";
import { Filler } from "./peers/filler.ts";
import { Limits } from "./peers/limits.ts";
import { machineFacts } from "./peers/machine.ts";
import { minio } from "./peers/minio.ts";
import { mooseSynced, mooseUnsynced } from "./peers/moosefs.ts";
import { endTools, runTool } from "./peers/processes.ts";
import { natsSynced, natsUnsynced } from "./peers/nats.ts";
import { progress } from "./peers/progress.ts";
import { formatReport } from "./peers/report.ts";
import type { Pass } from "./peers/rounds.ts";
import { passLimits, passRepair, passSystem } from "./peers/rounds.ts";
import { GROUPS, parseGroups, ROWS } from "./peers/rows.ts";
import { seaweedSynced, seaweedUnsynced } from "./peers/seaweedfs.ts";
import { Sources } from "./peers/sources.ts";
import type { Candidate } from "./peers/system.ts";
import type { Column, Measurement } from "./peers/table.ts";
import { cellsOf, formatTable, makeTable } from "./peers/table.ts";
import { tydfs } from "./peers/tydfs.ts";
import { Undo } from "./peers/undo.ts";

const CANDIDATES: readonly Candidate[] = [
  tydfs,
  ...[mooseSynced, mooseUnsynced],
  minio,
  ...[natsSynced, natsUnsynced],
  ...[seaweedSynced, seaweedUnsynced],
];
const SYSTEMS = [...new Set(CANDIDATES.map(({ setting }) => setting.system))];
const LIMITS = [
  { title: "limit, fsync", synced: true },
  { title: "limit", synced: false },
];

const HELP = `Usage: npm run bench:peers -- [options]

Runs tydfs and its peers in turn on this machine, and prints one table. What they need is put into
.build/peers/ when it is missing; a system that can't be had is left out with the reason.

Options:
  --only ROWS        groups of rows: ${GROUPS.join(", ")}
                     (or rows by name, which stand for their group)
  --systems LIST     of ${SYSTEMS.join(", ")}; tydfs alone: tydfs
  --scale N          size and number of files: 1 (as the rows say), 0.1 for a quick try
  --rounds N         passes over all systems, of which medians count (1); names and repair are
                     measured in the first only
  --bound S          seconds that a row of many small files may take for a system (20): it counts
                     what was done until then
  --cold             gets read from the disk: the page cache is dropped before (for the whole
                     machine); without it they are warm
  --dir DIR          where the data lies (${tmpdir()}): all on one disk, up to 14 GiB
  --markdown FILE    the report as Markdown, too: docs/PERFORMANCE.md is made so
  --json             print all that was measured as JSON in place of the table
  --help             this text

Examples:
  npm run bench:peers -- --scale 0.05
  npm run bench:peers -- --systems tydfs,minio --only large,parallel --rounds 3
  npm run bench:peers -- --markdown docs/PERFORMANCE.md`;

const { values } = parseArgs({
  options: {
    only: { type: "string" },
    systems: { type: "string" },
    scale: { type: "string", default: "1" },
    rounds: { type: "string", default: "1" },
    bound: { type: "string", default: "20" },
    cold: { type: "boolean", default: false },
    dir: { type: "string", default: tmpdir() },
    markdown: { type: "string" },
    json: { type: "boolean", default: false },
    help: { type: "boolean", default: false },
  },
});

if (values.help) {
  console.log(HELP);
  process.exit(0);
}

const groups = values.only === undefined ? [...GROUPS] : parseGroups(values.only);
const wanted = values.systems?.split(",").map((word) => word.trim()) ?? SYSTEMS;
const scale = Number(values.scale);
const rounds = Number(values.rounds);
const boundMs = Number(values.bound) * 1000;
if (
  groups === undefined || wanted.some((name) => !SYSTEMS.some((system) => system === name)) ||
  !(scale > 0 && scale <= 1) || !Number.isInteger(rounds) || rounds < 1 || !(boundMs > 0)
) {
  console.error("Cannot read the options\nTry: npm run bench:peers -- --help");
  process.exit(2);
}

const startedMs = performance.now();
const undo = new Undo();
/** Aborted when the run is given up. */
const given = new AbortController();
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
  process.once(signal, () => {
    progress("interrupted: stopping what runs");
    given.abort();
    void endTools().then(() => undo.run()).then(() => process.exit(130));
  });
}

const measurements: Measurement[] = [];
const failures: string[] = [];
try {
  mkdirSync(values.dir, { recursive: true });
  const directory = mkdtempSync(join(resolve(values.dir), "tydfs-peers-"));
  undo.add("remove the data", () => removeAll(directory));
  const aside = new Aside(directory);
  const filler = values.cold ? undefined : new Filler(directory);
  const facts = await machineFacts(directory);
  const { chosen, versions } = await prepareAll();
  const sources = new Sources(join(directory, "source"), scale);
  progress("making the files");
  sources.make();

  for (let round = 1; round <= rounds; round++) {
    const own = groups.filter((group) => round === 1 || (group !== "names" && group !== "repair"));
    const passOf = (column: string): Pass => ({
      sources,
      groups: new Set(own),
      directory,
      aside,
      filler,
      boundMs,
      cold: values.cold,
      signal: given.signal,
      report: (row, value, note) => {
        measurements.push({ row, column, value, ...(note === undefined ? {} : { note }) });
        const unit = ROWS.find(({ id }) => id === row)?.unit ?? "";
        progress(
          `    ${row}: ${value.toPrecision(4)} ${unit}${note === undefined ? "" : `, ${note}`}`,
        );
      },
      fail: (group, error) => {
        const cause = error instanceof Error && error.cause !== undefined ? `: ${error.cause}` : "";
        const line = `${column}, ${group}: ${
          error instanceof Error ? error.message : error
        }${cause}`;
        failures.push(line);
        progress(`    failed: ${line}`);
      },
    });
    for (const candidate of chosen) {
      await measure(candidate, passOf(candidate.setting.title), round);
    }
    // They remove more files than all others.
    for (const { title, synced } of LIMITS) {
      if (given.signal.aborted) break;
      progress(`round ${round}: ${title}`);
      await aside.pause(given.signal);
      const limits = new Limits(join(directory, "limits"));
      const stop = undo.add("stop the limits", () => limits.stop());
      await passLimits(limits, synced, passOf(title));
      await stop();
      await aside.remove(join(directory, "limits"));
    }
  }

  const columns: Column[] = [
    ...chosen.map(({ setting: { title, synced, system } }) => ({
      title,
      synced,
      kind: system === "tydfs" ? "tydfs" as const : "peer" as const,
    })),
    ...LIMITS.map(({ title, synced }) => ({ title, synced, kind: "limit" as const })),
  ];
  const table = makeTable(ROWS, columns, measurements);
  const minutes = (performance.now() - startedMs) / 60_000;
  const settings = chosen.map(({ setting }) => setting);
  const report = { facts, versions, settings, columns, table, measurements, failures };
  const run = { scale, rounds, boundMs, cold: values.cold, minutes };
  if (values.markdown !== undefined && !given.signal.aborted) {
    mkdirSync(resolve(values.markdown, ".."), { recursive: true });
    await Bun.write(values.markdown, formatReport({ ...report, run }));
  }
  if (values.json) console.log(JSON.stringify({ ...report, run }, undefined, 2));
  else console.log([...facts, ...versions, "", formatTable(cellsOf(columns, table))].join("\n"));
  for (const failure of failures) console.error(`Failed: ${failure}`);
} finally {
  await undo.run();
}
process.exit(given.signal.aborted ? 130 : failures.length === 0 ? 0 : 1);

/** Those of the wanted systems that can be had here, and what each is. */
async function prepareAll(): Promise<{ chosen: Candidate[]; versions: string[] }> {
  const chosen: Candidate[] = [];
  const versions = new Set<string>();
  for (const candidate of CANDIDATES) {
    const { system, title } = candidate.setting;
    if (!wanted.includes(system)) continue;
    try {
      versions.add(`${system}: ${await candidate.prepare()}`);
      chosen.push(candidate);
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      progress(`${title} is left out: ${reason}`);
      // A page is no place for addresses.
      const short = reason.split("\n").slice(-3).join(" ").replace(/\bhttps?:\S+/g, "…");
      versions.add(`${system}: left out: ${short}`);
    }
  }
  return { chosen, versions: [...versions] };
}

/** Hundreds of thousands of files: the tool is faster, and lets signals be heard meanwhile. */
async function removeAll(directory: string): Promise<void> {
  await runTool(["rm", "-rf", directory]);
}

/** Names and repair do not depend on the choice of durability: one setting of a system has them. */
async function measure(candidate: Candidate, pass: Pass, round: number): Promise<void> {
  const { title, system } = candidate.setting;
  const isFirst = CANDIDATES.find(({ setting }) => setting.system === system) === candidate;
  const isLast = CANDIDATES.findLast(({ setting }) => setting.system === system) === candidate;
  const own = new Set(pass.groups);
  if (!isLast) own.delete("names");
  const withRepair = own.has("repair") && isFirst;
  own.delete("repair");
  for (const [groups, run] of [[own, passSystem], [new Set(["repair"]), passRepair]] as const) {
    if (groups.has("repair") && !withRepair || groups.size === 0) continue;
    if (given.signal.aborted) return;
    progress(`round ${round}: ${title}${groups.has("repair") ? ", repair" : ""}`);
    if (!groups.has("repair")) await pass.aside.pause(given.signal);
    const directory = join(pass.directory, "system");
    mkdirSync(directory);
    let stop = () => Promise.resolve();
    try {
      await run(() => {
        const made = candidate.create(directory);
        stop = undo.add(`stop ${title}`, () => made.stop());
        return made;
      }, { ...pass, groups: groups as Pass["groups"] });
    } catch (error) {
      pass.fail("start", error);
    }
    await stop();
    // Given up: what is stopping it still removes its data, too.
    if (!given.signal.aborted) await pass.aside.remove(directory);
  }
}
