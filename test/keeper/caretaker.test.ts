/** The caretaker on virtual time: when it lists, when it asks, what it deletes. */
import { afterEach, beforeEach, expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { silentLog } from "../../src/base/log.ts";
import { ChunkStore } from "../../src/chunks/chunk_store.ts";
import { Caretaker } from "../../src/keeper/caretaker.ts";
import { ScrubShare } from "../../src/keeper/scrub_share.ts";
import { TydfsError } from "../../src/wire/errors.ts";
import type { AsideChunk, InventoryRequest } from "../../src/wire/report.ts";
import { landBytes, makeChunk, openWorld, type StoreWorld } from "../chunks/fixture.ts";
import { ManualClock } from "../manual_clock.ts";
import { random } from "./world.ts";

const KEEPER = "0a".repeat(16);
const DAY_MS = 24 * 60 * 60_000;

let world: StoreWorld;
let clock: ManualClock;
let store: ChunkStore;
let share: ScrubShare;
const asked: AsideChunk[][] = [];
const pages: InventoryRequest[] = [];
/** What the master answers. */
let answer = makeAnswer();
const stored: string[] = [];
let refuses = false;
let isAway = false;

function makeAnswer() {
  const none: string[] = [];
  return { masterEpoch: 5, discard: none, wanted: none, wrongSize: none };
}

beforeEach(async () => {
  world = await openWorld();
  clock = new ManualClock();
  const { disk } = world;
  store = new ChunkStore({ disk, share: world.share, reserveBytes: 0, clock, random });
  share = new ScrubShare();
  share.obeying = true;
  asked.length = pages.length = 0;
  answer = makeAnswer();
  stored.length = 0;
  refuses = false;
  isAway = false;
});
afterEach(() => world[Symbol.dispose]());

function makeCaretaker(): Caretaker {
  return new Caretaker({
    ...{ keeperId: KEEPER, store, share, clock, random, log: silentLog, inventoryPeriodMs: DAY_MS },
    reporter: {
      inventory(page) {
        if (isAway) return Promise.reject(new TydfsError("timeout", "No answer"));
        pages.push(page);
        return Promise.resolve({ unknown: 0, missing: 0, wrongSize: answer.wrongSize });
      },
      stored({ chunk, keepers }) {
        stored.push(`${chunk} ${keepers.join()}`);
        const error = new TydfsError("corrupt", "These are not the bytes on record");
        return refuses ? Promise.reject(error) : Promise.resolve(undefined);
      },
      aside({ chunks }) {
        asked.push(chunks);
        return Promise.resolve(answer);
      },
    },
    masterEpoch: {
      check: (epoch) =>
        epoch < 5
          ? Promise.reject(new TydfsError("stale-epoch", "A newer master was heard"))
          : Promise.resolve(),
    },
    checkPremises: () => Promise.resolve(),
    signal: new AbortController().signal,
  });
}

async function putAside(): Promise<string> {
  const { facts, bytes } = makeChunk(10);
  await landBytes(store, world.disk, facts, bytes);
  await store.quarantine(facts.chunk);
  return facts.chunk;
}

/** Lets time pass, a look each minute. */
async function pass(caretaker: Caretaker, ms: number, stepMs = 60_000): Promise<void> {
  for (let passed = 0; passed < ms; passed += stepMs) {
    await clock.advance(stepMs);
    await caretaker.look();
  }
}

test("Caretaker lists the disk each period, after each scrub, and again when it failed", async () => {
  const caretaker = makeCaretaker();
  await pass(caretaker, DAY_MS);
  expect(pages).toHaveLength(1);
  await pass(caretaker, 2 * DAY_MS);
  expect(pages.length).toBeWithin(2, 5);
  const before = pages.length;
  share.countPass();
  isAway = true;
  await pass(caretaker, 60_000);
  isAway = false;
  expect(pages).toHaveLength(before);
  await pass(caretaker, 2 * 60_000);
  expect(pages).toHaveLength(before + 1);
});

test("Caretaker deletes what may go, and asks ever more seldom about the rest", async () => {
  const kept = await putAside();
  const gone = await putAside();
  answer.discard = [gone, "ff".repeat(16)];
  const caretaker = makeCaretaker();
  await pass(caretaker, 10_000, 2_000);
  expect(asked[0]?.map(({ chunk, held }) => [chunk, held]).sort())
    .toEqual([[kept, false], [gone, false]].sort());
  expect((await store.attic.list()).map(({ chunk }) => chunk)).toEqual([kept]);
  expect(store.aside).toBe(1);
  const first = asked.length;
  await pass(caretaker, DAY_MS);
  // Seconds, minutes, then each hour.
  expect(asked.length - first).toBeWithin(25, 45);
  expect(asked.at(-1)?.[0]?.ageMs).toBeWithin(DAY_MS - 3_600_000, DAY_MS + 20_000);
});

test("Caretaker tells whether a copy lies in its place again", async () => {
  const { facts, bytes } = makeChunk(10);
  await landBytes(store, world.disk, facts, bytes);
  await store.quarantine(facts.chunk);
  await landBytes(store, world.disk, facts, bytes);
  await pass(makeCaretaker(), 10_000, 2_000);
  expect(asked[0]).toMatchObject([{ chunk: facts.chunk, held: true }]);
});

test("Caretaker asks for nothing, and deletes nothing, under a master that is not to be obeyed", async () => {
  const chunk = await putAside();
  answer.discard = [chunk];
  share.obeying = false;
  const caretaker = makeCaretaker();
  await pass(caretaker, 2 * DAY_MS);
  expect([asked.length, pages.length, store.aside]).toEqual([0, 0, 1]);
  share.obeying = true;
  answer.masterEpoch = 4;
  await pass(caretaker, 60_000, 2_000);
  expect([asked.length > 0, store.aside]).toEqual([true, 1]);
});

test("Caretaker puts aside what has another size than the master knows", async () => {
  const { facts, bytes } = makeChunk(10);
  await landBytes(store, world.disk, facts, bytes);
  answer.wrongSize = [facts.chunk, "ff".repeat(16)];
  share.countPass();
  const caretaker = makeCaretaker();
  share.countPass();
  await pass(caretaker, 2_000, 2_000);
  expect([store.aside, store.chunks]).toEqual([1, 0]);
});

test("Caretaker brings a copy back that is whole and wanted, and no other", async () => {
  const chunk = await putAside();
  const bad = await putAside();
  const [file] = (await store.attic.list()).filter((aside) => aside.chunk === bad);
  writeFileSync(join(world.directory, "quarantine", file?.name ?? ""), new Uint8Array(10));
  answer.wanted = [chunk, bad, "ff".repeat(16)];
  const caretaker = makeCaretaker();
  await pass(caretaker, 10_000, 2_000);
  expect(stored).toEqual([`${chunk} ${KEEPER}`]);
  expect(await store.verify(chunk)).toBe("good");
  expect([store.aside, store.chunks]).toEqual([1, 1]);
  expect((await store.attic.list()).map((aside) => aside.chunk)).toEqual([bad]);
});

test("Caretaker puts a copy aside again of which the master knows other bytes", async () => {
  const chunk = await putAside();
  answer.wanted = [chunk];
  refuses = true;
  const caretaker = makeCaretaker();
  await pass(caretaker, 3_600_000);
  expect(stored).toHaveLength(1);
  expect([store.aside, store.chunks]).toEqual([1, 0]);
});
