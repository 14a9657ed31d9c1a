/** In which order, how many at once and how fast repairs go; and what holds them back. */
import { afterEach, expect, test } from "bun:test";
import { MIB } from "../../src/base/bytes.ts";
import { clusterStatus } from "../../src/wire/cluster.ts";
import { fileRemove } from "../../src/wire/file.ts";
import { FakeKeeper } from "./fake_keeper.ts";
import { World } from "./world.ts";

let world: World;
afterEach(() => world.stop());

const QUICK = { dead_after: "4s", suspect_after: "2s" };

const statusNow = () => world.ask(clusterStatus, {});
const copied = () => world.commands("replicate").map((line) => line.split(" ").at(-1) ?? "");

async function putMany(count: number): Promise<string[]> {
  const chunks: string[] = [];
  for (let file = 0; file < count; file++) chunks.push(await world.put(`/f${file}`));
  return chunks;
}

/** Has no copy end while `during` runs: what has begun stays under way. */
async function whileHanging(during: () => Promise<void>): Promise<void> {
  const stored = FakeKeeper.prototype.stored;
  FakeKeeper.prototype.stored = () => new Promise(() => {});
  try {
    await during();
  } finally {
    FakeKeeper.prototype.stored = stored;
  }
}

test("the endangered are copied first and at once, the others when their delay is over", async () => {
  world = await World.start({ ...QUICK, repair_delay: "30s" });
  const keepers = await world.addKeepers(["a", "b", "c", "d", "e"]);
  const chunks = await putMany(24);
  const dead = keepers.slice(0, 2);
  const live = (chunk: string) =>
    world.holders(chunk).filter((name) => !dead.some((keeper) => keeper.name === name)).length;
  const endangered = chunks.filter((chunk) => live(chunk) === 1);
  const short = chunks.filter((chunk) => live(chunk) === 2);
  expect([endangered.length > 0, short.length > 0]).toEqual([true, true]);
  await world.live(8_000, dead);
  const first = await statusNow();
  expect(first.repairs).toMatchObject({
    endangered: 0,
    waiting: chunks.filter((chunk) => live(chunk) < 3).length,
    running: 0,
    queued: 0,
  });
  expect(new Set(copied())).toEqual(new Set(endangered));
  const { waitMs = 0 } = first.repairs;
  expect(waitMs).toBeGreaterThan(20_000);
  expect(waitMs).toBeLessThanOrEqual(30_000);
  await world.live(waitMs + 6_000, dead);
  expect((await statusNow()).repairs).toMatchObject({ waiting: 0, endangered: 0 });
  expect((await statusNow()).chunks.under).toBe(0);
});

test("a keeper takes part in no more copies at once than it may, as source or destination", async () => {
  world = await World.start({ ...QUICK, repair_streams: "64", repair_delay: "0s" });
  world.settings.repair_per_keeper = 1;
  const keepers = await world.addKeepers(["a", "b", "c", "d", "e", "f", "g"]);
  await putMany(40);
  const dead = keepers.slice(0, 1);
  await whileHanging(() => world.live(9_000, dead));
  // Six are left: three pairs of a source and a destination.
  expect(world.commands("replicate").length).toBeLessThanOrEqual(3);
  expect(world.commands("replicate").length).toBeGreaterThan(0);
  const { repairs } = await statusNow();
  expect(repairs.running).toBe(world.commands("replicate").length);
  expect(repairs.queuedBytes).toBe((repairs.running + repairs.queued) * 10);
});

test("each copy has its share of what a destination may be brought", async () => {
  const pace = { repair_bandwidth: "8MiB", balance_bandwidth: "1MiB", repair_per_keeper: "4" };
  world = await World.start({ ...QUICK, ...pace, repair_delay: "0s" });
  const keepers = await world.addKeepers(["a", "b", "c", "d"]);
  await putMany(6);
  await world.live(9_000, keepers.slice(0, 1));
  const paces = () => new Set(world.keepers.flatMap(({ paces }) => paces));
  expect(paces()).toEqual(new Set([2 * MIB]));
  await world.live(20_000);
  for (const keeper of world.keepers) keeper.paces.length = 0;
  const drained = world.reader.keepers()[1]?.id ?? "";
  await world.writer.submit({ kind: "keeper.drain", keeper: drained, on: true });
  await world.live(5_000);
  expect(paces()).toEqual(new Set([MIB / 4]));
});

test("without a cap copies go as fast as they can, and a chunk is never copied twice at once", async () => {
  world = await World.start({ ...QUICK, repair_bandwidth: "0", repair_delay: "0s" });
  const keepers = await world.addKeepers(["a", "b", "c", "d", "e"]);
  const chunks = await putMany(3);
  await whileHanging(() => world.live(20_000, keepers.slice(0, 2)));
  const begun = copied();
  expect(begun.length).toBeGreaterThan(0);
  expect(new Set(begun).size).toBe(begun.length);
  expect(begun.every((chunk) => chunks.includes(chunk))).toBe(true);
  expect(new Set(world.keepers.flatMap(({ paces }) => paces))).toEqual(new Set([undefined]));
});

test("a keeper that blinks within the delay causes no copy", async () => {
  world = await World.start({ ...QUICK, repair_delay: "20s" });
  const keepers = await world.addKeepers(["a", "b", "c", "d"]);
  await putMany(10);
  for (let blink = 0; blink < 3; blink++) {
    await world.live(15_000, keepers.slice(0, 1));
    expect((await statusNow()).repairs.waiting).toBeGreaterThan(0);
    await world.live(5_000);
  }
  expect(copied()).toEqual([]);
  expect((await statusNow()).repairs.waiting).toBe(0);
});

test("while too few keepers are alive nothing is copied, and it is told why", async () => {
  world = await World.start({ ...QUICK, repair_delay: "0s", safe_share: "70" });
  const keepers = await world.addKeepers(["a", "b", "c", "d", "e"]);
  const chunks = await putMany(10);
  await world.live(8_000);
  expect((await statusNow()).safeMode).toBeUndefined();
  await world.live(30_000, keepers.slice(0, 2));
  const { safeMode, repairs } = await statusNow();
  expect(safeMode?.reason).toMatch(/^only 3 of 5 keepers are alive /);
  expect(safeMode?.holdsRepairs).toBe(true);
  expect(repairs.endangered).toBeGreaterThan(0);
  expect(copied()).toEqual([]);
  await world.live(12_000, keepers.slice(0, 1));
  expect(copied().length).toBeGreaterThan(0);
  expect((await statusNow()).safeMode).toBeUndefined();
  for (const chunk of chunks) expect(world.holders(chunk).length).toBeGreaterThanOrEqual(3);
});

test("after a start nothing is deleted while chunks are missing, but endangered ones are copied", async () => {
  world = await World.start({ ...QUICK, repair_delay: "1h", trash_ttl: "1s", grace: "1s" });
  const keepers = await world.addKeepers(["a", "b", "c", "d"]);
  const only = await world.put("/only", { replicas: 2 });
  const pair = await world.put("/pair", { replicas: 2 });
  await world.put("/gone");
  await world.live(8_000);
  await world.ask(fileRemove, { path: "/gone", recursive: false });
  const [one, other] = world.holders(only).map((name) => world.keeper(name));
  if (one === undefined || other === undefined) throw new Error("two holders");
  await world.stopRoles();
  await world.startRoles();
  // As if these two had come back with empty disks.
  for (const keeper of [one, other]) keeper.chunks.delete(only);
  const [kept, lost] = world.holders(pair).map((name) => world.keeper(name));
  lost?.chunks.delete(pair);
  for (const keeper of keepers) keeper.obeysRegister = true;
  await world.live(30_000);
  const held = await statusNow();
  expect(held.safeMode?.reason).toMatch(/^no living keeper has 1 of 2 chunks /);
  expect(held.safeMode?.holdsRepairs).toBe(false);
  expect(world.commands("delete")).toEqual([]);
  expect(kept).toBeDefined();
  expect(copied()).toEqual([pair]);
  // One is back with what it had.
  one.chunks.set(only, 10);
  await one.list();
  await world.live(10_000);
  expect((await statusNow()).safeMode).toBeUndefined();
  expect(world.commands("delete").length).toBeGreaterThan(0);
});

test("what was lost before a start does not hold safe mode", async () => {
  world = await World.start({ ...QUICK, repair_delay: "1h" });
  await world.addKeepers(["a", "b", "c"]);
  const chunk = await world.put("/f", { replicas: 2 });
  for (const name of world.holders(chunk)) {
    const keeper = world.keeper(name);
    keeper.chunks.delete(chunk);
    await keeper.lost([chunk]);
  }
  await world.live(8_000);
  await world.stopRoles();
  await world.startRoles();
  for (const keeper of world.keepers) keeper.obeysRegister = true;
  await world.live(15_000);
  const { safeMode, chunks } = await statusNow();
  expect(safeMode).toBeUndefined();
  expect(chunks.lost).toBe(1);
});
