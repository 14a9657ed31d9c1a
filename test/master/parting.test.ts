/** Rules that part the files of a pack: each kind comes to lie in packs of its own. */
import { afterEach, expect, test } from "bun:test";
import { silentLog } from "../../src/base/log.ts";
import { seededRandom } from "../../src/base/random.ts";
import { Compactor } from "../../src/master/compactor.ts";
import { clusterStatus } from "../../src/wire/cluster.ts";
import { fileCopy, fileLocate, fileRemove } from "../../src/wire/file.ts";
import { packCommit } from "../../src/wire/pack.ts";
import { ruleAdd, ruleApply, ruleRemove } from "../../src/wire/rule.ts";
import { bundleOf, FakeStore, type SmallContent, someFiles } from "./fake_store.ts";
import { TICKET_KEY, World } from "./world.ts";

const QUICK = { dead_after: "4s", suspect_after: "2s", repair_delay: "1s", grace: "5s" };
const ZONES = { a: "x", b: "x", c: "x", d: "y", e: "y", f: "y" };

let world: World;
let store: FakeStore;
let compactor: Compactor;
afterEach(async () => {
  await compactor.stop();
  await world.stop();
});

async function start(zones: Record<string, string> = ZONES, copies = "3"): Promise<void> {
  world = await World.start({ ...QUICK, replicas: copies });
  store = new FakeStore(world);
  await store.addKeepers(Object.keys(zones), zones);
  const { clock, bus, reader, tables } = world;
  compactor = new Compactor({
    ...{ settings: { ...world.settings, grace: 0 }, clock, bus, reader, tables, cluster: "main" },
    ...{ log: silentLog, random: seededRandom(5), journal: world.writer, transport: store },
    ...{ ticketKey: TICKET_KEY, masterEpoch: 1 },
  });
  await world.live(8_000);
}

async function put(contents: readonly SmallContent[]): Promise<string> {
  const bundle = bundleOf(contents);
  const chunk = await store.store(bundle);
  await world.ask(packCommit, { chunk, files: bundle.files, exclusive: false });
  return chunk;
}

/** The chunk in which a file lies, and the zones of its holders; its bytes are compared. */
async function where({ path, bytes }: SmallContent): Promise<{ chunk: string; zones: string }> {
  const { extents } = await world.ask(fileLocate, { path, fromSeq: 0 });
  const [extent] = extents;
  if (extent === undefined || extents.length > 1) throw new Error(`${path} lies nowhere`);
  const { chunk, chunkOffset, length } = extent;
  const zones = world.holders(chunk).map((name) => {
    const body = store.bytes(name, chunk)?.subarray(chunkOffset, chunkOffset + length);
    expect(Buffer.compare(body ?? new Uint8Array(0), bytes)).toBe(0);
    return (ZONES as Record<string, string>)[name] ?? "?";
  });
  return { chunk, zones: zones.sort().join("") };
}

async function rule(pattern: string, facts: { zone?: string; copies?: number }): Promise<number> {
  const { zone, copies } = facts;
  const require: Record<string, string> = zone === undefined ? {} : { zone };
  const more = copies === undefined ? {} : { copies };
  return (await world.ask(ruleAdd, { pattern, require, prefer: {}, ...more })).id;
}

async function applyRules(): Promise<number> {
  let changed = 0;
  let after: string | undefined;
  do {
    const page = await world.ask(ruleApply, after === undefined ? {} : { after });
    changed += page.changed;
    after = page.next;
  } while (after !== undefined);
  return changed;
}

async function misplaced(): Promise<number> {
  return (await world.ask(clusterStatus, {})).chunks.misplaced ?? 0;
}

/** Has the compactor look so often; time passes only where it waits for that. */
async function ticks(count: number): Promise<void> {
  for (let look = 0; look < count; look++) {
    let isOver = false;
    const tick = compactor.tick().finally(() => isOver = true);
    for (let turns = 0; !isOver; turns++) {
      if (turns % 64 === 63) await world.live(1_000);
      else await world.clock.advance(0);
    }
    await tick;
  }
}

function at<T>(list: readonly T[], index: number): T {
  const item = list[index];
  if (item === undefined) throw new Error(`There is no item ${index}`);
  return item;
}

test("Rules that require what can't be had together part a pack: all is told, then done", async () => {
  await start();
  const mix = [
    ...someFiles("/x", 3, 1_000),
    ...someFiles("/y", 4, 2_000),
    ...someFiles("/z", 9, 3_000),
  ];
  const chunk = await put(mix);
  await rule("/x/**", { zone: "x" });
  await rule("/y/**", { zone: "y" });
  expect(await applyRules()).toBe(7);
  expect(await applyRules()).toBe(0);
  expect(world.reader.chunk(chunk)).toMatchObject({ parted: 2, misplaced: 3, goal: 3 });
  // Nobody moves it as a whole, and it is told all the while.
  await world.live(5_000);
  expect(await misplaced()).toBe(1);
  expect(world.holders(chunk)).toHaveLength(3);

  await ticks(4);
  const places = await Promise.all(mix.map(where));
  expect(places.slice(0, 3).map(({ zones }) => zones)).toEqual(["xxx", "xxx", "xxx"]);
  expect(places.slice(3, 7).map(({ zones }) => zones)).toEqual(["yyy", "yyy", "yyy", "yyy"]);
  expect(new Set(places.map((place) => place.chunk)).size).toBe(3);
  expect(new Set(places.slice(7).map((place) => place.chunk))).toEqual(new Set([chunk]));
  expect(world.reader.chunk(chunk)).toMatchObject({ parted: 0, misplaced: 0, policy: 0 });
  expect(world.reader.partedPacks(0, 9)).toEqual([]);
  expect(await misplaced()).toBe(0);
  const reads = store.reads.length;
  await ticks(3);
  expect(store.reads).toHaveLength(reads);
});

test("A pack has the highest goal of its files until each kind has its own", async () => {
  await start();
  const mix = [...someFiles("/many", 2, 1_000), ...someFiles("/few", 5, 1_000)];
  const chunk = await put(mix);
  for (const keeper of world.keepers) keeper.refuses = "unavailable";
  await rule("/many/**", { copies: 5 });
  await applyRules();
  expect(world.reader.chunk(chunk)).toMatchObject({ parted: 1, goal: 5 });
  // Missing copies go before, where they can be made.
  for (const keeper of world.keepers) keeper.refuses = undefined;
  await world.live(60_000);
  await ticks(3);
  const { chunk: own } = await where(at(mix, 0));
  expect(own).not.toBe(chunk);
  expect(world.reader.chunk(own)).toMatchObject({ goal: 5, copies: 5, refs: 2, parted: 0 });
  expect(world.reader.chunk(chunk)).toMatchObject({ goal: 3, refs: 5, parted: 0 });
});

test("Files of one kind in many packs come together, and a single one has a pack, too", async () => {
  await start();
  const trees = ["/p", "/q", "/r"].map((name) => someFiles(name, 6, 1_000));
  for (const tree of trees) await put(tree);
  await rule("0", { zone: "y" });
  await rule("/r/1", { zone: "x" });
  await applyRules();
  await ticks(5);
  const firsts = await Promise.all(trees.map((tree) => where(at(tree, 0))));
  expect(new Set(firsts.map(({ chunk }) => chunk)).size).toBe(1);
  expect(firsts.map(({ zones }) => zones)).toEqual(["yyy", "yyy", "yyy"]);
  const single = await where(at(at(trees, 2), 1));
  expect(single.zones).toBe("xxx");
  expect(world.reader.chunk(single.chunk)).toMatchObject({ refs: 1, parted: 0 });
  expect(world.reader.partedPacks(0, 9)).toEqual([]);
  expect(await misplaced()).toBe(0);
});

test("Where too few keepers have the labels, a kind has its own pack all the same, and it is told", async () => {
  await start({ a: "x", b: "y", c: "y", d: "y" });
  const mix = [...someFiles("/x", 2, 1_000), ...someFiles("/z", 5, 1_000)];
  const chunk = await put(mix);
  await rule("/x/**", { zone: "x" });
  await applyRules();
  await ticks(3);
  const { chunk: own } = await where(at(mix, 0));
  expect(own).not.toBe(chunk);
  expect(world.holders(own)).toHaveLength(3);
  expect(world.reader.chunk(own)).toMatchObject({ goal: 3, parted: 0 });
  expect(world.reader.chunk(own)?.misplaced).toBeGreaterThanOrEqual(2);
  expect(await misplaced()).toBe(1);
});

test("A pack whose files all change their kind is not copied; one that was parted for a while settles", async () => {
  await start();
  const files = someFiles("/d", 6, 1_000);
  const chunk = await put(files);
  const id = await rule("/d/**", { copies: 2 });
  await applyRules();
  expect(world.reader.chunk(chunk)).toMatchObject({ parted: 0, goal: 2 });
  await world.ask(ruleRemove, { id });
  await rule("/d/[0-2]", { copies: 2 });
  await applyRules();
  expect(world.reader.chunk(chunk)).toMatchObject({ parted: 1, goal: 3 });
  for (const index of [0, 1, 2]) {
    await world.ask(fileRemove, { path: `/d/${index}`, recursive: false });
  }
  await ticks(2);
  expect(world.reader.chunk(chunk)).toMatchObject({ parted: 0, goal: 3, refs: 6 });
  expect(store.reads).toEqual([]);
});

test("Copies go with what they want, and what is applied meanwhile is seen", async () => {
  await start();
  const files = someFiles("/d", 6, 1_000);
  const chunk = await put(files);
  for (let copy = 0; copy < 5; copy++) {
    await world.ask(fileCopy, { from: "/d/0", to: `/y/${copy}`, replace: false, owner: "ann" });
  }
  await rule("/y/**", { zone: "y" });
  await applyRules();
  store.onPut = async () => {
    store.onPut = () => Promise.resolve();
    await rule("late", { zone: "y" });
    await world.ask(fileCopy, { from: "/y/0", to: "/late", replace: false, owner: "ann" });
    await applyRules();
  };
  await ticks(4);
  const copy = (path: string) => where({ path, bytes: at(files, 0).bytes });
  expect((await copy("/d/0")).chunk).toBe(chunk);
  for (const path of ["/y/0", "/y/4", "/late"]) expect((await copy(path)).zones).toBe("yyy");
  expect(world.reader.partedPacks(0, 9)).toEqual([]);
  expect(await misplaced()).toBe(0);
});
