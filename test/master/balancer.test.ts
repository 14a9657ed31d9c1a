/** Keepers that are made even, on a test's clock. */
import { afterEach, expect, test } from "bun:test";
import { clusterStatus } from "../../src/wire/cluster.ts";
import { clusterRebalance } from "../../src/wire/operator.ts";
import { World } from "./world.ts";

let world: World;
afterEach(() => world.stop());

const QUICK = { dead_after: "4s", suspect_after: "2s", replicas: "3" };
/** Room beyond what keepers hold: files are of 10 bytes. */
const FREE = 400;

const rebalance = (action: "plan" | "start" | "stop") => world.ask(clusterRebalance, { action });
const held = () => world.keepers.map(({ chunks }) => chunks.size * 10);

/** Beats tell what is left of each keeper's room. */
async function live(ms: number): Promise<void> {
  for (let passed = 0; passed < ms; passed += 1_000) {
    for (const keeper of world.keepers) keeper.freeBytes = FREE - keeper.chunks.size * 10;
    await world.live(1_000);
  }
}

async function start(flags: Record<string, string>, files = 20): Promise<void> {
  world = await World.start({ ...QUICK, ...flags });
  await world.addKeepers(["a", "b", "c"], { freeBytes: FREE });
  for (let file = 0; file < files; file++) await world.put(`/f${file}`);
  await live(8_000);
}

test("a new keeper fills by itself beyond the threshold, up to half of it, and no further", async () => {
  await start({ balance_threshold: "10" });
  expect(world.commands("replicate")).toEqual([]);
  await world.addKeepers(["d"], { freeBytes: FREE });
  await live(60_000);
  const { balance, chunks, repairs } = await world.ask(clusterStatus, {});
  expect(balance.running).toBe(false);
  expect(balance.spreadPercent).toBeLessThanOrEqual(5);
  expect(chunks).toMatchObject({ atGoal: 20, under: 0 });
  expect(repairs.running).toBe(0);
  // No more than its lack of the mean was moved, and each copy given up elsewhere.
  const moved = world.commands("replicate");
  expect(moved.every((command) => command.startsWith("d:"))).toBe(true);
  expect(moved.length).toBeLessThanOrEqual(15);
  expect(held().reduce((sum, bytes) => sum + bytes, 0)).toBe(600);
  await live(60_000);
  expect(world.commands("replicate")).toEqual(moved);
});

test("below the threshold nothing moves but by command, which ends by itself", async () => {
  await start({ balance_threshold: "0" });
  await world.addKeepers(["d"], { freeBytes: FREE });
  await live(15_000);
  expect(world.commands("replicate")).toEqual([]);
  const plan = await rebalance("plan");
  expect(plan).toMatchObject({ running: false, moveBytes: 150 });
  expect(plan.steps.find(({ name }) => name === "d")).toMatchObject({
    usedPercent: 0,
    moveBytes: 150,
  });
  expect(await rebalance("start")).toMatchObject({ running: true });
  await live(40_000);
  const even = await rebalance("plan");
  expect(even.spreadPercent).toBeLessThanOrEqual(2);
  expect(even).toMatchObject({ running: false, moveBytes: 0 });
  expect(world.reader.balanceWanted()).toBe(false);
  expect(await rebalance("start")).toMatchObject({ running: false });
});

test("balancing goes on after a restart of the master, and is stopped by command", async () => {
  await start({ balance_threshold: "0", repair_streams: "1" });
  await world.addKeepers(["d"], { freeBytes: FREE });
  await live(1_000);
  await rebalance("start");
  await rebalance("stop");
  await live(20_000);
  expect(world.commands("replicate")).toEqual([]);
  await rebalance("start");
  await world.stopRoles();
  await world.startRoles();
  for (const keeper of world.keepers) keeper.obeysRegister = true;
  await live(40_000);
  expect((await rebalance("plan")).spreadPercent).toBeLessThanOrEqual(2);
});

test("nothing is moved while a repair is due, nor where no chunk can go", async () => {
  await start({ balance_threshold: "10", repair_delay: "0s" });
  const [late] = await world.addKeepers(["d"], { freeBytes: FREE });
  const [a] = world.keepers;
  if (late === undefined || a === undefined) throw new Error("keepers");
  late.refuses = "unavailable";
  await live(4_000);
  const tries = world.commands("replicate").length;
  expect(tries).toBeGreaterThan(0);
  expect(world.commands("delete")).toEqual([]);
  late.refuses = undefined;
  await live(60_000);
  expect((await world.ask(clusterStatus, {})).balance.spreadPercent).toBeLessThanOrEqual(5);
});
