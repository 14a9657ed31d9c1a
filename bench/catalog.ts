/**
 * The catalog alone: how commits and listings cost as it grows to a million files. What else there
 * is to a size, and larger ones, see `scale.ts`.
 */
import { mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { KeeperFacts } from "../src/catalog/operation.ts";
import type { Figure } from "./figure.ts";
import type { Cost } from "./scale/cost.ts";
import { growCatalog, keepersOf, makeCatalog } from "./scale/grow.ts";
import { measureCommits, measureTracker } from "./scale/parts.ts";
import { ScaleWorld } from "./scale/world.ts";

const FIRST_FILES = 10_000;
const KEEPERS = 12;

/**
 * Fills a catalog with `files` files of one chunk and three replicas, and compares its costs with
 * those of a small one.
 */
export async function benchCatalog(files: number): Promise<Figure[]> {
  const directory = mkdtempSync(join(tmpdir(), "tydfs-bench-"));
  try {
    const path = join(directory, "catalog.db");
    const keepers = keepersOf(KEEPERS);
    await makeCatalog(path, keepers);
    growCatalog(path, 0, FIRST_FILES, KEEPERS);
    // The first time is not counted: code is compiled as it runs often.
    await measure(path, FIRST_FILES, keepers);
    const small = await measure(path, FIRST_FILES, keepers);
    growCatalog(path, FIRST_FILES, files, KEEPERS);
    const large = await measure(path, files, keepers);
    const label = `${files.toLocaleString("en")} files`;
    return [
      row(`ls of 1,000 entries out of ${label}, CPU`, large.list.cpuUs / 1_000, "ms", 10),
      row(`cost of a commit, 10,000 to ${label}`, grown(small.commit, large.commit), "×", 1.5),
      row(`cost of ls, 10,000 to ${label}`, grown(small.list, large.list), "×", 1.5),
      row(`catalog bytes a file (3 replicas), ${label}`, large.bytesPerFile, "B", 1000),
      {
        what: "commits of small files in the catalog",
        value: 1e6 / large.commit.wallUs,
        unit: "files/s",
        target: { kind: "least", value: 5000 },
      },
    ];
  } finally {
    rmSync(directory, { recursive: true });
  }
}

async function measure(
  path: string,
  files: number,
  keepers: readonly KeeperFacts[],
): Promise<{ list: Cost; commit: Cost; bytesPerFile: number }> {
  const world = new ScaleWorld(path, files, keepers);
  try {
    world.hearAll();
    const bytesPerFile = statSync(path).size / world.reader.counts().files;
    const { list } = await measureTracker(world);
    return { list, commit: await measureCommits(world), bytesPerFile };
  } finally {
    await world.close();
  }
}

function grown(first: Cost, last: Cost): number {
  return last.cpuUs / first.cpuUs;
}

function row(what: string, value: number, unit: string, most: number): Figure {
  return { what, value, unit, target: { kind: "most", value: most } };
}
