/**
 * The compiled master as a process: its own threads, NATS, and a catalog that it opens itself. A
 * thousand keepers are played by this process, over one connection: they register, list their disks
 * and beat, but store nothing and obey no command.
 */
import { Database } from "bun:sqlite";
import { existsSync, mkdirSync, openSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { systemClock as clock } from "../../src/base/clock.ts";
import { forEachLimited } from "../../src/base/limit.ts";
import { silentLog } from "../../src/base/log.ts";
import { systemRandom } from "../../src/base/random.ts";
import type { KeeperFacts } from "../../src/catalog/operation.ts";
import { type DataDir, openClusterKey, openDataDir } from "../../src/master/data_dir.ts";
import { type Bus, call } from "../../src/wire/bus.ts";
import { connectNats } from "../../src/wire/bus_nats.ts";
import { encode } from "../../src/wire/codec.ts";
import { INVENTORY_PAGE_MAX, reportInventory, reportJoined } from "../../src/wire/report.ts";
import { subjectsOf } from "../../src/wire/subjects.ts";
import { parseClusterUrl } from "../../src/wire/url.ts";
import { PROTOCOL_VERSION } from "../../src/wire/version.ts";
import { BINARY } from "../../test/cluster/harness.ts";
import { beatOf, FREE_BYTES } from "./beat.ts";
import type { Cost } from "./cost.ts";

/** What a process has cost so far. */
interface Spent {
  masterMs: number;
  natsMs: number;
}

export interface LiveCost {
  /** From the start of the process until clients and keepers may join. */
  ready: Cost;
  /** From the first to the last of all keepers that register. */
  joins: Cost;
  /** The whole inventories of `listed` keepers that send them at once. */
  inventories: Cost;
  listed: number;
  /** CPU of the master and of the NATS server, as parts of one CPU, beyond those without beats. */
  beats: { master: number; nats: number };
}

const READY_MS = 10 * 60_000;
const TRY_MS = 60_000;
const JOINS_AT_ONCE = 64;
/** Inventories under way at once. */
const LISTS_AT_ONCE = 8;
const LISTED_MAX = 100;
const WATCH_MS = 8_000;
/** A second's beats are sent in so many parts. */
const PARTS = 20;
/** Linux counts a process's CPU in these. */
const TICK_MS = 10;

const subjects = subjectsOf("main");

/** A data directory of a master, with its key, whose catalog is still to be made. */
export function openMasterDir(directory: string): DataDir {
  const dataDir = openDataDir(join(directory, "master"));
  openClusterKey(dataDir, systemRandom);
  return dataDir;
}

/** Starts the master, plays its keepers, and ends it. */
export async function measureLive(
  dataDir: DataDir,
  keepers: readonly KeeperFacts[],
): Promise<LiveCost> {
  mkdirSync(dataDir.root, { recursive: true });
  rmSync(dataDir.joinKeeper, { force: true });
  const log = openSync(join(dataDir.root, "bench.log"), "a");
  const startMs = performance.now();
  const master = Bun.spawn([BINARY, "master", "--data", dataDir.root, "--port", "0"], {
    env: { ...process.env, TYDFS_JOURNAL_COPIES: "0", TYDFS_LOG_LEVEL: "error" },
    ...{ stdin: "ignore", stdout: log, stderr: log },
  });
  let bus: Bus | undefined;
  try {
    await untilReady(dataDir, master);
    const ready = costSince(startMs, { masterMs: 0, natsMs: 0 }, master.pid);
    const url = parseClusterUrl(readFileSync(dataDir.joinKeeper, "utf8").trim());
    bus = await connectNats({ url, name: "bench", log: silentLog, connectMs: READY_MS });
    const quiet = await spentIn(WATCH_MS / 2, master.pid);
    const joins = await timed(master.pid, () => joinAll(bus as Bus, keepers));
    const listed = Math.min(keepers.length, LISTED_MAX);
    const pages = readInventories(dataDir.catalog, listed);
    const inventories = await timed(master.pid, () => listAll(bus as Bus, keepers, pages));
    const stop = beatAll(bus, keepers);
    await clock.sleep(WATCH_MS / 2);
    const busy = await spentIn(WATCH_MS, master.pid);
    stop();
    const beats = { master: busy.masterMs - quiet.masterMs, nats: busy.natsMs - quiet.natsMs };
    return { ready, joins, inventories, listed, beats };
  } finally {
    await bus?.close();
    master.kill("SIGTERM");
    await master.exited;
  }
}

async function untilReady(dataDir: DataDir, master: Bun.Subprocess): Promise<void> {
  const endMs = performance.now() + READY_MS;
  while (!existsSync(dataDir.joinKeeper)) {
    if (master.exitCode !== null || performance.now() > endMs) {
      throw new Error(`The master did not start: see "${dataDir.root}/bench.log"`);
    }
    await clock.sleep(20);
  }
}

/** Registers all keepers, as they do when their connection is back. */
async function joinAll(bus: Bus, keepers: readonly KeeperFacts[]): Promise<void> {
  await forEachLimited(keepers, JOINS_AT_ONCE, async (keeper) => {
    const { id, ...facts } = keeper;
    const space = { totalBytes: 2 * FREE_BYTES, freeBytes: FREE_BYTES };
    const version = { protocol: PROTOCOL_VERSION, version: "0.0.0" };
    const request = { keeper: id, ...facts, ...version, ...space };
    const subject = subjects.report(id, reportJoined.name);
    await call(bus, subject, reportJoined, request, { timeoutMs: TRY_MS });
  });
}

/** The chunks of the first keepers, in the order of their ids. */
function readInventories(path: string, listed: number): [string, number][][] {
  const database = new Database(path, { readonly: true });
  const sql = `SELECT c.id, c.size FROM replica r CROSS JOIN chunk c ON c.no = r.chunk
    WHERE r.keeper = ? ORDER BY c.id`;
  const statement = database.prepare(sql);
  const pages = Array.from(
    { length: listed },
    (_, number) => statement.values(number) as [string, number][],
  );
  statement.finalize();
  database.close();
  return pages;
}

/** Some at once, each page by page: what waits longer than a keeper does would be asked again. */
async function listAll(
  bus: Bus,
  keepers: readonly KeeperFacts[],
  inventories: readonly [string, number][][],
): Promise<void> {
  await forEachLimited(inventories.entries(), LISTS_AT_ONCE, async ([number, all]) => {
    const subject = subjects.report(keepers[number]?.id ?? "", reportInventory.name);
    for (let first = 0, after = "", last = false; !last; first += INVENTORY_PAGE_MAX) {
      const chunks = all.slice(first, first + INVENTORY_PAGE_MAX);
      last = first + INVENTORY_PAGE_MAX >= all.length;
      const request = { after, chunks, last };
      await call(bus, subject, reportInventory, request, { timeoutMs: TRY_MS });
      after = chunks.at(-1)?.[0] ?? after;
    }
  });
}

/** Sends each keeper's beat once a second, spread over it. Returns how that ends. */
function beatAll(bus: Bus, keepers: readonly KeeperFacts[]): () => void {
  let sent = 0;
  const timer = clock.every(1_000 / PARTS, () => {
    const part = sent++ % PARTS;
    for (let number = part; number < keepers.length; number += PARTS) {
      const keeper = keepers[number];
      if (keeper === undefined) continue;
      const beat = beatOf(keeper, { number, beat: sent, grants: [] });
      bus.publish(subjects.heartbeat(keeper.id), encode(beat));
    }
  });
  return () => timer.stop();
}

async function timed(pid: number, task: () => Promise<void>): Promise<Cost> {
  const [startMs, before] = [performance.now(), spentBy(pid)];
  await task();
  return costSince(startMs, before, pid);
}

function costSince(startMs: number, before: Spent, pid: number): Cost {
  const cpuMs = spentBy(pid).masterMs - before.masterMs;
  return { cpuUs: cpuMs * 1_000, wallUs: (performance.now() - startMs) * 1_000 };
}

/** What is spent within `ms`, as parts of one CPU. */
async function spentIn(ms: number, pid: number): Promise<Spent> {
  const [startMs, before] = [performance.now(), spentBy(pid)];
  await clock.sleep(ms);
  const [after, tookMs] = [spentBy(pid), performance.now() - startMs];
  return {
    masterMs: (after.masterMs - before.masterMs) / tookMs,
    natsMs: (after.natsMs - before.natsMs) / tookMs,
  };
}

/** The CPU of a master so far, and of the NATS server that it has started. */
function spentBy(pid: number): Spent {
  const children = readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").trim().split(" ");
  const natsMs = children.filter((child) => child !== "")
    .reduce((sum, child) => sum + cpuMs(Number(child)), 0);
  return { masterMs: cpuMs(pid), natsMs };
}

/** Fields 14 and 15 of /proc/PID/stat, counted behind the name in parentheses. */
function cpuMs(pid: number): number {
  const text = readFileSync(`/proc/${pid}/stat`, "utf8");
  const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
  return (Number(fields[11]) + Number(fields[12])) * TICK_MS;
}
