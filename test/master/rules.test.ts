/**
 * Placement rules: what they ask for is where new chunks go, where repair goes, and where the
 * replicator moves what is there.
 */
import { afterEach, expect, test } from "bun:test";
import { GIB } from "../../src/base/bytes.ts";
import { seededRandom } from "../../src/base/random.ts";
import { clusterStatus } from "../../src/wire/cluster.ts";
import { fileRename, fileStat } from "../../src/wire/file.ts";
import type { RuleFacts } from "../../src/wire/rule.ts";
import { ruleAdd, ruleApply, ruleList, ruleRemove } from "../../src/wire/rule.ts";
import { makeId } from "../../src/wire/ids.ts";
import { fileChecksum, sumsOf } from "../../src/wire/sums.ts";
import { uploadBegin, uploadCommit, uploadExtend } from "../../src/wire/upload.ts";
import type { FakeKeeper } from "./fake_keeper.ts";
import { beginRequest, codeOf, failureOf, offerOf, World } from "./world.ts";
import { QUIET_REPAIRS } from "../quiet_status.ts";

let world: World;
afterEach(() => world.stop());

const random = seededRandom(3);
const QUICK = { dead_after: "4s", suspect_after: "2s", repair_delay: "1s" };
const VIDEO = { labels: { kind: "video" } };
const OTHER = { labels: { kind: "other" } };

function addRule(facts: Partial<RuleFacts> & { pattern: string }): Promise<{ id: number }> {
  return world.ask(ruleAdd, { require: {}, prefer: {}, ...facts });
}

/** Applies the rules to all files: pages, files looked at, files changed. */
async function applyRules(): Promise<[number, number, number]> {
  const sum: [number, number, number] = [0, 0, 0];
  let after: string | undefined;
  do {
    const page = await world.ask(ruleApply, after === undefined ? {} : { after });
    sum[0]++;
    sum[1] += page.files;
    sum[2] += page.changed;
    after = page.next;
  } while (after !== undefined);
  return sum;
}

async function misplaced(): Promise<number | undefined> {
  return (await world.ask(clusterStatus, {})).chunks.misplaced;
}

function names(keepers: FakeKeeper[]): string[] {
  return keepers.map(({ name }) => name);
}

test("Only keepers with the labels that a rule requires get a file's chunks", async () => {
  world = await World.start();
  await world.addKeepers(["o1", "o2", "o3"], OTHER);
  const video = await world.addKeepers(["v1", "v2", "v3"], VIDEO);
  await addRule({ pattern: "*.mp4", require: { kind: "video" } });
  for (let n = 0; n < 5; n++) {
    expect(world.holders(await world.put(`/deep/f${n}.mp4`)).sort()).toEqual(names(video));
  }
  await world.putLarge("/large.mp4", [new Uint8Array(9), new Uint8Array(8)]);
  const { chunks } = await world.ask(fileStat, { path: "/large.mp4", fromSeq: 0 });
  for (const { holders } of chunks) {
    expect(holders.map(({ keeper }) => keeper).sort()).toEqual(names(video));
  }
  expect(await misplaced()).toBe(0);
});

test("The first rule that matches decides: those of the file, then those that were added", async () => {
  world = await World.start();
  world.settings.rules = [{ pattern: "/keep/**", require: {}, prefer: {}, copies: 1 }];
  await world.stopRoles();
  await world.startRoles();
  for (const keeper of await world.addKeepers(["a", "b", "c", "d"])) keeper.obeysRegister = true;
  const { id } = await addRule({ pattern: "*.txt", copies: 2 });
  await addRule({ pattern: "**/x.txt", copies: 4 });
  const copies = async (path: string, replicas?: number) => {
    await world.put(path, replicas === undefined ? {} : { replicas });
    return (await world.ask(fileStat, { path })).replicas;
  };
  expect(await copies("/keep/x.txt")).toBe(1);
  expect(await copies("/x.txt")).toBe(2);
  expect(await copies("/x.pdf")).toBe(3);
  expect(await copies("/own.txt", 4)).toBe(4);
  const { rules } = await world.ask(ruleList, {});
  expect(rules.map(({ pattern, source }) => `${source} ${pattern}`)).toEqual([
    "file /keep/**",
    "added *.txt",
    "added **/x.txt",
  ]);
  await world.ask(ruleRemove, { id });
  expect(await copies("/again/x.txt")).toBe(4);
});

test("Rules are refused that can't be, and none of the file goes", async () => {
  world = await World.start();
  world.settings.rules = [{ pattern: "*.mp4", require: {}, prefer: {}, copies: 1 }];
  await world.stopRoles();
  await world.startRoles();
  const exists = await failureOf(addRule({ pattern: "*.mp4", copies: 2 }));
  expect(exists.code).toBe("exists");
  expect(exists.message).toContain("the master's configuration file has one");
  expect(await codeOf(addRule({ pattern: "*.txt" }))).toBe("invalid");
  expect(await codeOf(addRule({ pattern: "[", copies: 2 }))).toBe("invalid");
  expect(await codeOf(world.ask(ruleRemove, { id: 0 }))).toBe("denied");
  expect(await codeOf(world.ask(ruleRemove, { id: 9 }))).toBe("not-found");
  expect(await codeOf(world.ask(ruleApply, { after: "" }))).toBe("invalid");
  expect(await codeOf(world.ask(ruleApply, { after: "/a\0x" }))).toBe("invalid");
});

test("A put fails with the rule's name and labels when too few keepers have them", async () => {
  world = await World.start();
  await world.addKeepers(["o1", "o2", "o3"], OTHER);
  await world.addKeepers(["v1"], VIDEO);
  await addRule({ pattern: "*.mp4", require: { kind: "video" } });
  const failure = await failureOf(world.put("/a.mp4"));
  expect(failure.code).toBe("no-keepers");
  expect(failure.message).toBe(
    'Cannot upload "/a.mp4": 1 keeper with kind=video can be written, 2 are needed ' +
      '(the rule for "*.mp4" requires them)',
  );
  expect(world.inUse()).toBe(0);
  // One copy is enough where one copy is wanted.
  const chunk = await world.put("/b.mp4", { replicas: 1 });
  expect(world.holders(chunk)).toEqual(["v1"]);
});

test("Preferred keepers come first, and others when they have no room", async () => {
  world = await World.start();
  const slow = await world.addKeepers(["h1", "h2", "h3"], { labels: { disk: "hdd" } });
  const fast = await world.addKeepers(["s1", "s2"], { labels: { disk: "ssd" } });
  await addRule({ pattern: "*.db", prefer: { disk: "ssd" } });
  const holders = world.holders(await world.put("/a.db"));
  expect(holders).toEqual(expect.arrayContaining(names(fast)));
  expect(holders).toHaveLength(3);
  for (const keeper of fast) keeper.freeBytes = 1;
  await world.live(1_000);
  const others = world.holders(await world.put("/b.db"));
  expect(others.sort()).toEqual(names(slow));
  // Not where they would best be, but nothing that must be moved.
  expect(await misplaced()).toBe(0);
});

test("Repair puts no copy where a rule forbids it, however long it waits", async () => {
  world = await World.start(QUICK);
  await world.addKeepers(["o1", "o2", "o3", "o4"], { ...OTHER, freeBytes: 9_000 * GIB });
  const [v1] = await world.addKeepers(["v1", "v2", "v3"], VIDEO);
  await addRule({ pattern: "*.mp4", require: { kind: "video" } });
  const chunk = await world.put("/a.mp4");
  if (v1 === undefined) throw new Error("a keeper");
  await world.live(20_000, [v1]);
  expect(world.commands("replicate")).toEqual([]);
  const status = await world.ask(clusterStatus, {});
  expect(status.chunks).toMatchObject({ under: 1, misplaced: 0 });
  const fourth = new Set(world.keepers);
  await world.addKeepers(["v4"], VIDEO);
  await world.live(3_000, [v1]);
  const added = world.keepers.filter((keeper) => !fourth.has(keeper));
  expect(world.commands("replicate")).toEqual(
    added.map(({ name }) => `${name}: replicate ${chunk}`),
  );
});

test("Files that are there move when a rule is applied, and never have fewer copies", async () => {
  world = await World.start(QUICK);
  const other = await world.addKeepers(["o1", "o2", "o3"], OTHER);
  const chunks = [await world.put("/a.mp4"), await world.put("/b.mp4"), await world.put("/c.txt")];
  const video = await world.addKeepers(["v1", "v2", "v3"], VIDEO);
  // Much room, but not the labels.
  await world.addKeepers(["o4", "o5"], { ...OTHER, freeBytes: 9_000 * GIB });
  await addRule({ pattern: "*.mp4", require: { kind: "video" } });
  await world.live(5_000);
  expect(world.commands("replicate")).toEqual([]);
  expect(await applyRules()).toEqual([1, 3, 2]);
  expect(await misplaced()).toBe(2);
  expect(await applyRules()).toEqual([1, 3, 0]);
  for (let second = 0; second < 40; second++) {
    await world.live(1_000);
    for (const chunk of chunks) {
      expect(world.holders(chunk).length).toBeGreaterThanOrEqual(3);
      const there = world.keepers.filter((keeper) => keeper.chunks.has(chunk));
      expect(there.length).toBeGreaterThanOrEqual(3);
    }
  }
  const [a = "", b = "", c = ""] = chunks;
  expect(world.holders(a).sort()).toEqual(names(video));
  expect(world.holders(b).sort()).toEqual(names(video));
  expect(world.holders(c).sort()).toEqual(names(other));
  expect(other.map((keeper) => keeper.chunks.size)).toEqual([1, 1, 1]);
  expect(await misplaced()).toBe(0);
  const copies = world.commands("replicate");
  expect(copies).toHaveLength(6);
  for (const copy of copies) expect(names(video)).toContain(copy.split(":")[0] ?? "");
});

test("With too few right keepers a chunk keeps wrong copies up to its goal", async () => {
  world = await World.start(QUICK);
  await world.addKeepers(["o1", "o2", "o3"], OTHER);
  const chunk = await world.put("/a.mp4");
  const video = await world.addKeepers(["v1", "v2"], VIDEO);
  await addRule({ pattern: "*.mp4", require: { kind: "video" } });
  await applyRules();
  await world.live(40_000);
  expect(world.holders(chunk)).toHaveLength(3);
  expect(world.holders(chunk)).toEqual(expect.arrayContaining(names(video)));
  const status = await world.ask(clusterStatus, {});
  const whole = { total: 1, atGoal: 1, under: 0, lost: 0 };
  expect(status.chunks).toEqual({ ...whole, misplaced: 1, blocked: 1 });
  expect(status.repairs).toEqual(QUIET_REPAIRS);
  await world.addKeepers(["v3"], VIDEO);
  await world.live(20_000);
  expect(world.holders(chunk).sort()).toEqual(["v1", "v2", "v3"]);
  const { chunks } = await world.ask(clusterStatus, {});
  expect(chunks).toEqual({ ...whole, misplaced: 0, blocked: 0 });
});

test("A removed rule lets go: the next apply gives back the goal, and moves nothing", async () => {
  world = await World.start(QUICK);
  await world.addKeepers(["o1", "o2", "o3"], OTHER);
  await world.addKeepers(["v1"], VIDEO);
  await world.put("/a.mp4");
  await world.put("/own.mp4", { replicas: 2 });
  const goals = async () => {
    const stats = ["/a.mp4", "/own.mp4"].map((path) => world.ask(fileStat, { path }));
    return (await Promise.all(stats)).map(({ replicas }) => replicas);
  };
  expect(await goals()).toEqual([3, 2]);
  const { id } = await addRule({ pattern: "*.mp4", require: { kind: "video" }, copies: 4 });
  expect(await applyRules()).toEqual([1, 2, 2]);
  expect(await goals()).toEqual([4, 4]);
  expect(await misplaced()).toBe(2);
  await world.ask(ruleRemove, { id });
  expect(await applyRules()).toEqual([1, 2, 2]);
  expect(await goals()).toEqual([3, 2]);
  expect(await misplaced()).toBe(0);
  await addRule({ pattern: "*.mp4", prefer: { kind: "video" } });
  await applyRules();
  // A rule that says nothing of copies leaves the user's own number.
  expect(await goals()).toEqual([3, 2]);
});

test("Rules are applied by pages, and leave uploads that are under way alone", async () => {
  world = await World.start();
  const keepers = (await world.addKeepers(["o1", "o2", "o3"], OTHER)).map(({ id }) => id);
  await Promise.all(Array.from({ length: 300 }, (_, n) => {
    const facts = { mode: 0o644, mtimeMs: 7, owner: "ann", exclusive: false };
    const commit = { upload: makeId(random), file: { path: `/d${n % 7}/f${n}`, ...facts } };
    const sums = sumsOf(new Uint8Array(1));
    const chunk = { id: makeId(random), sizeBytes: 1, sums, goal: 3 };
    return world.writer.submit({ kind: "chunk.stored", chunk, keepers, commit, atMs: 1 });
  }));
  const { upload } = await world.ask(uploadBegin, beginRequest("/d3/large", 10));
  const { placement } = await world.ask(uploadExtend, {
    upload,
    offer: offerOf(new Uint8Array(5)),
  });
  if (placement !== undefined) await world.store(placement);
  await addRule({ pattern: "**", copies: 2 });
  expect(await applyRules()).toEqual([2, 300, 300]);
  expect(await applyRules()).toEqual([2, 300, 0]);
});

test("A file is held as the rules say when it is committed, whatever they said of its chunks", async () => {
  world = await World.start();
  await world.addKeepers(["v1", "v2"], VIDEO);
  await world.addKeepers(["o1", "o2"], OTHER);
  const pieces = [new Uint8Array(9), new Uint8Array(8)];
  const { upload } = await world.ask(uploadBegin, beginRequest("/long.mp4", 17));
  const asked = { ...beginRequest("/asked.mp4", 17), replicas: 3 };
  const { upload: other } = await world.ask(uploadBegin, asked);
  const chunks: string[] = [];
  for (const [seq, piece] of pieces.entries()) {
    for (const each of [upload, other]) {
      const offer = { ...offerOf(piece), seq, offset: seq * 9 };
      const { placement } = await world.ask(uploadExtend, { upload: each, offer });
      if (placement === undefined) throw new Error("The chunk was not placed");
      await world.store(placement);
      chunks.push(placement.chunk);
    }
    // Between the two chunks; nobody applies it to what is under way.
    if (seq === 0) await addRule({ pattern: "*.mp4", require: { kind: "video" }, copies: 2 });
  }
  const whole = { sizeBytes: 17, chunks: 2, checksum: fileChecksum(pieces.map(sumsOf)) };
  for (const each of [upload, other]) await world.ask(uploadCommit, { upload: each, ...whole });
  const goals = chunks.map((chunk) => world.reader.chunk(chunk)?.goal);
  expect(goals).toEqual([2, 3, 2, 3]);
  const policies = new Set(chunks.map((chunk) => world.reader.chunk(chunk)?.policy));
  expect(policies.size).toBe(1);
  expect(policies.has(0)).toBe(false);
  // To apply a rule takes back only the copies that were asked for.
  expect((await applyRules())[2]).toBe(1);
});

test("A file whose chunks take several pages counts as one", async () => {
  world = await World.start();
  const keepers = (await world.addKeepers(["o1", "o2", "o3"], OTHER)).map(({ id }) => id);
  const sizeBytes = 2_100;
  const { upload } = await world.ask(uploadBegin, beginRequest("/a/huge", sizeBytes));
  const sums = sumsOf(new Uint8Array(1));
  await Promise.all(Array.from({ length: sizeBytes }, (_, seq) => {
    const chunk = { id: makeId(random), sizeBytes: 1, sums, goal: 3 };
    const place = { upload, seq, offset: seq };
    return world.writer.submit({ kind: "chunk.stored", chunk, keepers, place, atMs: 1 });
  }));
  const checksum = fileChecksum(Array.from({ length: sizeBytes }, () => sums));
  await world.ask(uploadCommit, { upload, sizeBytes, chunks: sizeBytes, checksum });
  await world.put("/b");
  await addRule({ pattern: "**", copies: 2 });
  expect(await applyRules()).toEqual([2, 2, 2]);
  expect(await applyRules()).toEqual([2, 2, 0]);
  expect((await world.ask(clusterStatus, {})).chunks).toMatchObject({ total: 2_101, under: 0 });
});

test("A keeper that returns with other labels loses or gains what rules say", async () => {
  world = await World.start(QUICK);
  const [v1] = await world.addKeepers(["v1", "v2", "v3"], VIDEO);
  await addRule({ pattern: "*.mp4", require: { kind: "video" } });
  const chunk = await world.put("/a.mp4");
  await world.addKeepers(["v4"], VIDEO);
  if (v1 === undefined) throw new Error("a keeper");
  v1.labels = OTHER.labels;
  v1.epoch++;
  await v1.join();
  v1.beat();
  await world.live(1_000);
  await world.live(30_000);
  expect(world.holders(chunk).sort()).toEqual(["v2", "v3", "v4"]);
  expect(await misplaced()).toBe(0);
});

test("Misplaced copies on dead keepers are not told of as to be moved", async () => {
  world = await World.start(QUICK);
  const other = await world.addKeepers(["o1", "o2", "o3"], OTHER);
  const chunk = await world.put("/a.mp4");
  await world.addKeepers(["v1", "v2", "v3", "v4"], VIDEO);
  await world.live(3_000, other.slice(0, 1));
  await addRule({ pattern: "*.mp4", require: { kind: "video" } });
  await applyRules();
  await world.live(40_000, other.slice(0, 1));
  expect(world.holders(chunk)).toContain("o1");
  expect(world.holders(chunk)).toHaveLength(4);
  expect(await misplaced()).toBe(0);
  await world.live(20_000);
  expect(world.holders(chunk)).toHaveLength(3);
  expect(world.holders(chunk)).not.toContain("o1");
});

test("A renamed file keeps its place until the rules are applied", async () => {
  world = await World.start(QUICK);
  await world.addKeepers(["o1", "o2", "o3"], OTHER);
  await world.addKeepers(["v1", "v2", "v3"], VIDEO);
  await addRule({ pattern: "*.mp4", require: { kind: "video" } });
  await addRule({ pattern: "*.txt", require: { kind: "other" } });
  const chunk = await world.put("/a.mp4");
  await world.ask(fileRename, { from: "/a.mp4", to: "/a.txt", replace: true });
  await world.live(10_000);
  expect(world.commands("replicate")).toEqual([]);
  await applyRules();
  await world.live(40_000);
  expect(world.holders(chunk).sort()).toEqual(["o1", "o2", "o3"]);
});
