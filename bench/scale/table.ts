/** The figures of all sizes side by side, and what they are held to. */
import { type Figure, roundFigure } from "../figure.ts";
import type { Cost } from "./cost.ts";

/** What is measured, in the order of the table. */
const OPERATIONS = {
  place: "place a chunk: keepers, slots",
  begin: "upload.begin of a small file",
  commit: "commit a file of one chunk",
  list: "ls of 1,000 entries",
  locate: "file.locate",
  stat: "file.stat",
  beat: "take a heartbeat of 8 ports",
  tick: "judge the silence of all keepers",
  idleTick: "look of the replicator, nothing to do",
  judge: "plan the repair of one chunk",
  copy: "begin a copy",
  inventory: "take the inventory of one keeper",
  open: "open the catalog, ready to serve",
  ready: "start of the process, ready to serve (live)",
  join: "register one keeper (live)",
  listing: "take the inventory of one keeper (live)",
} as const;
export type Measured = keyof typeof OPERATIONS;
/** What only the process itself can tell: it may not be built. */
type Live = "ready" | "join" | "listing";

/** One size of the catalog. */
export interface ScaleSize {
  files: number;
  keepers: number;
  bytesPerFile: number;
  /** The part of one CPU that all keepers' beats take, at one a second. */
  beatShare: number;
  /** From a keeper's death to the first copy, and to the end of the plan for all its chunks. */
  firstCopyMs: number;
  planMs: number;
  lostChunks: number;
  costs: Record<Exclude<Measured, Live>, Cost> & Partial<Record<Live, Cost>>;
  /** The parts of one CPU that the process and its NATS server take for those beats. */
  liveBeats?: { master: number; nats: number };
}

/** Costs that grow with the chunks that one keeper has: compared by chunk. */
const BY_CHUNK: readonly Measured[] = ["inventory", "listing"];
/** The largest catalog may cost so many times what the smallest does. */
const FLAT = 1.5;

/** The costs by size: CPU of one operation, and how it grows. */
export function formatSizes(sizes: readonly ScaleSize[]): string {
  const rows = [["CPU of one operation", ...sizes.map(({ files }) => filesText(files)), "growth"]];
  for (const [key, what] of entries()) {
    if (sizes.every(({ costs }) => costs[key] === undefined)) continue;
    const growth = growthOf(sizes, key);
    const cells = sizes.map(({ costs }) => timeText(costs[key]?.cpuUs ?? NaN));
    rows.push([what, ...cells, growth === undefined ? "" : `${growth.toFixed(2)} ×`]);
  }
  const widths =
    rows[0]?.map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0))) ?? [];
  const line = (row: readonly string[]) =>
    row.map((cell, column) =>
      column === 0 ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0)
    ).join("  ");
  return rows.map(line).join("\n");
}

/** What the master is held to (rates are by second of CPU), at the largest size and from the smallest to it. */
export function figuresOf(sizes: readonly ScaleSize[]): Figure[] {
  const last = sizes.at(-1);
  if (last === undefined) return [];
  const at = `, ${filesText(last.files)} files`;
  const rate = (key: Exclude<Measured, Live>) => 1e6 / last.costs[key].cpuUs;
  const { commit } = last.costs;
  const inventoriesS = last.costs.inventory.cpuUs * last.keepers / 1e6;
  const figures: Figure[] = [
    least(`placement decisions${at}`, rate("place"), "/s", 2_000),
    least(`upload.begin of small files, one tracker${at}`, rate("begin"), "/s", 1_500),
    least(`commits of files${at}`, rate("commit"), "/s", 5_000),
    least(`commits of files, waits for the disk included${at}`, 1e6 / commit.wallUs, "/s", 2_000),
    most(`ls of 1,000 entries, in the tracker${at}`, last.costs.list.cpuUs / 1_000, "ms", 10),
    most(`file.locate${at}`, last.costs.locate.cpuUs / 1_000, "ms", 1),
    least(`heartbeats that one thread takes${at}`, rate("beat"), "/s", 10_000),
    most(`CPU of all heartbeats at one a second${at}`, last.beatShare * 100, "%", 10),
    most(`catalog bytes a file, 3 replicas${at}`, last.bytesPerFile, "B", 500),
    most(`lost keeper: dead to first copy${at}`, last.firstCopyMs / 1_000, "s", 2),
    most(`lost keeper: dead to whole plan${at}`, last.planMs / 1_000, "s", 30),
    most(`restart: catalog opened${at}`, last.costs.open.cpuUs / 1e6, "s", 20),
    most(`restart: all inventories taken${at}`, inventoriesS, "s", 600),
  ];
  figures.push(...liveFigures(last, at));
  for (const [key, what] of entries()) {
    const growth = growthOf(sizes, key);
    const name = BY_CHUNK.includes(key) ? `${what}, by chunk` : what;
    if (growth !== undefined) figures.push(most(`growth: ${name}`, growth, "×", FLAT));
  }
  return figures;
}

/** What the process does, by the clock: its threads work at once, and wait for the disk. */
function liveFigures({ costs, keepers, liveBeats }: ScaleSize, at: string): Figure[] {
  const { ready, join, listing } = costs;
  if (ready === undefined || join === undefined || listing === undefined) return [];
  const live = `, live${at}`;
  const seconds = (us: number) => us / 1e6;
  const { master = NaN, nats = NaN } = liveBeats ?? {};
  return [
    most(`restart: process ready${live}`, seconds(ready.wallUs), "s", 30),
    most(`restart: all keepers registered${live}`, seconds(join.wallUs * keepers), "s", 10),
    most(`restart: all inventories taken${live}`, seconds(listing.wallUs * keepers), "s", 600),
    most(`CPU of the master for all heartbeats${live}`, master * 100, "%", 20),
    most(`CPU of the NATS server for them${live}`, nats * 100, "%", 10),
  ];
}

/** How many times the cost of the smallest catalog the largest has; undefined with one size. */
export function growthOf(sizes: readonly ScaleSize[], key: Measured): number | undefined {
  const [first, last] = [sizes[0], sizes.at(-1)];
  if (first === undefined || last === undefined || first === last) return undefined;
  const cost = (size: ScaleSize) =>
    (size.costs[key]?.cpuUs ?? NaN) / (BY_CHUNK.includes(key) ? size.lostChunks : 1);
  const growth = cost(last) / cost(first);
  return Number.isFinite(growth) ? growth : undefined;
}

function entries(): [Measured, string][] {
  return Object.entries(OPERATIONS) as [Measured, string][];
}

function filesText(files: number): string {
  return files >= 1e6 ? `${Number((files / 1e6).toFixed(2))} M` : files.toLocaleString("en");
}

function timeText(us: number): string {
  if (us < 1_000) return `${roundFigure(us)} µs`;
  return us < 1e6 ? `${roundFigure(us / 1_000)} ms` : `${roundFigure(us / 1e6)} s`;
}

function most(what: string, value: number, unit: string, bound: number): Figure {
  return { what, value, unit, target: { kind: "most", value: bound } };
}

function least(what: string, value: number, unit: string, bound: number): Figure {
  return { what, value, unit, target: { kind: "least", value: bound } };
}
