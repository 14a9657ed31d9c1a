/**
 * `npm run bench:scale`: the master with a thousand keepers and millions of files. Its real classes
 * work over a real catalog on this disk, in one thread and with a bus in memory, so that CPU is
 * what an operation costs, whatever else the machine does. Rows that say "live" are of the compiled
 * master, with all its threads, over NATS. What grows with the files is seen by the ratio of the
 * largest catalog to the smallest.
 */
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { cpus, tmpdir, totalmem } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { formatSize } from "../src/base/bytes.ts";
import { formatFigures } from "./figure.ts";
import { checkGrown, growCatalog, keepersOf, makeCatalog } from "./scale/grow.ts";
import { openMasterDir } from "./scale/live.ts";
import { figuresOf, formatSizes, type ScaleSize } from "./scale/table.ts";
import { measureSize } from "./scale/size.ts";

const HELP = `Usage: bun bench/scale.ts [--files 1,5,10] [--keepers 1000] [--dir DIR] [--json]

Measures the master with many keepers and files, one size of the catalog after the other.
  --files LIST   millions of files, rising (1,5,10)
  --keepers N    keepers of 8 ports each, 10 to 1024 (1000)
  --dir DIR      where the catalog is made (some 400 bytes a file), and removed again
  --json         prints the figures as JSON
One million takes about a minute, ten about eight.`;

const { values } = parseArgs({
  options: {
    files: { type: "string", default: "1,5,10" },
    keepers: { type: "string", default: "1000" },
    dir: { type: "string", default: tmpdir() },
    json: { type: "boolean", default: false },
    help: { type: "boolean", default: false },
  },
});
if (values.help) {
  console.log(HELP);
  process.exit(0);
}

const sizes = values.files.split(",").map((each) => Number(each) * 1e6);
const count = Number(values.keepers);
const rising = sizes.every((size, place) => size >= 1_000 && size > (sizes[place - 1] ?? 0));
if (!rising || !Number.isInteger(count) || count < 10 || count > 1024) {
  console.error(HELP);
  process.exit(2);
}

const note = (text: string) => console.error(`${new Date().toISOString().slice(11, 19)}  ${text}`);
const directory = mkdtempSync(join(values.dir, "tydfs-scale-"));
const removeAll = () => rmSync(directory, { recursive: true, force: true });
for (const signal of ["SIGINT", "SIGTERM"] as const) {
  process.on(signal, () => (removeAll(), process.exit(130)));
}
const WARM_UP_FILES = 20_000;
const measured: ScaleSize[] = [];
try {
  const dataDir = openMasterDir(directory);
  const path = dataDir.catalog;
  const keepers = keepersOf(count);
  await warmUp(join(directory, "warm-up"));
  await makeCatalog(path, keepers);
  let files = 0;
  for (const size of sizes) {
    const startMs = performance.now();
    // Whole directories: a listing of one is a page.
    const end = Math.floor(size / 1_000) * 1_000;
    growCatalog(path, files, end, count);
    const grownMs = performance.now() - startMs;
    note(`${end.toLocaleString("en")} files are there, after ${(grownMs / 1_000).toFixed(0)} s`);
    files = end;
    measured.push(await measureSize({ dataDir, files, keepers, note }));
    note(`so far\n${formatSizes(measured)}`);
  }
} finally {
  removeAll();
}

/**
 * Everything once with a small catalog: code is compiled as it runs often, and the first size must
 * not pay for that. Its rows are checked, too.
 */
async function warmUp(directory: string): Promise<void> {
  const [files, keepers] = [WARM_UP_FILES, keepersOf(count)];
  mkdirSync(directory);
  const dataDir = openMasterDir(directory);
  const path = dataDir.catalog;
  await makeCatalog(path, keepers);
  growCatalog(path, 0, files, count);
  const problems = checkGrown(path);
  if (problems.length > 0) throw new Error(`The catalog is broken: ${problems.join("; ")}`);
  await measureSize({ dataDir, files, keepers, note: () => {} });
  note("warm");
}

const machine =
  `${cpus().length} × ${cpus()[0]?.model.trim()}, ${formatSize(totalmem())} memory, ` +
  `${process.platform} ${process.arch}, Bun ${Bun.version}`;
const figures = figuresOf(measured);
if (values.json) {
  console.log(JSON.stringify({ machine, keepers: count, sizes: measured, figures }, undefined, 2));
} else {
  console.log(`${machine}; ${count} keepers of 8 ports\n`);
  console.log(`${formatSizes(measured)}\n\n${formatFigures(figures)}`);
}
process.exit(0);
