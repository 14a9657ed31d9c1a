/** Reports that come late: what they say must still be true when the master hears it. */
import { expect, test } from "bun:test";
import { silentLog } from "../../src/base/log.ts";
import { seededRandom } from "../../src/base/random.ts";
import type { ChunkFacts } from "../../src/chunks/sidecar.ts";
import { Reporter } from "../../src/keeper/reporter.ts";
import { serve } from "../../src/wire/bus.ts";
import { TydfsError } from "../../src/wire/errors.ts";
import type { StoredRequest } from "../../src/wire/report.ts";
import { reportLost, reportStored, reportStoredMany } from "../../src/wire/report.ts";
import { makeChunk } from "../chunks/fixture.ts";
import { ManualClock } from "../manual_clock.ts";
import { MemoryBus } from "./memory_bus.ts";
import { subjects } from "./world.ts";

const random = seededRandom(11);
const KEEPER = "0a".repeat(16);

/** A keeper's reporter, and a master that keeps one row. */
function makeWorld() {
  const clock = new ManualClock();
  const bus = new MemoryBus();
  const heard: string[] = [];
  const { facts } = makeChunk(10);
  const world = {
    ...{ clock, heard, facts },
    /** What lies on the disk. */
    copy: undefined as ChunkFacts | undefined,
    isAway: false,
    /** Runs when the master hears that the copy is lost. */
    onLost: () => {},
    reporter: new Reporter({ bus, subjects, keeperId: KEEPER, clock, random, log: silentLog }),
    tell() {
      world.reporter.lostLater(facts.chunk, "corrupt", () => Promise.resolve(world.copy));
    },
    async pass(ms: number) {
      for (let passed = 0; passed < ms; passed += 500) await clock.advance(500);
    },
  };
  const on = { onFailure: () => {} };
  serve(bus, subjects.report(KEEPER, "lost"), reportLost, on, () => {
    if (world.isAway) throw new TydfsError("unavailable", "The master starts");
    heard.push("lost");
    world.onLost();
    return {};
  });
  serve(bus, subjects.report(KEEPER, "stored"), reportStored, on, ({ chunk, keepers }) => {
    heard.push(`stored ${chunk === facts.chunk} ${keepers.join()}`);
    return {};
  });
  return world;
}

test("Reporter does not tell as lost what has landed again before the master could hear it", async () => {
  const world = makeWorld();
  world.isAway = true;
  world.tell();
  await world.pass(10_000);
  world.copy = world.facts;
  world.isAway = false;
  await world.pass(10_000);
  expect(world.heard).toEqual([`stored true ${KEEPER}`]);
});

test("Reporter takes back what the master heard while the chunk landed again", async () => {
  const world = makeWorld();
  world.onLost = () => world.copy = world.facts;
  world.tell();
  await world.pass(5_000);
  expect(world.heard).toEqual(["lost", `stored true ${KEEPER}`]);
  // It is news when it is lost once more, within the minute.
  world.copy = undefined;
  world.onLost = () => {};
  world.tell();
  await world.pass(5_000);
  expect(world.heard.slice(2)).toEqual(["lost"]);
});

test("Reporter tells a loss once a minute while nothing has landed", async () => {
  const world = makeWorld();
  world.tell();
  world.tell();
  await world.pass(5_000);
  expect(world.heard).toEqual(["lost"]);
});

/** A reporter with small chunks to tell of, and what a master hears of them. */
function lateWorld() {
  const clock = new ManualClock();
  const bus = new MemoryBus();
  const parts = { bus, subjects, keeperId: KEEPER, clock, random, log: silentLog };
  const world = {
    clock,
    heard: [] as string[],
    /** Chunks whose reports fail among others; undefined: the master knows no such message. */
    failing: [] as string[] | undefined,
    reporter: new Reporter(parts),
    tell(name: string, sizeBytes = 10, ticket = "ticket") {
      const chunk = name.repeat(32);
      const sums = new Uint8Array(8);
      const report = { chunk, sizeBytes, sums, keepers: [KEEPER], ticket, head: false };
      world.reporter.storedLater(report);
    },
  };
  const on = { onFailure: () => {} };
  const nameOf = ({ chunk }: StoredRequest) => chunk.slice(0, 1);
  serve(bus, subjects.report(KEEPER, "stored"), reportStored, on, (report) => {
    world.heard.push(nameOf(report));
    return {};
  });
  serve(bus, subjects.report(KEEPER, "stored-many"), reportStoredMany, on, ({ reports }) => {
    if (world.failing === undefined) throw new TydfsError("unavailable", "Nobody answers");
    world.heard.push(reports.map(nameOf).join(""));
    return { failed: world.failing };
  });
  return world;
}

test("Reporter tells of several short chunks at once, of a single one by itself", async () => {
  const world = lateWorld();
  for (const name of ["a", "b", "c"]) world.tell(name);
  expect(world.heard).toEqual([]);
  await world.clock.advance(100);
  world.tell("d");
  await world.clock.advance(100);
  expect(world.heard).toEqual(["abc", "d"]);
});

test("Reporter keeps nobody waiting who has a slot, or a long ticket, or waits for the end", async () => {
  const world = lateWorld();
  world.tell("a", 1_000_000);
  world.tell("b", 10, "t".repeat(5_000));
  world.tell("c");
  world.tell("d");
  await world.reporter.idle();
  expect(world.heard.toSorted()).toEqual(["a", "b", "cd"]);
  for (let count = 0; count < 65; count++) world.tell("e");
  await world.clock.advance(0);
  expect(world.heard.at(-1)).toBe("e".repeat(64));
});

test("Reporter tells by itself of each chunk that was not recorded with the others", async () => {
  const world = lateWorld();
  world.failing = ["b".repeat(32)];
  for (const name of ["a", "b"]) world.tell(name);
  await world.reporter.idle();
  expect(world.heard).toEqual(["ab", "b"]);
  world.failing = undefined;
  for (const name of ["c", "d"]) world.tell(name);
  await world.reporter.idle();
  expect(world.heard.slice(2)).toEqual(["c", "d"]);
});
