/**
 * `npm run bench`: the numbers that tydfs holds itself to, each beside its limit measured in the same run on the same
 * machine, disk and files. Prints one table; `--json` prints the figures; `--quick` takes smaller
 * files.
 */
import { parseArgs } from "node:util";
import { cpus, totalmem } from "node:os";
import { formatSize, GIB, MIB } from "../src/base/bytes.ts";
import { TestCluster } from "../test/cluster/harness.ts";
import { benchCatalog } from "./catalog.ts";
import { benchLarge, benchMemory } from "./large.ts";
import { benchSmall } from "./small.ts";
import { benchTrees } from "./trees.ts";
import { benchWatch } from "./watch.ts";
import type { Figure } from "./figure.ts";
import { formatFigures } from "./figure.ts";

const HELP =
  `Usage: bun bench/bench.ts [--quick] [--json] [--only large|memory|small|trees|watch|catalog] [--rounds N]

Starts a cluster of three keepers on this machine and measures it against its limits.
  --quick     256 MiB in place of 1 GiB, 1 GiB in place of 10, 100,000 files in place of 1,000,000
  --rounds N  rounds of which the median counts (5)
  --only G    one group of figures`;

const { values } = parseArgs({
  options: {
    quick: { type: "boolean", default: false },
    json: { type: "boolean", default: false },
    only: { type: "string" },
    rounds: { type: "string", default: "5" },
    help: { type: "boolean", default: false },
  },
});

if (values.help) {
  console.log(HELP);
  process.exit(0);
}

const rounds = Number(values.rounds);
const figures: Figure[] = [];
const wants = (group: string) => values.only === undefined || values.only === group;

if (["large", "memory", "small", "trees", "watch"].some(wants)) {
  const cluster = await TestCluster.start({ env: { TYDFS_SLOTS: "8" } });
  try {
    const sizeBytes = values.quick ? 256 * MIB : GIB;
    if (wants("large")) figures.push(...await benchLarge(cluster, sizeBytes, rounds));
    if (wants("small")) figures.push(...await benchSmall(cluster, rounds));
    if (wants("trees")) figures.push(...await benchTrees(cluster, rounds));
    if (wants("watch")) figures.push(...await benchWatch(cluster, rounds));
    if (wants("memory")) figures.push(...await benchMemory(cluster, values.quick ? GIB : 10 * GIB));
  } finally {
    await cluster.stop();
  }
}
if (wants("catalog")) figures.push(...await benchCatalog(values.quick ? 100_000 : 1_000_000));

const machine =
  `${cpus().length} × ${cpus()[0]?.model.trim()}, ${formatSize(totalmem())} memory, ` +
  `${process.platform} ${process.arch}, Bun ${Bun.version}`;
if (values.json) console.log(JSON.stringify({ machine, figures }, undefined, 2));
else console.log(`${machine}\n\n${formatFigures(figures)}`);
process.exit(0);
