/** KeeperTable and RepairTable keep what is put; decideKeeperState, a line a case. */
import { expect, test } from "bun:test";
import { decideKeeperState } from "../../src/tables/keeper_state.ts";
import type { KeeperRow } from "../../src/tables/keeper_table.ts";
import { KeeperTable } from "../../src/tables/keeper_table.ts";
import type { KeeperState } from "../../src/wire/cluster.ts";

const ROW: KeeperRow = {
  state: "ALIVE",
  epoch: 3,
  lastBeatMs: 1_700_000_000_123,
  freeBytes: 2 ** 50 + 1,
  totalBytes: 2 ** 52,
  chunks: 5_000_000_000,
  readOnly: false,
  fault: undefined,
  aside: 2 ** 33,
  scrub: {
    ...{ running: true, doneBytes: 2 ** 40 + 1, totalBytes: 2 ** 41, bad: 7 },
    ...{ passedMs: 1_700_000_000_789, beganMs: 1_700_000_000_999, dueMs: 9 },
  },
  left: false,
  deadSinceMs: 1_700_000_000_456,
};

test("KeeperTable gives back what was put, in every thread that joins it", () => {
  const table = new KeeperTable();
  const other = new KeeperTable(table.buffer);
  expect(other.find(7)).toBeUndefined();
  for (const state of ["JOINING", "ALIVE", "SUSPECT", "DEAD", "DRAINING"] as const) {
    const faults = [{ readOnly: true, left: false, fault: "full" as const }, {
      ...{ readOnly: false, left: true, fault: undefined },
    }];
    for (const flags of faults) {
      const row = { ...ROW, ...flags, state };
      table.put(7, row);
      expect(other.find(7)).toEqual(row);
      expect(other.alive(7)).toBe(state === "ALIVE");
    }
  }
  expect(other.find(6)).toBeUndefined();
  expect(other.find(8)).toBeUndefined();
});

test("KeeperTable knows which process of a keeper has joined", () => {
  const table = new KeeperTable();
  expect(table.hasJoined(1, 0)).toBe(false);
  table.markJoined(1, 0);
  expect(table.hasJoined(1, 0)).toBe(true);
  table.put(1, ROW);
  table.markJoined(1, 4);
  expect([table.hasJoined(1, 0), table.hasJoined(1, 4), table.hasJoined(2, 4)])
    .toEqual([false, true, false]);
  expect(table.find(1)).toEqual(ROW);
});

test("decideKeeperState follows the silence", () => {
  const limits = { suspectAfterMs: 3_000, deadAfterMs: 10_000 };
  const table: [KeeperState, number, KeeperState][] = [
    ["ALIVE", 0, "ALIVE"],
    ["ALIVE", 2_999, "ALIVE"],
    ["ALIVE", 3_000, "SUSPECT"],
    ["ALIVE", 10_000, "DEAD"],
    ["SUSPECT", 100, "ALIVE"],
    ["SUSPECT", 9_999, "SUSPECT"],
    ["SUSPECT", 10_000, "DEAD"],
    ["JOINING", 0, "JOINING"],
    ["JOINING", 9_999, "JOINING"],
    ["JOINING", 10_000, "DEAD"],
    ["DEAD", 0, "DEAD"],
    ["DEAD", 10_000, "DEAD"],
    ["DRAINING", 2_999, "DRAINING"],
    ["DRAINING", 3_000, "SUSPECT"],
  ];
  for (const [state, silentMs, expected] of table) {
    const next = decideKeeperState(state, silentMs, limits);
    expect(`${state} ${silentMs}: ${next}`).toBe(`${state} ${silentMs}: ${expected}`);
  }
});
