/** When anything is held back, a line a case; and the words for it. */
import { expect, test } from "bun:test";
import type { SafeMode, SafetyFacts } from "../../src/master/safe_mode.ts";
import {
  allowsDeletions,
  allowsRepairs,
  decideSafeMode,
  describeSafeMode,
  packSafeMode,
  unpackSafeMode,
} from "../../src/master/safe_mode.ts";
import type { KeeperState } from "../../src/wire/cluster.ts";

const STATES: Record<string, KeeperState> = {
  A: "ALIVE",
  a: "ALIVE",
  S: "SUSPECT",
  D: "DEAD",
  J: "JOINING",
};

/** `A`live and listed, alive but not listed `a`, `S`uspect, `D`ead, `J`oining. */
function facts(letters: string, more: Partial<SafetyFacts> = {}): SafetyFacts {
  const keepers = [...letters].map((letter) => ({
    state: STATES[letter] ?? "DEAD",
    listed: letter !== "a",
  }));
  const counts = { chunks: 2_000, missing: 0, passed: false, newer: 0 };
  return { keepers, safeShare: 50, settledForMs: 10, settleMs: 10, ...counts, ...more };
}

test("decideSafeMode decides", () => {
  const table: [SafetyFacts, string][] = [
    [facts("AAA"), "off"],
    [facts(""), "off"],
    [facts("AAA", { settledForMs: 9 }), "settling"],
    [facts("AJA", { passed: true }), "unheard"],
    [facts("AD"), "off"],
    [facts("ADD"), "few"],
    [facts("ASS", { passed: true }), "few"],
    [facts("ADD", { safeShare: 33 }), "off"],
    [facts("DDD", { safeShare: 0 }), "off"],
    [facts("AAAD", { safeShare: 80 }), "few"],
    [facts("Aaa", { passed: true }), "unlisted"],
    // What is silent has told all it will for now.
    [facts("AAAD"), "off"],
    [facts("AAA", { missing: undefined }), "uncounted"],
    [facts("AAA", { missing: undefined, passed: true }), "off"],
    [facts("AAA", { missing: 2 }), "off"],
    [facts("AAA", { missing: 3 }), "unreported"],
    [facts("AAA", { missing: 3, passed: true }), "off"],
    [facts("AAA", { missing: 1, chunks: 999 }), "unreported"],
    [facts("AAA", { newer: 7 }), "older"],
    [facts("AAA", { newer: 7, passed: true }), "older"],
  ];
  for (const [given, expected] of table) {
    const told = `${given.keepers.map(({ state }) => state).join()} ${JSON.stringify(given)}`;
    expect(`${told}: ${decideSafeMode(given).kind}`).toBe(`${told}: ${expected}`);
  }
});

const MODES: [SafeMode, boolean, boolean, RegExp | undefined][] = [
  [{ kind: "starting" }, false, false, /just started/],
  [{ kind: "unheard", unheard: 2, known: 5 }, false, false, /2 of 5 keepers/],
  [{ kind: "few", alive: 2, known: 5 }, false, false, /only 2 of 5.*keeper remove/],
  [{ kind: "unlisted", unlisted: 1, known: 3 }, true, false, /1 of 3/],
  [{ kind: "settling", leftMs: 4_200 }, true, false, /5 s/],
  [{ kind: "uncounted" }, true, false, /counted/],
  [{ kind: "unreported", missing: 7, chunks: 9 }, true, false, /7 of 9 chunks/],
  [{ kind: "older", newer: 7 }, true, false, /older one.*up to change 7.*--recover/],
  [{ kind: "off" }, true, true, undefined],
];

test("each safe mode says what it holds back, and goes through a table", () => {
  for (const [mode, repairs, deletions, words] of MODES) {
    expect([mode, allowsRepairs(mode), allowsDeletions(mode)]).toEqual([mode, repairs, deletions]);
    if (words === undefined) expect(describeSafeMode(mode)).toBeUndefined();
    else expect(describeSafeMode(mode)).toMatch(words);
    expect(unpackSafeMode(packSafeMode(mode))).toEqual(mode);
  }
  expect(unpackSafeMode([0, 0, 0])).toEqual({ kind: "starting" });
});
