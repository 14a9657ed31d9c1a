/** What the master does about bad, unknown and unneeded copies, and about disks that take nothing. */
import { afterEach, expect, test } from "bun:test";
import { call } from "../../src/wire/bus.ts";
import { clusterStatus } from "../../src/wire/cluster.ts";
import type { ScrubPage } from "../../src/wire/operator.ts";
import { fileScrub, keeperScrub, SCRUB_PAGE_MAX } from "../../src/wire/operator.ts";
import { reportAside, reportInventory, reportLost } from "../../src/wire/report.ts";
import { subjectsOf } from "../../src/wire/subjects.ts";
import { uploadBegin } from "../../src/wire/upload.ts";
import type { FakeKeeper } from "./fake_keeper.ts";
import { beginRequest, codeOf, failureOf, World } from "./world.ts";

let world: World;
afterEach(() => world.stop());

const subjects = subjectsOf("main");
const within = { timeoutMs: 5_000 };
const STRAY = "7a".repeat(16);
const QUICK = { dead_after: "4s", suspect_after: "2s" };

/** What of these chunks a keeper may delete. */
async function discardOf(keeper: FakeKeeper, chunk: string, held = false): Promise<string[]> {
  const request = { chunks: [{ chunk, ageMs: 4 * 24 * 3_600_000, held }] };
  const subject = subjects.report(keeper.id, "aside");
  const { masterEpoch, discard } = await call(world.bus, subject, reportAside, request, within);
  expect(masterEpoch).toBe(world.reader.epoch());
  return discard;
}

test("A stray is kept for the long grace, an orphan for the short one", async () => {
  world = await World.start({ ...QUICK, grace: "10s", unknown_grace: "2m", trash_ttl: "0s" });
  const [a] = await world.addKeepers(["a", "b", "c"]);
  if (a === undefined) throw new Error("no keeper");
  a.chunks.set(STRAY, 10);
  await a.list();
  const { chunks: { unknown } } = await world.ask(clusterStatus, {});
  expect(unknown).toMatchObject({ chunks: 1, bytes: 10 });
  expect(unknown?.leftMs).toBeWithin(110_000, 120_001);
  await world.live(100_000);
  expect(a.chunks.has(STRAY)).toBe(true);
  await world.live(30_000);
  expect(a.chunks.has(STRAY)).toBe(false);
  expect(world.reader.chunk(STRAY)?.copies).toBe(0);
  expect((await world.ask(clusterStatus, {})).chunks.unknown).toBeUndefined();
});

test("What lies aside stays on an older catalog, and is wanted when no other copy is left", async () => {
  world = await World.start(QUICK);
  const [a, ...others] = await world.addKeepers(["a", "b", "c"]);
  if (a === undefined) throw new Error("no keeper");
  const chunk = await world.put("/f");
  await world.live(1_000);
  const ask = (id: string) =>
    call(world.bus, subjects.report(a.id, "aside"), reportAside, {
      chunks: [{ chunk: id, ageMs: 4 * 24 * 3_600_000, held: false }],
    }, within);
  expect((await ask(chunk)).wanted).toEqual([]);
  expect((await ask(STRAY)).discard).toEqual([STRAY]);
  for (const keeper of [a, ...others]) {
    const lost = { chunks: [chunk], reason: "corrupt" as const };
    await call(world.bus, subjects.report(keeper.id, "lost"), reportLost, lost, within);
  }
  expect(await ask(chunk)).toMatchObject({ discard: [], wanted: [chunk] });
  const snapshot = world.tables.archive.readSnapshot();
  world.tables.archive.putSnapshot({ ...snapshot, newer: 900 });
  expect((await ask(STRAY)).discard).toEqual([]);
});

test("A chunk of another size is named, and counts as no copy", async () => {
  world = await World.start();
  const [a] = await world.addKeepers(["a", "b", "c"]);
  if (a === undefined) throw new Error("no keeper");
  const chunk = await world.put("/f");
  const page = { after: "" as const, chunks: [[chunk, 9]] as [string, number][], last: true };
  const subject = subjects.report(a.id, "inventory");
  for (let turn = 0; turn < 2; turn++) {
    const reply = await call(world.bus, subject, reportInventory, page, within);
    expect(reply).toEqual({ unknown: 0, missing: 0, wrongSize: [chunk] });
    expect(world.holders(chunk)).toEqual(["b", "c"]);
  }
});

test("What lies aside may go when its chunk is whole, and not before", async () => {
  world = await World.start(QUICK);
  const [a, b, c, d] = await world.addKeepers(["a", "b", "c", "d"]);
  if (!a || !b || !c || !d) throw new Error("no keepers");
  const chunk = await world.put("/f", { replicas: 4 });
  await world.live(1_000);
  // The record says that a has it: the bad copy, unless a has one in its place.
  expect(await discardOf(a, chunk)).toEqual([]);
  expect(await discardOf(a, chunk, true)).toEqual([chunk]);
  expect(await discardOf(a, STRAY)).toEqual([STRAY]);
  await world.live(5_000, [d]);
  expect(await discardOf(a, chunk, true)).toEqual([]);
  await world.live(1_000);
  await world.stopRoles();
  await world.startRoles();
  await world.live(1_000);
  // This master has not heard yet what the keepers have.
  expect(await discardOf(a, chunk, true)).toEqual([]);
  expect(await discardOf(a, STRAY)).toEqual([]);
});

test("keeper.scrub finds the keeper that is meant, and says when it is away", async () => {
  world = await World.start(QUICK);
  const [a, b] = await world.addKeepers(["alpha", "beta"]);
  if (!a || !b) throw new Error("no keepers");
  const scrub = (keeper: string) => world.ask(keeperScrub, { keeper });
  for (const word of ["alpha", a.id, a.id.slice(0, 6)]) await scrub(word);
  expect(world.commands("scrub")).toEqual(Array(3).fill("alpha: scrub"));
  expect((await failureOf(scrub("gamma"))).message)
    .toBe(
      'Cannot scrub keeper "gamma": there are alpha, beta',
    );
  expect(await codeOf(scrub("gamma"))).toBe("not-found");
  await world.live(6_000, [b]);
  expect((await failureOf(scrub("beta"))).message).toBe('Cannot scrub keeper "beta": it is DEAD');
  a.hangs = true;
  const failing = failureOf(scrub("alpha"));
  await world.clock.advance(4_000);
  expect((await failing).code).toBe("no-keepers");
});

test("file.scrub has all copies read, page by page, and names the bad ones", async () => {
  world = await World.start(QUICK);
  const keepers = await world.addKeepers(["a", "b", "c"]);
  const pieces = Array.from({ length: 7 }, (_, n) => new Uint8Array(10).fill(n));
  await world.putLarge("/film", pieces);
  const chunks = world.reader.locate("/film", undefined, 0, 9).extents.map(({ chunk }) => chunk);
  keepers[1]?.bad.set(chunks[1] ?? "", "corrupt");
  keepers[2]?.bad.set(chunks[5] ?? "", "missing");
  await world.live(6_000, keepers.slice(0, 1));
  let copies = 0;
  const bad: unknown[] = [];
  const unread: string[] = [];
  let fromSeq: number | undefined = 0;
  let inode: number | undefined;
  while (fromSeq !== undefined) {
    const request = { path: "/film", fromSeq, ...(inode === undefined ? {} : { inode }) };
    const page: ScrubPage = await world.ask(fileScrub, request);
    expect(page.copies + page.unread.length).toBeLessThanOrEqual(SCRUB_PAGE_MAX);
    copies += page.copies;
    bad.push(...page.bad);
    unread.push(...page.unread.map(({ keeper, reason }) => `${keeper}: ${reason}`));
    ({ inode, next: fromSeq } = page);
  }
  expect(copies).toBe(14);
  expect(bad).toEqual([
    { chunk: chunks[1], keeper: "b", state: "corrupt" },
    { chunk: chunks[5], keeper: "c", state: "missing" },
  ]);
  expect(unread).toEqual(Array(7).fill("a: the keeper is DEAD"));
  expect(await codeOf(world.ask(fileScrub, { path: "/", fromSeq: 0 }))).toBe("is-directory");
  expect(await codeOf(world.ask(fileScrub, { path: "/x", fromSeq: 0 }))).toBe("not-found");
});

test("file.scrub answers in time though a keeper does not, and names what is lost", async () => {
  world = await World.start();
  const keepers = await world.addKeepers(["a", "b", "c"]);
  const chunk = await world.put("/f");
  const [a] = keepers;
  if (a === undefined) throw new Error("no keeper");
  a.hangs = true;
  const asking = world.ask(fileScrub, { path: "/f", fromSeq: 0 });
  await world.clock.advance(4_500);
  expect((await asking).unread).toEqual([
    { chunk, keeper: "a", reason: "it takes too long to read" },
  ]);
  for (const { id } of keepers) {
    const atMs = world.clock.wallMs();
    await world.writer.submit({ kind: "replica.gone", keeper: id, chunks: [chunk], atMs });
  }
  expect((await world.ask(fileScrub, { path: "/f", fromSeq: 0 })).bad)
    .toEqual([{ chunk, keeper: "", state: "lost" }]);
});

test("Full keepers are told apart from missing ones; status tells fault, scrub and attic", async () => {
  world = await World.start();
  const keepers = await world.addKeepers(["a", "b", "c"]);
  const scrub = {
    ...{ running: true, doneBytes: 5, totalBytes: 9, bad: 1, passedMs: 3, beganMs: 4, dueMs: 8 },
  };
  const begin = () => world.ask(uploadBegin, beginRequest("/f", 1000));
  for (const keeper of keepers.slice(0, 2)) {
    keeper.beat({ readOnly: true, fault: "full", aside: 2, scrub });
  }
  await world.clock.advance(0);
  const refusal = await failureOf(begin());
  expect(refusal.code).toBe("no-space");
  expect(refusal.message).toBe(
    'Cannot upload "/f": no 2 keepers have room for 1000 B; ' +
      "add a keeper, or remove files (their space comes back when the trash lets go)",
  );
  const status = await world.ask(clusterStatus, {});
  expect(status.keepers[0]).toMatchObject({ readOnly: true, fault: "full", aside: 2, scrub });
  expect(status.keepers[2]?.fault).toBeUndefined();
  // A disk that has failed will not come back by itself.
  for (const keeper of keepers.slice(0, 2)) keeper.beat({ readOnly: true, fault: "broken" });
  await world.clock.advance(0);
  expect(await codeOf(begin())).toBe("no-keepers");
  for (const keeper of keepers) keeper.beat();
  await world.clock.advance(0);
  expect((await begin()).upload).not.toBe("");
});
