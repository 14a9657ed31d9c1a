/** The sentinel: states by silence, slots by heartbeats, epochs, who must register again. */
import { afterEach, expect, test } from "bun:test";
import { clusterStatus } from "../../src/wire/cluster.ts";
import { FakeKeeper } from "./fake_keeper.ts";
import { codeOf, World } from "./world.ts";

let world: World;
afterEach(() => world.stop());

const small = new Uint8Array(100).fill(1);
const large = new Uint8Array(2 ** 20).fill(2);

test("A silent keeper becomes suspect, then dead, then is back", async () => {
  world = await World.start();
  const [keeper] = await world.addKeepers(["a", "b"]);
  if (keeper === undefined) throw new Error("No keeper");
  expect(world.state(keeper)).toBe("ALIVE");
  await world.live(3_500, [keeper]);
  expect(world.state(keeper)).toBe("SUSPECT");
  await world.live(8_000, [keeper]);
  expect(world.state(keeper)).toBe("DEAD");
  expect(world.events("keeper-lost")).toMatchObject([{ keeper: keeper.name }]);
  await world.live(2_000);
  expect(world.state(keeper)).toBe("ALIVE");
  expect(world.events("keeper-back")).toMatchObject([{ keeper: keeper.name }]);
  expect(keeper.commands).toContain("inventory");
});

test("A keeper that leaves in good order is suspect at once and dead soon", async () => {
  world = await World.start();
  const [keeper] = await world.addKeepers(["a", "b"]);
  if (keeper === undefined) throw new Error("No keeper");
  keeper.beat({ leaving: true });
  await world.live(1_000, [keeper]);
  expect(world.state(keeper)).toBe("SUSPECT");
  await world.live(3_000, [keeper]);
  expect(world.state(keeper)).toBe("DEAD");
  expect(world.tables.keepers.find(keeper.number)?.left).toBe(true);
  keeper.beat();
  await world.clock.advance(0);
  expect(world.tables.keepers.find(keeper.number)).toMatchObject({ state: "ALIVE", left: false });
});

test("A death frees all slots of the keeper", async () => {
  world = await World.start();
  const [keeper] = await world.addKeepers(["a", "b", "c"]);
  if (keeper === undefined) throw new Error("No keeper");
  keeper.beat({ inUse: [3, 2] });
  await world.clock.advance(0);
  expect(world.inUse()).toBe(5);
  await world.live(12_000, [keeper]);
  expect(world.inUse()).toBe(0);
});

test("Slots live as long as heartbeats list them, and end with them", async () => {
  world = await World.start();
  await world.addKeepers(["a", "b"], { ports: [7000] });
  const placement = await world.beginOnly("/slow", small);
  const { hops } = world.open(placement);
  expect(world.inUse()).toBe(2);
  for (let second = 0; second < 5; second++) {
    // The head lists its own grant and the one it holds for the next hop; the next hop lists its
    // own.
    for (const [index, hop] of hops.entries()) {
      const grants = [hops.slice(index).map(({ grant }) => grant)];
      world.keeper(hop.keeper).beat({ grants, inUse: [1] });
    }
    await world.clock.advance(1_000);
    // Each stream counts once: by its slot, not as a reader besides.
    expect(world.inUse()).toBe(2);
  }
  for (const hop of hops) world.keeper(hop.keeper).beat();
  await world.clock.advance(0);
  expect(world.inUse()).toBe(0);
});

test("The head's beat keeps the slots of hops that have not connected yet", async () => {
  world = await World.start();
  await world.addKeepers(["a", "b"], { ports: [7000] });
  const { hops } = world.open(await world.beginOnly("/slow", small));
  const [head, next] = hops;
  if (head === undefined || next === undefined) throw new Error("No chain");
  for (let second = 0; second < 4; second++) {
    world.keeper(head.keeper).beat({ grants: [[head.grant, next.grant]], inUse: [1] });
    world.keeper(next.keeper).beat();
    await world.clock.advance(1_000);
    expect(world.inUse()).toBe(2);
  }
  // The head has done its part; the other's slot ends by its lease at the latest.
  world.keeper(head.keeper).beat();
  await world.clock.advance(2_000);
  expect(world.inUse()).toBe(0);
});

test("Readers, and streams whose slots have run out, count as in use", async () => {
  world = await World.start();
  const [keeper] = await world.addKeepers(["a", "b"], { ports: [7000], slots: 2 });
  if (keeper === undefined) throw new Error("No keeper");
  const { hops } = world.open(await world.beginOnly("/x", small));
  const grant = hops.find((hop) => hop.keeper === keeper.id)?.grant ?? 0;
  await world.clock.advance(3_000);
  keeper.beat({ grants: [[grant]], inUse: [2] });
  world.keeper("b").beat();
  await world.clock.advance(0);
  expect(world.inUse()).toBe(2);
  // Short chunks go without a slot.
  expect(await codeOf(world.beginOnly("/y", large))).toBe("busy");
});

test("Late and doubled beats change nothing", async () => {
  world = await World.start();
  const [keeper] = await world.addKeepers(["a", "b"]);
  if (keeper === undefined) throw new Error("No keeper");
  keeper.beat({ beat: 50, freeBytes: 500 });
  keeper.beat({ beat: 49, freeBytes: 499 });
  keeper.beat({ beat: 50, freeBytes: 501 });
  await world.clock.advance(0);
  expect(world.tables.keepers.find(keeper.number)?.freeBytes).toBe(500);
});

test("A beat for another keeper, or of an unknown one, is not believed", async () => {
  world = await World.start();
  const [keeper] = await world.addKeepers(["a", "b"]);
  if (keeper === undefined) throw new Error("No keeper");
  const stranger = new FakeKeeper(world.bus, "stranger");
  stranger.beat({ keeper: keeper.id, beat: 1_000, freeBytes: 1 });
  await world.clock.advance(0);
  expect(world.tables.keepers.find(keeper.number)?.freeBytes).toBe(keeper.freeBytes);
  for (let beats = 0; beats < 5; beats++) stranger.beat();
  await world.clock.advance(0);
  expect(stranger.commands).toEqual(["register"]);
});

test("Of two processes with one id the newer wins, and the older is told to retire", async () => {
  world = await World.start();
  const [keeper] = await world.addKeepers(["a", "b"]);
  if (keeper === undefined) throw new Error("No keeper");
  keeper.epoch = 2;
  keeper.beat();
  await world.clock.advance(0);
  expect(keeper.commands).toEqual(["register"]);
  await keeper.join({ epoch: 2, ports: [7100] });
  keeper.ports = [7100];
  keeper.beat();
  await world.clock.advance(0);
  expect(world.tables.keepers.find(keeper.number)?.epoch).toBe(2);
  keeper.beat({ epoch: 1, freeBytes: 1 });
  await world.clock.advance(0);
  expect(keeper.commands).toEqual(["register", "retire"]);
  expect(world.tables.keepers.find(keeper.number)?.freeBytes).toBe(keeper.freeBytes);
  expect(await codeOf(keeper.join({ epoch: 1 }))).toBe("stale-epoch");
});

test("After a restart of the master keepers serve at their first beat, and register again", async () => {
  world = await World.start();
  const [keeper] = await world.addKeepers(["a", "b"]);
  if (keeper === undefined) throw new Error("No keeper");
  await world.put("/kept", { replicas: 2 });
  await world.stopRoles();
  await world.startRoles();
  expect(world.state(keeper)).toBe("JOINING");
  keeper.beat();
  await world.clock.advance(0);
  expect(world.state(keeper)).toBe("ALIVE");
  expect(keeper.commands).toEqual(["register"]);
  await keeper.join();
  keeper.beat();
  await world.live(3_000);
  expect(keeper.commands).toEqual(["register"]);
  // One that does not come back is dead after the usual silence.
  await world.live(12_000, [world.keeper("b")]);
  expect(world.state(world.keeper("b"))).toBe("DEAD");
});

test("A sentinel that was held up does not take its own deafness for silence", async () => {
  world = await World.start();
  const [keeper] = await world.addKeepers(["a", "b"]);
  if (keeper === undefined) throw new Error("No keeper");
  await world.live(2_000);
  // All timers stand still for a minute, as when the machine or the process is stopped.
  await world.sentinel.stop();
  await world.clock.advance(60_000);
  world.sentinel.tick();
  expect(world.state(keeper)).toBe("ALIVE");
});

test("Joining is refused to strangers to the list, to other protocols, and to impostors", async () => {
  world = await World.start({ keepers: "a,b" });
  const [first] = await world.addKeepers(["a"]);
  if (first === undefined) throw new Error("No keeper");
  expect(await codeOf(new FakeKeeper(world.bus, "c").join())).toBe("denied");
  expect(await codeOf(new FakeKeeper(world.bus, "b").join({ protocol: 99 }))).toBe("invalid");
  expect(await codeOf(new FakeKeeper(world.bus, "b").join({ keeper: first.id }))).toBe("denied");
  expect((await new FakeKeeper(world.bus, "b").join()).masterEpoch).toBe(1);
});

test("cluster.status shows keepers, ports and counts", async () => {
  world = await World.start();
  await world.addKeepers(["a", "b", "c"], { zone: "z1" });
  await world.put("/one");
  await world.live(1_000);
  const status = await world.ask(clusterStatus, {});
  expect(status).toMatchObject({ cluster: "main", files: 1, bytes: 10, replicas: 3, minCopies: 2 });
  expect(status.chunks).toEqual({
    total: 1,
    atGoal: 1,
    under: 0,
    lost: 0,
    misplaced: 0,
    blocked: 0,
  });
  expect(status.keepers.map(({ name }) => name)).toEqual(["a", "b", "c"]);
  expect(status.keepers[0]).toMatchObject({ state: "ALIVE", labels: { zone: "z1" }, chunks: 1 });
  expect(status.keepers[0]?.ports).toMatchObject([
    { port: 7000, state: "FREE", slots: 8, inUse: 0 },
    { port: 7001, state: "FREE", slots: 8, inUse: 0 },
  ]);
});
