/** Receipts of puts: why there are fewer copies than wanted, on fixed states of a cluster. */
import { expect, test } from "bun:test";
import type { Copies } from "../../../src/cli/transfer/receipt.ts";
import {
  explainCopies,
  formatReceipt,
  ReceiptBook,
  receiptJson,
  whyShort,
} from "../../../src/cli/transfer/receipt.ts";
import type { ClusterStatus, KeeperStatus } from "../../../src/client/client.ts";
import { largeStatus } from "../some_status.ts";

/** A cluster of keepers named a, b, c, …, each as given. */
function stateOf(...keepers: Partial<KeeperStatus>[]): ClusterStatus {
  const status = largeStatus(keepers.length);
  return {
    ...status,
    keepers: status.keepers.map((keeper, index) => {
      return { ...keeper, name: String.fromCharCode(97 + index), ...keepers[index] };
    }),
  };
}

const UP = {};
const DOWN = { state: "DEAD" } as const;
const SILENT = { state: "SUSPECT" } as const;
const FULL = { readOnly: true, fault: "full" } as const;

const CASES: [string, Copies, ClusterStatus | undefined, string, string][] = [
  [
    "keepers are down",
    { copies: 1, goal: 3 },
    stateOf(UP, DOWN, DOWN),
    "keepers-away",
    "b, c are down",
  ],
  ["one is down", { copies: 2, goal: 3 }, stateOf(UP, UP, DOWN), "keepers-away", "c is down"],
  [
    "they are away for several reasons",
    { copies: 1, goal: 4 },
    stateOf(UP, DOWN, SILENT, FULL),
    "keepers-away",
    "b is down, c is silent, d is full",
  ],
  [
    "two keepers are all",
    { copies: 2, goal: 3 },
    stateOf(UP, UP),
    "few-keepers",
    "2 keepers are known, a third would complete it",
  ],
  [
    "one keeper is all",
    { copies: 1, goal: 3 },
    stateOf(UP),
    "few-keepers",
    "1 keeper is known, 2 more would complete it",
  ],
  [
    "two keepers are all, and one is down",
    { copies: 1, goal: 3 },
    stateOf(UP, DOWN),
    "few-keepers",
    "2 keepers are known, a third would complete it; b is down",
  ],
  [
    "the third is on its way",
    { copies: 2, goal: 3 },
    stateOf(UP, UP, UP, DOWN),
    "being-made",
    "the third is being made now",
  ],
  [
    "one is on its way, another can't be",
    { copies: 1, goal: 3 },
    stateOf(UP, UP, DOWN),
    "keepers-away",
    "c is down; the second is being made now",
  ],
  [
    "several are on their way",
    { copies: 1, goal: 3 },
    stateOf(UP, UP, UP),
    "being-made",
    "2 more are being made now",
  ],
  [
    "the master holds repairs back",
    { copies: 2, goal: 3 },
    {
      ...stateOf(UP, UP, UP),
      safeMode: { reason: "3 of 9 keepers are alive", holdsRepairs: true },
    },
    "safe-mode",
    "no more are made in safe mode (3 of 9 keepers are alive)",
  ],
  [
    "the master is gone",
    { copies: 2, goal: 3 },
    undefined,
    "unknown",
    "the master was not reached again to tell why",
  ],
];

test.each(CASES)("explainCopies says that %s", (_what, copies, state, reason, words) => {
  expect(explainCopies(copies, state)).toMatchObject({ reason, words });
});

test("explainCopies names a few keepers of many", () => {
  const state = stateOf(UP, ...Array.from({ length: 8 }, () => DOWN));
  expect(explainCopies({ copies: 1, goal: 3 }, state).words).toBe(
    "b, c, d, e, f and 3 more are down",
  );
});

test("formatReceipt and receiptJson tell copies, syncs and what is missing", () => {
  const file = { copies: 1, goal: 3, checksum: "0123456789abcdef" };
  const whole = { ...file, copies: 3 };
  const state = stateOf(UP, DOWN, DOWN);
  expect(whyShort(whole, state)).toBeUndefined();
  expect(formatReceipt(whole)).toBe("3/3 copies, synced, xxh3 0123456789abcdef");
  expect(formatReceipt(file, whyShort(file, state))).toBe(
    "1/3 copies: b, c are down · synced, xxh3 0123456789abcdef",
  );
  expect(receiptJson(whole)).toEqual({
    ...{ copies: 3, replicas: 3, goal: 3, synced: true, missing: [] },
  });
  expect(receiptJson(file, whyShort(file, state))).toEqual({
    ...{ copies: 1, replicas: 3, goal: 3, synced: true, reason: "keepers-away" },
    missing: [{ keeper: "b", state: "down" }, { keeper: "c", state: "down" }],
  });
});

test("ReceiptBook sums up the receipts of a tree", () => {
  const book = new ReceiptBook();
  expect([book.words(undefined), book.json(undefined)]).toEqual([undefined, {}]);
  book.add({ copies: 3, goal: 3 });
  book.add({ copies: 3, goal: 3 });
  expect(book.words(undefined)).toBe("3/3 copies, synced");
  expect(book.json(undefined)).toEqual({ synced: true, short: 0, missing: [] });
  book.add({ copies: 2, goal: 2 });
  expect(book.words(undefined)).toBe("all copies synced");
  book.add({ copies: 2, goal: 3 });
  book.add({ copies: 1, goal: 3 });
  const state = stateOf(UP, DOWN, DOWN);
  expect(book.worst).toEqual({ copies: 1, goal: 3 });
  expect(book.words(state)).toBe("2 of 5 files with fewer copies than wanted: b, c are down");
  expect(book.json(state)).toMatchObject({ synced: true, short: 2, reason: "keepers-away" });
});
