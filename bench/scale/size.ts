/** All that is measured with a catalog of one size. */
import { existsSync, statSync } from "node:fs";
import type { KeeperFacts } from "../../src/catalog/operation.ts";
import type { DataDir } from "../../src/master/data_dir.ts";
import { BINARY } from "../../test/cluster/harness.ts";
import type { Cost } from "./cost.ts";
import { type LiveCost, measureLive } from "./live.ts";
import type { ScaleSize } from "./table.ts";
import { measureBeats, measureCommits, measurePlacement, measureTracker } from "./parts.ts";
import { measureInventories, measureOpen, measureRepair } from "./recovery.ts";
import { ScaleWorld } from "./world.ts";

/** Keepers whose whole inventories are taken; the others would cost the same. */
const INVENTORIES = 5;

export interface SizeOptions {
  /** The master's data directory. */
  dataDir: DataDir;
  files: number;
  keepers: readonly KeeperFacts[];
  /** Tells what has been done. */
  note: (text: string) => void;
}

/** Measures one part after the other. Commits come last: they add files. */
export async function measureSize(options: SizeOptions): Promise<ScaleSize> {
  const { files, keepers, note } = options;
  const path = options.dataDir.catalog;
  const live = await measureProcess(options);
  note("live");
  const bytes = statSync(path).size;
  const open = await measureOpen(path);
  note("opened");
  const world = new ScaleWorld(path, files, keepers);
  const { files: there } = world.reader.counts();
  try {
    const beats = await measureBeats(world);
    note("heartbeats");
    const place = await measurePlacement(world);
    const tracker = await measureTracker(world);
    note("requests");
    const repair = await measureRepair(world);
    note("repair");
    const inventory = await measureInventories(world, INVENTORIES);
    note("inventories");
    const commit = await measureCommits(world);
    note("commits");
    return {
      ...{ files, keepers: keepers.length, bytesPerFile: bytes / there },
      ...{ beatShare: beats.share, firstCopyMs: repair.firstMs, planMs: repair.planMs },
      lostChunks: repair.chunks,
      ...(live === undefined ? {} : { liveBeats: live.beats }),
      costs: {
        ...{ beat: beats.beat, tick: beats.tick, place, ...tracker, commit },
        ...{ idleTick: repair.idleTick, judge: repair.perChunk, copy: repair.begin },
        ...{ inventory, open, ...live?.costs },
      },
    };
  } finally {
    await world.close();
  }
}

/** The process itself, where it is built and its CPU can be told. */
async function measureProcess({ dataDir, keepers }: SizeOptions): Promise<
  | { beats: LiveCost["beats"]; costs: Pick<ScaleSize["costs"], "ready" | "join" | "listing"> }
  | undefined
> {
  if (!existsSync(BINARY) || !existsSync("/proc/self/stat")) return undefined;
  const { ready, joins, inventories, listed, beats } = await measureLive(dataDir, keepers);
  const each = ({ cpuUs, wallUs }: Cost, count: number): Cost => {
    return { cpuUs: cpuUs / count, wallUs: wallUs / count };
  };
  const costs = { ready, join: each(joins, keepers.length), listing: each(inventories, listed) };
  return { beats, costs };
}
