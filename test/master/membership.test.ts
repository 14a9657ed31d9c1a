/** Keepers that are emptied and forgotten, and zones that stay apart: a whole master on a test's clock. */
import { afterEach, expect, test } from "bun:test";
import { clusterStatus } from "../../src/wire/cluster.ts";
import { keeperDrain, keeperRemove } from "../../src/wire/operator.ts";
import type { FakeKeeper } from "./fake_keeper.ts";
import { codeOf, failureOf, World } from "./world.ts";

let world: World;
afterEach(() => world.stop());

const QUICK = { dead_after: "4s", suspect_after: "2s", repair_delay: "1s" };

const drain = (keeper: string, on = true) => world.ask(keeperDrain, { keeper, on });
const remove = (keeper: string, force = false) => world.ask(keeperRemove, { keeper, force });

async function stateOf(name: string) {
  const { keepers } = await world.ask(clusterStatus, {});
  return keepers.find((keeper) => keeper.name === name);
}

/** Puts files until each keeper has some. */
async function putMany(count: number): Promise<string[]> {
  const chunks: string[] = [];
  for (let file = 0; file < count; file++) chunks.push(await world.put(`/f${file}`));
  return chunks;
}

test("a drained keeper takes nothing, loses its copies to others, and is safe to remove", async () => {
  world = await World.start(QUICK);
  await world.addKeepers(["a", "b", "c", "d"]);
  const chunks = await putMany(12);
  await world.live(8_000);
  const held = chunks.filter((chunk) => world.holders(chunk).includes("a")).length;
  expect(held).toBeGreaterThan(0);
  const first = await drain("a");
  expect(first).toMatchObject({ name: "a", chunksLeft: held, safeToRemove: false, stuck: 0 });
  expect(await codeOf(remove("a"))).toBe("conflict");
  expect((await stateOf("a"))?.state).toBe("DRAINING");
  const later = await world.put("/later");
  expect(world.holders(later)).not.toContain("a");
  await world.live(6_000);
  for (const chunk of chunks) {
    expect(world.holders(chunk).filter((name) => name !== "a")).toHaveLength(3);
  }
  expect(await drain("a")).toMatchObject({ chunksLeft: 0, bytesLeft: 0, safeToRemove: true });
  expect((await stateOf("a"))?.drain).toEqual({ chunksLeft: 0, safeToRemove: true });
  // What is too much is given up there, and nowhere else.
  await world.live(8_000);
  expect(world.commands("delete").every((command) => command.startsWith("a:"))).toBe(true);
  expect(world.keeper("a").chunks.size).toBe(0);
  expect(await remove("a")).toMatchObject({ name: "a", short: 0, lost: 0, more: false });
  expect(await stateOf("a")).toBeUndefined();
  expect(world.commands("retire")).toEqual(["a: retire"]);
});

test("a keeper is drained up to what the others can take, and that is told", async () => {
  world = await World.start(QUICK);
  await world.addKeepers(["a", "b", "c"]);
  await world.put("/f");
  await world.live(8_000);
  await drain("a");
  await world.live(3_000);
  expect(await drain("a")).toMatchObject({ chunksLeft: 1, stuck: 1, safeToRemove: false });
  expect(await codeOf(remove("a"))).toBe("conflict");
  // The copy stays: nothing is given up that is needed.
  await world.live(20_000);
  expect(world.commands("delete")).toEqual([]);
  await world.addKeepers(["d"]);
  await world.live(12_000);
  expect(await drain("a")).toMatchObject({ chunksLeft: 0, safeToRemove: true });
});

test("drain is refused when the others could never hold the copies", async () => {
  world = await World.start(QUICK);
  const [a] = await world.addKeepers(["a", "b"]);
  expect(await failureOf(drain("a"))).toMatchObject({
    code: "no-keepers",
    message: 'Cannot drain keeper "a": a chunk needs 2 copies, and only 1 other keeper can take ' +
      "one; start another keeper first",
  });
  await world.addKeepers(["c"], { freeBytes: 5 });
  await world.put("/f");
  if (world.keepers[1] !== undefined) world.keepers[1].freeBytes = 3;
  await world.live(2_000);
  expect(a?.chunks.size).toBe(1);
  expect(await codeOf(drain("a"))).toBe("no-space");
  expect(await codeOf(drain("nobody"))).toBe("not-found");
});

test("a drain that is stopped leaves the keeper as it is", async () => {
  world = await World.start({ ...QUICK, balance_bandwidth: "1MiB" });
  await world.addKeepers(["a", "b", "c", "d"]);
  await putMany(4);
  await world.live(8_000);
  await drain("a");
  expect(await drain("a", false)).toMatchObject({ name: "a", safeToRemove: false });
  await world.live(10_000);
  expect(world.commands("replicate")).toEqual([]);
  expect(await stateOf("a")).toMatchObject({ state: "ALIVE" });
  expect((await stateOf("a"))?.drain).toBeUndefined();
});

test("draining goes on after a restart of the master", async () => {
  world = await World.start({ ...QUICK, repair_streams: "1" });
  await world.addKeepers(["a", "b", "c", "d"]);
  await putMany(6);
  await world.live(8_000);
  await drain("a");
  await world.stopRoles();
  await world.startRoles();
  for (const keeper of world.keepers) keeper.obeysRegister = true;
  await world.live(16_000);
  expect(await drain("a")).toMatchObject({ safeToRemove: true });
});

test("a keeper gone for good is forgotten, holds safe mode no more, and may come back", async () => {
  world = await World.start({ ...QUICK, safe_share: "60", maintenance_window: "1h" });
  await world.addKeepers(["a", "b", "c", "d", "e"]);
  const chunks = await putMany(10);
  await world.live(8_000);
  const gone = [world.keeper("a"), world.keeper("b"), world.keeper("c")];
  await world.live(8_000, gone);
  const before = await world.ask(clusterStatus, {});
  expect(before.safeMode?.reason).toMatch(/^only 2 of 5 keepers are alive /);
  expect(before.safeMode?.holdsRepairs).toBe(true);
  expect(world.commands("replicate")).toEqual([]);
  expect(await codeOf(remove("a"))).toBe("conflict");
  const costs = { short: 0, lost: 0 };
  for (const name of ["a", "b", "c"]) {
    const { short, lost } = await remove(name, true);
    costs.short += short;
    costs.lost += lost;
  }
  const lost = chunks.filter((chunk) => world.holders(chunk).length === 0);
  expect(costs.lost).toBe(lost.length);
  expect(costs.short).toBeGreaterThan(0);
  await world.live(8_000, gone);
  const after = await world.ask(clusterStatus, {});
  expect(after.safeMode).toBeUndefined();
  expect(after.keepers.map(({ name }) => name)).toEqual(["d", "e"]);
  expect(after.chunks.lost).toBe(lost.length);
  for (const chunk of chunks) {
    if (!lost.includes(chunk)) expect(world.holders(chunk).sort()).toEqual(["d", "e"]);
  }
  // Its process of then is told to end; one that is started anew joins, and what it has counts.
  world.keeper("a").beat();
  await world.live(1_000, gone);
  expect(world.commands("retire").filter((command) => command.startsWith("a:"))).not.toEqual([]);
  expect(await codeOf(world.keeper("a").join())).toBe("denied");
  for (const keeper of gone) {
    keeper.epoch++;
    await keeper.join();
  }
  await world.live(3_000);
  expect((await world.ask(clusterStatus, {})).chunks.lost).toBe(0);
});

test("copies keep to distinct zones through repair, drain and return", async () => {
  world = await World.start(QUICK);
  const zones: Record<string, string> = { a: "x", b: "x", c: "y", d: "y", e: "z", f: "z" };
  for (const [label, zone] of Object.entries(zones)) await world.addKeepers([label], { zone });
  const chunks = await putMany(20);
  const zonesOf = (chunk: string) => new Set(world.holders(chunk).map((name) => zones[name])).size;
  const expectApart = (away: readonly string[]) => {
    for (const chunk of chunks) {
      const living = world.holders(chunk).filter((name) => !away.includes(name));
      expect(living.length).toBeGreaterThanOrEqual(3);
      expect(zonesOf(chunk)).toBe(3);
      expect(new Set(living.map((name) => zones[name])).size).toBe(3);
    }
  };
  expectApart([]);
  await world.live(8_000);
  const dead: FakeKeeper[] = [world.keeper("a")];
  await world.live(15_000, dead);
  expectApart(["a"]);
  await world.live(20_000);
  expectApart([]);
  await drain("c");
  await world.live(20_000);
  expectApart(["c"]);
  expect(world.keeper("c").chunks.size).toBe(0);
});
