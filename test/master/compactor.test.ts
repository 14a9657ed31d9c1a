/** Compaction with fake keepers: what lives moves, and whatever fails changes nothing. */
import { afterEach, expect, test } from "bun:test";
import { KIB, MIB } from "../../src/base/bytes.ts";
import { silentLog } from "../../src/base/log.ts";
import { seededRandom } from "../../src/base/random.ts";
import { Compactor } from "../../src/master/compactor.ts";
import { fileCopy, fileLocate, fileRemove, fileRename } from "../../src/wire/file.ts";
import { decodeManifest, manifestLength, packCommit } from "../../src/wire/pack.ts";
import { MANIFEST_END_BYTES } from "../../src/wire/pack.ts";
import { ruleAdd, ruleApply } from "../../src/wire/rule.ts";
import { trashEmpty } from "../../src/wire/trash.ts";
import { bundleOf, FakeStore, type SmallContent, someFiles } from "./fake_store.ts";
import { TICKET_KEY, World } from "./world.ts";

const QUICK = { dead_after: "4s", suspect_after: "2s", repair_delay: "1s", grace: "5s" };

let world: World;
let store: FakeStore;
let compactor: Compactor;
/** Ids must not come again after a master's start. */
let seed = 3;
afterEach(async () => {
  await compactor.stop();
  await world.stop();
});

/** A cluster in which nothing is held back, and a compactor that looks when it is told. */
async function start(keepers = ["a", "b", "c"], flags: Record<string, string> = {}): Promise<void> {
  world = await World.start({ ...QUICK, ...flags });
  store = new FakeStore(world);
  await store.addKeepers(keepers);
  compactor = newCompactor();
  await world.live(8_000);
}

function newCompactor(grace = 0): Compactor {
  const { clock, bus, reader, tables } = world;
  const settings = { ...world.settings, grace };
  return new Compactor({
    ...{ settings, clock, bus, reader, tables, cluster: "main", masterEpoch: 1 },
    ...{ log: silentLog, random: seededRandom(seed++), journal: world.writer, transport: store },
    ticketKey: TICKET_KEY,
  });
}

/** Puts files as a pack. Returns its chunk. */
async function put(contents: readonly SmallContent[]): Promise<string> {
  const bundle = bundleOf(contents);
  const chunk = await store.store(bundle);
  const { outcomes } = await world.ask(packCommit, {
    ...{ chunk, files: bundle.files, exclusive: false },
  });
  expect(outcomes.every(({ ok }) => ok)).toBe(true);
  return chunk;
}

/** Removes paths for good. */
async function remove(contents: readonly SmallContent[]): Promise<void> {
  for (const { path } of contents) await world.ask(fileRemove, { path, recursive: false });
  await world.clock.advance(1);
  await world.ask(trashEmpty, { under: "/" });
}

/** The chunk in which a file lies, having compared its bytes on each holder. */
async function where({ path, bytes }: SmallContent): Promise<string> {
  const { extents, sizeBytes } = await world.ask(fileLocate, { path, fromSeq: 0 });
  const [extent] = extents;
  if (extent === undefined) throw new Error(`${path} lies nowhere`);
  expect([extents.length, sizeBytes, extent.length]).toEqual([1, bytes.length, bytes.length]);
  for (const keeper of extent.keepers) {
    const body = store.bytes(world.keeper(keeper).name, extent.chunk) ?? new Uint8Array(0);
    const { chunkOffset, length } = extent;
    expect(Buffer.compare(body.subarray(chunkOffset, chunkOffset + length), bytes)).toBe(0);
  }
  return extent.chunk;
}

/** The files that a stored pack's manifest names. */
function manifestOf(keeper: string, chunk: string) {
  const body = store.bytes(keeper, chunk) ?? new Uint8Array(0);
  const length = manifestLength(body.subarray(-MANIFEST_END_BYTES));
  return decodeManifest(body.subarray(-length), body.length);
}

/** Has the compactor look once; time passes only where it waits for that. */
async function tick(): Promise<void> {
  let isOver = false;
  const look = compactor.tick().finally(() => isOver = true);
  for (let turns = 0; !isOver; turns++) {
    if (turns % 64 === 63) await world.live(1_000);
    else await world.clock.advance(0);
  }
  await look;
}

test("What lives in sparse packs moves into one, and the old ones go after their grace", async () => {
  await start(["a", "b", "c", "d"]);
  const one = someFiles("/one", 20, 300 * KIB);
  const two = [...someFiles("/two", 9, 1000), { path: "/two/empty", bytes: new Uint8Array(0) }];
  const first = await put(one);
  const firstPlacedMs = store.originOf(first)?.placedMs;
  await world.live(2_000);
  const second = await put(two);
  const whole = await put(someFiles("/whole", 3, 1000));
  await world.ask(fileCopy, { from: "/one/3", to: "/copy", replace: false, owner: "bob" });
  await world.ask(fileRename, { from: "/one/4", to: "/renamed", replace: false });
  const gone = [...one.slice(8), ...two.slice(1, 9)];
  await remove(gone);
  await tick();

  const left = [...one.slice(0, 4), ...one.slice(5, 8), two[0] ?? one[0], two[9] ?? one[0]];
  const [to = ""] = await Promise.all(
    left.flatMap((file) => file === undefined ? [] : where(file)),
  );
  expect([first, second, whole]).not.toContain(to);
  for (const file of left) if (file !== undefined) expect(await where(file)).toBe(to);
  expect(await where({ path: "/copy", bytes: one[3]?.bytes ?? new Uint8Array(0) })).toBe(to);
  expect(await where({ path: "/renamed", bytes: one[4]?.bytes ?? new Uint8Array(0) })).toBe(to);
  expect(world.reader.chunk(to)).toMatchObject({ goal: 3, copies: 3 });
  expect(world.reader.chunk(first)?.refs).toBe(0);
  expect(world.reader.chunk(second)?.refs).toBe(0);
  // The manifest keeps what files were called when they were put, and when.
  const [holder = ""] = world.holders(to);
  const manifest = manifestOf(holder, to);
  expect(manifest.map(({ path }) => path)).toEqual([
    ...one.slice(0, 8).map(({ path }) => path),
    ...["/two/0", "/two/empty"],
  ]);
  expect(manifest[0]).toMatchObject({ mode: 0o644, mtimeMs: 7, owner: "ann" });
  expect(manifest[0]?.placedMs).toBe(firstPlacedMs as number);
  expect(manifest[9]?.placedMs).toBe(store.originOf(second)?.placedMs as number);
  expect(manifest[9]?.placedMs).not.toBe(firstPlacedMs as number);

  await world.live(10_000);
  expect(world.reader.chunk(first)?.copies ?? 0).toBe(0);
  expect(world.holders(to)).toHaveLength(3);
  expect(await where(two[0] as SmallContent)).toBe(to);
});

test("What is put together stays so: a second look finds nothing to do", async () => {
  await start();
  const files = someFiles("/d", 10, 1000);
  const chunk = await put(files);
  await remove(files.slice(0, 4));
  await tick();
  expect(await where(files[9] as SmallContent)).toBe(chunk);
  await remove(files.slice(4, 7));
  await tick();
  const to = await where(files[9] as SmallContent);
  expect(to).not.toBe(chunk);
  const reads = store.reads.length;
  for (let look = 0; look < 5; look++) await tick();
  expect(store.reads).toHaveLength(reads);
  expect(await where(files[9] as SmallContent)).toBe(to);
});

test("A pack of tiny files is not compacted for its names, but for what is dead", async () => {
  await start();
  const files = someFiles("/d", 20, 1);
  const chunk = await put(files);
  for (let look = 0; look < 3; look++) await tick();
  expect(store.reads).toEqual([]);
  await remove(files.slice(3));
  await tick();
  const to = await where(files[0] as SmallContent);
  expect(to).not.toBe(chunk);
  const reads = store.reads.length;
  for (let look = 0; look < 3; look++) await tick();
  expect(store.reads).toHaveLength(reads);
});

test("A file that was copied many times keeps no space for others that are gone", async () => {
  await start();
  const files = someFiles("/d", 6, 10_000);
  const chunk = await put(files);
  const [first] = files as [SmallContent];
  for (let copy = 0; copy < 20; copy++) {
    await world.ask(fileCopy, { from: "/d/0", to: `/copy/${copy}`, replace: false, owner: "bob" });
  }
  await remove(files.slice(1));
  await tick();
  const to = await where(first);
  expect(to).not.toBe(chunk);
  expect(await where({ path: "/copy/19", bytes: first.bytes })).toBe(to);
  expect(world.reader.chunk(to)).toMatchObject({ refs: 21, copies: 3 });
  expect(world.reader.chunk(chunk)?.refs).toBe(0);
  expect(manifestOf(world.holders(to)[0] ?? "", to)).toHaveLength(1);
});

test("Packs of other goals or policies stay apart, and keep them", async () => {
  await start(["a", "b", "c", "d"]);
  const some = someFiles("/some", 4, 1000);
  const bundle = bundleOf(some);
  const chunk = await store.store(bundle, { replicas: 2 });
  await world.ask(packCommit, { chunk, files: bundle.files, exclusive: false, replicas: 2 });
  const others = someFiles("/others", 4, 1000);
  await put(others);
  await remove([...some.slice(1), ...others.slice(1)]);
  await tick();
  await tick();
  const [first, second] = [
    await where(some[0] as SmallContent),
    await where(others[0] as SmallContent),
  ];
  expect(first).not.toBe(chunk);
  expect(first).not.toBe(second);
  expect(world.reader.chunk(first)).toMatchObject({ goal: 2, copies: 2 });
  expect(world.reader.chunk(second)).toMatchObject({ goal: 3, copies: 3 });
});

test("Another holder is read where one gives wrong bytes or none; who was wrong looks", async () => {
  await start();
  const files = someFiles("/d", 6, MIB / 2);
  const chunk = await put(files);
  await remove(files.slice(2));
  store.bad.add("a");
  store.silent.add("b");
  await tick();
  expect(await where(files[1] as SmallContent)).not.toBe(chunk);
  const isTold = world.commands("verify").includes(`a: verify ${chunk}`);
  expect(isTold).toBe(store.reads.includes("a"));
});

test("While no good copy can be read nothing changes, and it is tried again, ever later", async () => {
  await start();
  const files = someFiles("/d", 6, 1000);
  const chunk = await put(files);
  await remove(files.slice(2));
  for (const name of ["a", "b", "c"]) store.bad.add(name);
  await tick();
  expect(await where(files[0] as SmallContent)).toBe(chunk);
  const reads = store.reads.length;
  await tick();
  expect(store.reads).toHaveLength(reads);
  store.bad.clear();
  await world.live(10_000);
  await tick();
  expect(await where(files[0] as SmallContent)).not.toBe(chunk);
});

test("A keeper that takes no copy is gone past where another does; else nothing changes", async () => {
  await start(["a", "b", "c", "d"]);
  const files = someFiles("/d", 6, 1000);
  const chunk = await put(files);
  await remove(files.slice(2));
  for (const name of ["a", "b"]) store.full.add(name);
  await tick();
  // Two copies would do for a put. But these files have three.
  expect(await where(files[0] as SmallContent)).toBe(chunk);
  store.full.delete("b");
  await world.live(10_000);
  await tick();
  const to = await where(files[0] as SmallContent);
  expect(to).not.toBe(chunk);
  expect(world.holders(to)).toEqual(["b", "c", "d"]);
  expect(world.reader.chunk(to)).toMatchObject({ goal: 3, copies: 3 });
});

test("A keeper that was not heard for a moment is waited for; one without room is not", async () => {
  await start();
  const files = someFiles("/d", 6, 1000);
  const chunk = await put(files);
  await remove(files.slice(2));
  const [a] = world.keepers;
  if (a === undefined) throw new Error("no keeper");
  await world.live(3_000, [a]);
  await tick();
  expect(await where(files[0] as SmallContent)).toBe(chunk);
  a.freeBytes = 100;
  await world.live(12_000);
  await tick();
  const to = await where(files[0] as SmallContent);
  expect(to).not.toBe(chunk);
  expect(world.holders(to)).toEqual(["b", "c"]);
  expect(world.reader.chunk(to)).toMatchObject({ goal: 3, copies: 2 });
});

test("Nothing is moved when safe mode has come while the new pack was made", async () => {
  await start();
  const files = someFiles("/d", 6, 1000);
  const chunk = await put(files);
  await remove(files.slice(2));
  store.onPut = async () => {
    store.onPut = () => Promise.resolve();
    await world.live(6_000, world.keepers.slice(1));
  };
  await tick();
  expect(await where(files[0] as SmallContent)).toBe(chunk);
  await world.live(60_000);
  await tick();
  expect(await where(files[0] as SmallContent)).not.toBe(chunk);
});

test("A file that is removed or copied while its pack is compacted stays so", async () => {
  await start();
  const files = someFiles("/d", 8, 1000);
  await put(files);
  await remove(files.slice(3));
  store.onPut = async () => {
    store.onPut = () => Promise.resolve();
    await remove(files.slice(0, 1));
    await world.ask(fileCopy, { from: "/d/1", to: "/copy", replace: false, owner: "ann" });
  };
  await tick();
  expect(world.reader.entry("/d/0")).toBeUndefined();
  const to = await where(files[1] as SmallContent);
  expect(await where({ path: "/copy", bytes: files[1]?.bytes ?? new Uint8Array(0) })).toBe(to);
  expect(await where(files[2] as SmallContent)).toBe(to);
});

test("Packs to which a rule is applied while they are compacted are not mixed with others", async () => {
  await start(["a", "b", "c", "d"]);
  const one = someFiles("/one", 4, 1000);
  const two = someFiles("/two", 4, 1000);
  const chunks = [await put(one), await put(two)];
  await remove([...one.slice(1), ...two.slice(1)]);
  const left = [one[0] as SmallContent, two[0] as SmallContent];
  store.onPut = async () => {
    store.onPut = () => Promise.resolve();
    const facts = { require: {}, prefer: { zone: "x" } };
    await world.ask(ruleAdd, { pattern: "/two/**", ...facts });
    await world.ask(ruleApply, {});
  };
  await tick();
  expect(await Promise.all(left.map(where))).toEqual(chunks);
  await world.live(10_000);
  await tick();
  await tick();
  const [first = "", second = ""] = await Promise.all(left.map(where));
  expect(chunks).not.toContain(first);
  expect(chunks).not.toContain(second);
  expect(world.reader.chunk(first)?.policy).toBe(0);
  expect(world.reader.chunk(second)?.policy).not.toBe(0);
});

test("When all is removed meanwhile, both packs go", async () => {
  await start();
  const files = someFiles("/d", 6, 1000);
  const chunk = await put(files);
  await remove(files.slice(1));
  let made = "";
  store.onPut = async () => {
    made = world.keeper("a").chunks.keys().find((id) => id !== chunk) ?? "";
    await remove(files.slice(0, 1));
  };
  await tick();
  await world.live(15_000);
  for (const id of [chunk, made]) expect(world.reader.chunk(id)?.copies ?? 0).toBe(0);
  expect(world.reader.counts()).toMatchObject({ files: 0, chunks: 0 });
});

test("A master that dies between PUT and move leaves the old places; the new pack goes", async () => {
  await start();
  const files = someFiles("/d", 6, 1000);
  const chunk = await put(files);
  await remove(files.slice(2));
  const dying = compactor;
  let made = "";
  store.onPut = () => {
    made = world.keeper("a").chunks.keys().find((id) => id !== chunk) ?? "";
    void dying.stop();
    return new Promise(() => {});
  };
  await tick();
  expect(await where(files[0] as SmallContent)).toBe(chunk);
  expect(world.reader.chunk(made)).toMatchObject({ refs: 0, copies: 3 });

  store.onPut = () => Promise.resolve();
  await world.stopRoles();
  await world.startRoles();
  for (const keeper of world.keepers) keeper.epoch++;
  for (const keeper of world.keepers) await keeper.join();
  compactor = newCompactor();
  await world.live(15_000);
  expect(world.reader.chunk(made)?.copies ?? 0).toBe(0);
  expect(await where(files[0] as SmallContent)).toBe(chunk);
  await tick();
  expect(await where(files[0] as SmallContent)).not.toBe(chunk);
});

test("Nothing is compacted in safe mode, while copies are due, or before a pack is old", async () => {
  await start(["a", "b", "c", "d"]);
  const files = someFiles("/d", 6, 1000);
  const chunk = await put(files);
  const other = await world.put("/other");
  await remove(files.slice(2));
  // A copy is missing, and nobody makes it.
  for (const keeper of world.keepers) keeper.refuses = "unavailable";
  await world.keeper(world.holders(other)[0] ?? "").lost([other]);
  await world.clock.advance(500);
  await world.live(4_500);
  if (world.tables.repairs.read().queued + world.tables.repairs.read().running > 0) {
    await tick();
    expect(store.reads).toEqual([]);
  }
  for (const keeper of world.keepers) keeper.refuses = undefined;
  await world.live(90_000);
  // Most keepers are gone: safe mode.
  await world.live(6_000, world.keepers.slice(1));
  await tick();
  expect(store.reads).toEqual([]);
  await world.live(12_000);
  compactor = newCompactor(20_000);
  await tick();
  expect(store.reads).toEqual([]);
  await world.live(25_000);
  await tick();
  expect(await where(files[0] as SmallContent)).not.toBe(chunk);
});
