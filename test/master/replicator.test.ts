/**
 * The replicator: repairs after the delay or at once, trims surplus, removes orphans; deletes
 * nothing in an unsettled cluster.
 */
import { afterEach, expect, test } from "bun:test";
import { fileRemove } from "../../src/wire/file.ts";
import { clusterStatus } from "../../src/wire/cluster.ts";
import { commandReplicate } from "../../src/wire/command.ts";
import { FakeKeeper } from "./fake_keeper.ts";
import { World } from "./world.ts";
import { QUIET_REPAIRS } from "../quiet_status.ts";

let world: World;
afterEach(() => world.stop());

const QUICK = { dead_after: "4s", suspect_after: "2s" };

/** The keepers of a chunk, and one that has none. */
function cast(chunk: string): { holders: FakeKeeper[]; others: FakeKeeper[] } {
  const names = world.holders(chunk);
  return {
    holders: world.keepers.filter(({ name }) => names.includes(name)),
    others: world.keepers.filter(({ name }) => !names.includes(name)),
  };
}

/** One keeper off for good. */
function take(keepers: FakeKeeper[], count: number): FakeKeeper[] {
  return keepers.slice(0, count);
}

test("A chunk of a dead keeper is copied to another after the delay, and not before", async () => {
  world = await World.start({ ...QUICK, repair_delay: "20s" });
  await world.addKeepers(["a", "b", "c", "d"]);
  const chunk = await world.put("/f");
  const { holders, others } = cast(chunk);
  const dead = take(holders, 1);
  await world.live(20_000, dead);
  expect(world.commands("replicate")).toEqual([]);
  const waiting = await world.ask(clusterStatus, {});
  expect(waiting.chunks).toEqual({
    total: 1,
    atGoal: 0,
    under: 1,
    lost: 0,
    misplaced: 0,
    blocked: 0,
  });
  await world.live(6_000, dead);
  expect(world.commands("replicate")).toEqual([`${others[0]?.name}: replicate ${chunk}`]);
  expect(world.holders(chunk)).toHaveLength(4);
  await world.live(1_000, dead);
  const whole = await world.ask(clusterStatus, {});
  expect(whole.chunks).toEqual({
    total: 1,
    atGoal: 1,
    under: 0,
    lost: 0,
    misplaced: 0,
    blocked: 0,
  });
  expect(whole.repairs).toEqual(QUIET_REPAIRS);
  expect(world.events("repaired")).toMatchObject([{ chunk, keeper: others[0]?.name }]);
});

test("A chunk with one live copy left is copied at once", async () => {
  world = await World.start({ ...QUICK, repair_delay: "1h" });
  await world.addKeepers(["a", "b", "c", "d"]);
  const chunk = await world.put("/f");
  const { holders, others } = cast(chunk);
  await world.live(6_000, take(holders, 2));
  expect(world.commands("replicate")).toEqual([`${others[0]?.name}: replicate ${chunk}`]);
});

test("A keeper that left in good order has the maintenance window", async () => {
  world = await World.start({ ...QUICK, repair_delay: "1s", maintenance_window: "30s" });
  await world.addKeepers(["a", "b", "c", "d"]);
  const chunk = await world.put("/f");
  const [leaver] = cast(chunk).holders;
  if (leaver === undefined) throw new Error("No holder");
  leaver.beat({ leaving: true });
  await world.live(25_000, [leaver]);
  expect(world.commands("replicate")).toEqual([]);
  await world.live(12_000, [leaver]);
  expect(world.commands("replicate")).toHaveLength(1);
});

test("A chunk that its chain left short is completed, but not while it is young", async () => {
  world = await World.start();
  await world.addKeepers(["a", "b", "c", "d"]);
  const placement = await world.beginOnly("/f", new Uint8Array(9));
  await world.store(placement, 2);
  await world.live(2_000);
  expect(world.commands("replicate")).toEqual([]);
  await world.live(3_000);
  expect(world.commands("replicate")).toHaveLength(1);
  expect(world.holders(placement.chunk)).toHaveLength(3);
});

test("Without another keeper a short chunk counts as under, and nothing is queued for ever", async () => {
  world = await World.start();
  await world.addKeepers(["a", "b"]);
  await world.put("/f");
  await world.live(8_000);
  const status = await world.ask(clusterStatus, {});
  expect(status.chunks).toEqual({
    total: 1,
    atGoal: 0,
    under: 1,
    lost: 0,
    misplaced: 0,
    blocked: 0,
  });
  expect(status.repairs).toEqual(QUIET_REPAIRS);
  await world.addKeepers(["c"]);
  await world.live(4_000);
  expect(world.commands("replicate")).toHaveLength(1);
});

test("A chunk without a live copy counts as lost until a holder is back", async () => {
  world = await World.start({ ...QUICK, repair_delay: "1s" });
  await world.addKeepers(["a", "b", "c"]);
  const chunk = await world.put("/f", { replicas: 2 });
  const { holders } = cast(chunk);
  await world.live(10_000, holders);
  const status = await world.ask(clusterStatus, {});
  expect(status.chunks).toEqual({
    total: 1,
    atGoal: 0,
    under: 0,
    lost: 1,
    misplaced: 0,
    blocked: 0,
  });
  expect(world.commands("replicate")).toEqual([]);
  await world.live(2_000);
  expect((await world.ask(clusterStatus, {})).chunks.lost).toBe(0);
});

test("A fresh death never looks whole in the status", async () => {
  world = await World.start({ ...QUICK, repair_delay: "1h" });
  await world.addKeepers(["a", "b", "c", "d"]);
  const chunk = await world.put("/f");
  const dead = take(cast(chunk).holders, 1);
  for (let second = 0; second < 6; second++) {
    await world.live(1_000, dead);
    const { chunks } = await world.ask(clusterStatus, {});
    const states = dead.map((keeper) => world.state(keeper));
    expect(chunks.under).toBe(states.includes("DEAD") ? 1 : 0);
  }
});

test("A failing repair pauses longer and longer, and asks the sources to look at their copies", async () => {
  world = await World.start({ repair_streams: "1" });
  const keepers = await world.addKeepers(["a", "b", "c"]);
  const placement = await world.beginOnly("/f", new Uint8Array(9));
  await world.store(placement, 2);
  for (const keeper of keepers) keeper.refuses = "corrupt";
  await world.live(30_000);
  const tries = world.commands("replicate").length;
  expect(tries).toBeGreaterThan(2);
  expect(tries).toBeLessThan(9);
  expect(world.commands("verify").length).toBeGreaterThan(0);
  for (const keeper of keepers) keeper.refuses = undefined;
  await world.live(60_000);
  expect(world.holders(placement.chunk)).toHaveLength(3);
});

test("Repairs are bounded, in all and by destination", async () => {
  world = await World.start({ ...QUICK, repair_streams: "4", repair_delay: "1s" });
  // So many that sources and destinations for all four can be found, whoever begins.
  await world.addKeepers(["a", "b", "c", "d", "e", "f", "g"]);
  for (let file = 0; file < 40; file++) await world.put(`/f${file}`);
  const [dead] = world.keepers;
  if (dead === undefined) throw new Error("No keeper");
  for (const keeper of world.keepers) keeper.hangs = true;
  // Hung answers: what has begun stays under way.
  const stored = FakeKeeper.prototype.stored;
  FakeKeeper.prototype.stored = () => new Promise(() => {});
  await world.live(9_000, [dead]);
  FakeKeeper.prototype.stored = stored;
  const begun = world.commands(commandReplicate.name);
  expect(begun).toHaveLength(4);
  for (const { name } of world.keepers) {
    expect(begun.filter((command) => command.startsWith(`${name}:`)).length).toBeLessThan(3);
  }
  const status = await world.ask(clusterStatus, {});
  expect(status.repairs.running).toBe(4);
  expect(status.repairs.queued).toBeGreaterThan(0);
});

test("A surplus copy is given up after a while, never below the goal", async () => {
  world = await World.start({ ...QUICK, repair_delay: "1s" });
  await world.addKeepers(["a", "b", "c", "d"]);
  const chunk = await world.put("/f");
  const dead = take(cast(chunk).holders, 1);
  await world.live(10_000, dead);
  expect(world.holders(chunk)).toHaveLength(4);
  await world.live(3_000);
  expect(world.commands("delete")).toEqual([]);
  await world.live(10_000);
  expect(world.commands("delete")).toHaveLength(1);
  expect(world.holders(chunk)).toHaveLength(3);
  await world.live(10_000);
  expect(world.commands("delete")).toHaveLength(1);
});

test("A surplus deletion without an answer costs no other copy", async () => {
  world = await World.start({ ...QUICK, repair_delay: "1s" });
  await world.addKeepers(["a", "b", "c", "d"]);
  const chunk = await world.put("/f");
  const dead = take(cast(chunk).holders, 1);
  await world.live(10_000, dead);
  for (const keeper of world.keepers) keeper.hangs = true;
  await world.live(70_000);
  for (const keeper of world.keepers) keeper.hangs = false;
  await world.live(40_000);
  expect(new Set(world.commands("delete")).size).toBe(1);
  // The copy that may or may not be gone is off the record: what is on record is really there.
  expect(world.holders(chunk)).toHaveLength(3);
  for (const name of world.holders(chunk)) {
    const keeper = world.keepers.find((each) => each.name === name);
    expect(keeper?.chunks.has(chunk)).toBe(true);
  }
});

test("A surplus is not trimmed by what has ceased to hold since it was seen", async () => {
  world = await World.start({ ...QUICK, repair_delay: "1s" });
  const [a, b, c, d] = await world.addKeepers(["a", "b", "c", "d"]);
  if (!a || !b || !c || !d) throw new Error("four keepers");
  const chunk = await world.put("/f");
  const others = [a, b, c, d].map(({ id }) => id);
  for (const keeper of [a, b, c, d]) {
    keeper.chunks.set(chunk, world.reader.chunk(chunk)?.sizeBytes ?? 0);
  }
  const release = (keeper: string, alive: string[]) =>
    world.writer.submit({ kind: "replica.release", keeper, chunks: [chunk], alive, atMs: 1 });
  // Three copies, goal three: none can be spared, whoever is alive.
  const holder = world.keepers.find(({ name }) => world.holders(chunk).includes(name));
  expect(await release(holder?.id ?? "", others)).toEqual({ released: [] });
  for (const keeper of [a, b, c, d]) await keeper.list();
  expect(world.holders(chunk)).toHaveLength(4);
  // Four copies, but one of the others is not alive.
  expect(await release(a.id, [b.id, c.id])).toEqual({ released: [] });
  expect(await release(a.id, others)).toEqual({ released: [chunk] });
  expect(await release(b.id, others)).toEqual({ released: [] });
});

test("Nothing is deleted while a living keeper has not told what it has", async () => {
  world = await World.start({ ...QUICK, trash_ttl: "1s", grace: "1s" });
  await world.addKeepers(["a", "b", "c"]);
  await world.put("/f");
  await world.ask(fileRemove, { path: "/f", recursive: false });
  const [late] = world.keepers;
  const list = late?.list.bind(late);
  if (late === undefined || list === undefined) throw new Error("a keeper");
  late.list = () => Promise.resolve();
  late.epoch++;
  await late.join();
  await world.live(30_000);
  expect(world.commands("delete")).toEqual([]);
  await list();
  await world.live(10_000);
  expect(world.commands("delete")).toHaveLength(3);
});

test("A removed file's chunks are deleted after trash and grace", async () => {
  world = await World.start({ ...QUICK, trash_ttl: "5s", grace: "5s" });
  await world.addKeepers(["a", "b", "c"]);
  const chunk = await world.put("/f");
  await world.live(5_000);
  await world.ask(fileRemove, { path: "/f", recursive: false });
  await world.live(9_000);
  expect(world.commands("delete")).toEqual([]);
  await world.live(4_000);
  expect(world.commands("delete").sort()).toEqual(
    ["a", "b", "c"].map((name) => `${name}: delete ${chunk}`),
  );
  expect(world.holders(chunk)).toEqual([]);
  expect(world.keepers.map(({ chunks }) => chunks.size)).toEqual([0, 0, 0]);
});

test("An orphan on a dead keeper waits for it", async () => {
  world = await World.start({ ...QUICK, trash_ttl: "1s", grace: "1s" });
  await world.addKeepers(["a", "b", "c"]);
  const chunk = await world.put("/f");
  await world.ask(fileRemove, { path: "/f", recursive: false });
  const dead = take(world.keepers, 1);
  await world.live(20_000, dead);
  expect(world.holders(chunk)).toEqual(["a"]);
  await world.live(10_000);
  expect(world.holders(chunk)).toEqual([]);
});

test("Nothing is deleted while most keepers are away", async () => {
  world = await World.start({ ...QUICK, trash_ttl: "1s", grace: "1s" });
  await world.addKeepers(["a", "b", "c"]);
  await world.put("/f");
  await world.ask(fileRemove, { path: "/f", recursive: false });
  const away = take(world.keepers, 2);
  await world.live(3_000, away);
  await world.live(30_000, away);
  expect(world.commands("delete")).toEqual([]);
  await world.live(10_000);
  expect(world.commands("delete")).toHaveLength(3);
});

test("Nothing is deleted or copied after a start before every known keeper was heard or is dead", async () => {
  world = await World.start({ ...QUICK, dead_after: "20s", trash_ttl: "1s", grace: "1s" });
  await world.addKeepers(["a", "b", "c", "d"]);
  await world.put("/gone");
  await world.ask(fileRemove, { path: "/gone", recursive: false });
  await world.store(await world.beginOnly("/short", new Uint8Array(9)), 2);
  await world.stopRoles();
  await world.startRoles();
  for (const keeper of world.keepers) keeper.obeysRegister = true;
  const away = take(world.keepers, 1);
  await world.live(19_000, away);
  expect([...world.commands("delete"), ...world.commands("replicate")]).toEqual([]);
  await world.live(5_000, away);
  expect(world.commands("replicate")).toHaveLength(1);
  expect(world.commands("delete")).toEqual([]);
  await world.live(25_000, away);
  expect(world.commands("delete").length).toBeGreaterThan(0);
});

test("A jump of the wall clock deletes nothing early", async () => {
  world = await World.start({ ...QUICK, trash_ttl: "1h", grace: "1h", upload_lease: "1m" });
  await world.addKeepers(["a", "b", "c"]);
  await world.put("/f");
  await world.ask(fileRemove, { path: "/f", recursive: false });
  await world.live(10_000);
  const wallMs = world.clock.wallMs.bind(world.clock);
  world.clock.wallMs = () => wallMs() + 30 * 86_400_000;
  await world.live(10_000);
  expect(world.commands("delete")).toEqual([]);
  expect(world.reader.trashDue(world.clock.wallMs())).toBe(true);
});

test("A lost replica is made good", async () => {
  world = await World.start();
  await world.addKeepers(["a", "b", "c"]);
  const chunk = await world.put("/f");
  const [keeper] = world.keepers;
  await keeper?.lost([chunk]);
  expect(world.holders(chunk)).toHaveLength(2);
  await world.live(5_000);
  expect(world.holders(chunk)).toHaveLength(3);
});
