/** The deciders of repair, a line a case; the queue and the bounded memories beside them. */
import { expect, test } from "bun:test";
import { seededRandom } from "../../src/base/random.ts";
import { Ages } from "../../src/master/ages.ts";
import { RecentSet } from "../../src/master/recent.ts";
import type { HolderState } from "../../src/master/repair.ts";
import { decideRepair, decideSurplus, isStranded } from "../../src/master/repair.ts";
import { RepairQueue } from "../../src/master/repair_queue.ts";
import { ManualClock } from "../manual_clock.ts";

const DELAYS = { repairDelayMs: 300, maintenanceWindowMs: 1_800 };

/**
 * `A`live, `S`uspect, `J`oining, dead just now `d`, dead for long `D`, left just now `l`, left for
 * long `L`; behind a `/` those where the chunk must not lie.
 */
function holdersOf(letters: string): HolderState[] {
  const states: Record<string, HolderState> = {
    A: { state: "ALIVE", deadForMs: 0, left: false },
    S: { state: "SUSPECT", deadForMs: 0, left: false },
    J: { state: "JOINING", deadForMs: 0, left: false },
    d: { state: "DEAD", deadForMs: 299, left: false },
    D: { state: "DEAD", deadForMs: 300, left: false },
    l: { state: "DEAD", deadForMs: 1_799, left: true },
    L: { state: "DEAD", deadForMs: 1_800, left: true },
  };
  const [right = "", wrong = ""] = letters.split("/");
  return [...right, ...wrong].map((letter, index) => {
    const state = states[letter];
    if (state === undefined) throw new Error(`No state ${letter}`);
    return index < right.length ? state : { ...state, misplaced: true };
  });
}

test("decideRepair decides", () => {
  const table: [number, string, string][] = [
    [3, "AAA", "whole"],
    [3, "AASDD", "whole"],
    [3, "AAJ", "whole"],
    [3, "AA", "repair 1"],
    [3, "AAd", "wait"],
    [3, "AAD", "repair 1"],
    [3, "AAl", "wait"],
    [3, "AAL", "repair 1"],
    [3, "Add", "repair 2"],
    [3, "All", "repair 2"],
    [3, "SDD", "repair 2"],
    [5, "AAdD", "repair 2"],
    [3, "", "lost"],
    [3, "dd", "lost"],
    [1, "A", "whole"],
    [1, "D", "lost"],
    [2, "Ad", "repair 1"],
    [3, "/AAA", "move"],
    [3, "AA/AA", "move"],
    [3, "AA/S", "move"],
    [3, "AAA/A", "whole"],
    [3, "AAd/A", "whole"],
    [3, "AAD/A", "move"],
    [3, "AAA/D", "whole"],
    [3, "AA/AD", "move"],
    [3, "A/AD", "repair 1"],
    [3, "A/Ad", "wait"],
    [3, "/dd", "lost"],
  ];
  for (const [goal, letters, expected] of table) {
    const verdict = decideRepair(goal, holdersOf(letters), DELAYS);
    const shown = verdict.kind === "repair" ? `repair ${verdict.missing}` : verdict.kind;
    expect(`${goal} ${letters}: ${shown}`).toBe(`${goal} ${letters}: ${expected}`);
  }
});

test("decideSurplus gives up a copy only when enough others are surely there", () => {
  const table: [number, string, string][] = [
    [3, "AAAA", "drop"],
    [3, "AAA", "keep"],
    [3, "AAAS", "keep"],
    [3, "AAAD", "keep"],
    [3, "AAAJ", "keep"],
    [3, "AAAAD", "drop"],
    [1, "AA", "drop"],
    [1, "AS", "keep"],
  ];
  for (const [goal, letters, expected] of table) {
    const shown = decideSurplus(goal, holdersOf(letters));
    expect(`${goal} ${letters}: ${shown}`).toBe(`${goal} ${letters}: ${expected}`);
  }
});

test("decideRepair says how long it waits", () => {
  const dead = (deadForMs: number, left = false): HolderState => ({
    state: "DEAD",
    deadForMs,
    left,
  });
  const alive: HolderState = { state: "ALIVE", deadForMs: 0, left: false };
  const wait = (goal: number, holders: HolderState[]) => decideRepair(goal, holders, DELAYS);
  expect(wait(3, [alive, alive, dead(100)])).toEqual({ kind: "wait", live: 2, waitMs: 200 });
  expect(wait(4, [alive, alive, dead(100), dead(0, true)])).toMatchObject({ waitMs: 200 });
  // One more than are needed is awaited: the repair begins when only one of them still is.
  expect(wait(3, [alive, alive, dead(100), dead(0, true)])).toMatchObject({ waitMs: 1_800 });
});

test("isStranded looks at the misplaced copies only", () => {
  for (
    const [letters, expected] of [["A/D", true], ["A/dl", true], ["D/A", false], ["/SD", false]]
  ) {
    expect([letters, isStranded(holdersOf(String(letters)))]).toEqual([letters, expected]);
  }
});

test("RepairQueue hands out the most endangered first, and keeps them when it is full", () => {
  const queue = new RepairQueue(new ManualClock(), seededRandom(1), 3);
  for (const [chunk, rank] of [["a", 2], ["b", 1], ["c", 2], ["d", 1], ["e", 2]] as const) {
    queue.offer({ chunk, rank, sizeBytes: 10 });
  }
  expect(queue.size).toBe(3);
  const taken = [queue.take(), queue.take(), queue.take(), queue.take()].map((job) => job?.chunk);
  expect(taken.slice(0, 2)).toEqual(["b", "d"]);
  expect(["a", "c"]).toContain(taken[2] ?? "");
  expect(taken[3]).toBeUndefined();
});

test("RepairQueue pauses after failures, longer each time, and forgets them with a success", async () => {
  const clock = new ManualClock();
  const queue = new RepairQueue(clock, seededRandom(1), 10);
  const offered = () => {
    queue.offer({ chunk: "a", rank: 1, sizeBytes: 10 });
    return queue.take() !== undefined;
  };
  queue.fail("a");
  expect(offered()).toBe(false);
  await clock.advance(1_001);
  expect(offered()).toBe(true);
  queue.fail("a");
  queue.fail("a");
  await clock.advance(1_001);
  expect(offered()).toBe(false);
  queue.succeed("a");
  expect(offered()).toBe(true);
});

test("Ages tells since when a key is seen, and forgets what is not", async () => {
  const clock = new ManualClock();
  const ages = new Ages(clock, 2);
  expect([ages.see("a"), ages.see("b"), ages.see("c")]).toEqual([0, 0, 0]);
  await clock.advance(100);
  expect([ages.see("a"), ages.see("c")]).toEqual([100, 0]);
  ages.forget(clock.monotonicMs());
  await clock.advance(50);
  expect([ages.see("a"), ages.see("b")]).toEqual([150, 0]);
});

test("RecentSet takes a key once in its period, and no more keys than it may", async () => {
  const clock = new ManualClock();
  const recent = new RecentSet(clock, { periodMs: 100, max: 2 });
  expect([recent.add("a"), recent.add("a"), recent.add("b"), recent.add("c")])
    .toEqual([true, false, true, false]);
  await clock.advance(100);
  expect([recent.add("a"), recent.add("c")]).toEqual([true, true]);
});
