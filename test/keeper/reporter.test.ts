/** Reports that come late: what they say must still be true when the master hears it. */
import { expect, test } from "bun:test";
import { silentLog } from "../../src/base/log.ts";
import { seededRandom } from "../../src/base/random.ts";
import type { ChunkFacts } from "../../src/chunks/sidecar.ts";
import { Reporter } from "../../src/keeper/reporter.ts";
import { serve } from "../../src/wire/bus.ts";
import { TydfsError } from "../../src/wire/errors.ts";
import { reportLost, reportStored } from "../../src/wire/report.ts";
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
