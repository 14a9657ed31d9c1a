/** What follows a loss or a restart: repairs that are planned, a catalog opened, inventories taken. */
import { Database } from "bun:sqlite";
import { CatalogReader } from "../../src/catalog/reader.ts";
import { Replicator } from "../../src/master/replicator.ts";
import { Reports } from "../../src/master/reports.ts";
import { Roster } from "../../src/master/roster.ts";
import { commandReplicate } from "../../src/wire/command.ts";
import { encode } from "../../src/wire/codec.ts";
import { INVENTORY_PAGE_MAX } from "../../src/wire/report.ts";
import { type Cost, costOf, takeCost } from "./cost.ts";
import { openWriter } from "./grow.ts";
import type { ScaleWorld } from "./world.ts";

/** The replicator looks so often. */
const TICK_MS = 500;
const TICKS_MAX = 10_000;
const DEAD_FOR_MS = 3_600_000;
const COPIES_BEGUN = 200;

export interface RepairCost {
  /** A look of the replicator while there is nothing to do. */
  idleTick: Cost;
  /** From a keeper's death to the first copy that is begun, and to the end of the whole plan. */
  firstMs: number;
  planMs: number;
  /** CPU of the plan, by chunk of the keeper. */
  perChunk: Cost;
  chunks: number;
  /** Choosing sources and a destination, and commanding the copy. */
  begin: Cost;
}

/** Has a keeper die whose chunks are all to be copied elsewhere. */
export async function measureRepair(world: ScaleWorld): Promise<RepairCost> {
  const { bus, subjects, tables, clock } = world;
  const lost = world.keepers.length >> 1;
  let isHolding = true;
  let commands = 0;
  const hearing = bus.subscribe(subjects.command("*", commandReplicate.name), {}, (message) => {
    commands++;
    if (!isHolding) message.respond(encode({ ok: true, value: {} }));
  });
  const replicator = new Replicator({ ...world.parts, settleMs: 0 });
  const tick = async () => {
    replicator.tick();
    // Answers come in between two looks.
    for (let turn = 0; turn < 20; turn++) await Promise.resolve();
  };
  for (let n = 0; n < 5; n++) await tick();
  const idleTick = await costOf(tick, { batch: 5 });
  const row = tables.keepers.find(lost);
  if (row?.state !== "ALIVE") throw new Error("The keeper that is to die is not alive");
  const deadSinceMs = clock.monotonicMs() - DEAD_FOR_MS;
  tables.keepers.put(lost, { ...row, state: "DEAD", deadSinceMs });
  const diedMs = clock.monotonicMs();
  const expected = world.reader.heldByKeepers().find(({ number }) => number === lost)?.replicas;
  let ticks = 0;
  let firstTicks = 0;
  const plan = await takeCost(async () => {
    while (ticks < TICKS_MAX) {
      await tick();
      ticks++;
      if (commands > 0 && firstTicks === 0) firstTicks = ticks;
      const { scannedMs, under } = tables.repairs.read();
      if (scannedMs >= Math.floor(diedMs) && under > 0) break;
    }
  });
  const chunks = tables.repairs.read().under;
  if (chunks !== expected) throw new Error(`${chunks} chunks are to be repaired, not ${expected}`);
  await replicator.stop();
  isHolding = false;
  const begin = await measureBegins(world, () => commands);
  await hearing.stop();
  tables.keepers.put(lost, row);
  const msOf = (ticks: number, cost: Cost) => Math.max(ticks * TICK_MS, cost.cpuUs / 1_000);
  return {
    ...{ idleTick, begin, chunks },
    firstMs: msOf(firstTicks, { ...plan, cpuUs: plan.cpuUs * firstTicks / ticks }),
    planMs: msOf(ticks, plan),
    perChunk: { cpuUs: plan.cpuUs / chunks, wallUs: plan.wallUs / chunks },
  };
}

/** Copies are answered as soon as they are commanded: what remains is the cost of beginning them. */
async function measureBegins(world: ScaleWorld, commands: () => number): Promise<Cost> {
  const replicator = new Replicator({ ...world.parts, settleMs: 0 });
  for (let n = 0; n < 3; n++) replicator.tick();
  const before = commands();
  const cost = await takeCost(async () => {
    while (commands() - before < COPIES_BEGUN) {
      replicator.tick();
      for (let turn = 0; turn < 50; turn++) await new Promise((resolve) => setImmediate(resolve));
    }
  });
  const begun = commands() - before;
  await replicator.stop();
  return { cpuUs: cost.cpuUs / begun, wallUs: cost.wallUs / begun };
}

/** Opens the catalog as the master's threads do at a start, until all can serve. */
export async function measureOpen(path: string): Promise<Cost> {
  let close = async () => {};
  const cost = await takeCost(async () => {
    const writer = openWriter(path);
    await writer.submit({ kind: "master.start", atMs: 0 });
    const reader = new CatalogReader(path);
    reader.counts();
    new Roster(reader).all();
    close = () => (reader.close(), writer.close());
  });
  await close();
  return cost;
}

/** The whole inventories of some keepers, page by page; the cost is that of one keeper. */
export async function measureInventories(world: ScaleWorld, keepers: number): Promise<Cost> {
  const reports = new Reports(world.parts);
  const database = new Database(world.path, { readonly: true });
  const sql = `SELECT c.id, c.size FROM replica r CROSS JOIN chunk c ON c.no = r.chunk
    WHERE r.keeper = ? ORDER BY c.id`;
  const costs: Cost[] = [];
  for (let number = 0; number < keepers; number++) {
    const chunks = database.query(sql).values(number) as [string, number][];
    costs.push(
      await takeCost(() => sendInventory(reports, world.keepers[number]?.id ?? "", chunks)),
    );
  }
  database.close();
  const mean = (key: keyof Cost) => costs.reduce((sum, cost) => sum + cost[key], 0) / costs.length;
  return { cpuUs: mean("cpuUs"), wallUs: mean("wallUs") };
}

async function sendInventory(
  reports: Reports,
  keeper: string,
  chunks: readonly [string, number][],
): Promise<void> {
  for (let first = 0, after = ""; first === 0 || first < chunks.length;) {
    const page = chunks.slice(first, first + INVENTORY_PAGE_MAX);
    first += INVENTORY_PAGE_MAX;
    const request = { after, chunks: page, last: first >= chunks.length };
    const { unknown, missing } = await reports.inventory(request, keeper);
    if (unknown + missing > 0) throw new Error("An inventory differs from the catalog");
    after = page.at(-1)?.[0] ?? after;
  }
}
