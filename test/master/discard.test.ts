/** decideDiscard: what lies aside goes only when its chunk is whole elsewhere, or nobody needs it. */
import { expect, test } from "bun:test";
import type { ChunkRecord } from "../../src/catalog/chunk_reader.ts";
import type { KeeperRecord } from "../../src/catalog/reader.ts";
import { loadConfig } from "../../src/config/load.ts";
import { decideDiscard, decideWanted, pictureOf } from "../../src/master/discard.ts";
import { KeeperTable, UNKNOWN_SCRUB } from "../../src/tables/keeper_table.ts";
import type { KeeperState } from "../../src/wire/cluster.ts";

const NOW_MS = 1_800_000_000_000;
const HOUR_MS = 3_600_000;
const REPORTER = 0;

function chunkOf(facts: Partial<ChunkRecord>): ChunkRecord {
  return {
    ...{ no: 1, id: "ab".repeat(16), sizeBytes: 10, sums: new Uint8Array(8), goal: 3, copies: 0 },
    ...{
      refs: 1,
      orphanedMs: null,
      policy: 0,
      misplaced: 0,
      stray: 0,
      packed: 0,
      parted: 0,
      keepers: [],
    },
    ...facts,
  };
}

/** A picture of keepers 0, 1, …; each is a state, with "+" when it has told what it has. */
function picture(...keepers: string[]) {
  const table = new KeeperTable();
  for (const [number, word] of keepers.entries()) {
    const state = word.replace("+", "") as KeeperState;
    table.put(number, {
      ...{ state, epoch: 2, lastBeatMs: 1, freeBytes: 1, totalBytes: 1, chunks: 1 },
      ...{ readOnly: false, fault: undefined, aside: 0, scrub: UNKNOWN_SCRUB, left: false },
      deadSinceMs: 0,
    });
    if (word.endsWith("+")) table.markListed(number, 2);
  }
  const records = keepers.map((_, number) => ({ number }) as KeeperRecord);
  const { settings } = loadConfig({ flags: { grace: "1h", unknown_grace: "72h" }, env: {} });
  return pictureOf(records, table, settings, NOW_MS);
}

test("decideDiscard, a line a case", () => {
  const whole = ["ALIVE+", "ALIVE+", "ALIVE+", "ALIVE+"];
  const orphan = { refs: 0, orphanedMs: NOW_MS - 2 * HOUR_MS };
  const stray = { refs: 0, stray: 1, orphanedMs: NOW_MS - 80 * HOUR_MS };
  const table: [what: string, string[], Partial<ChunkRecord> | undefined, string, boolean][] = [
    ["whole on others", whole, { keepers: [1, 2, 3] }, "1h", true],
    ["one short", whole, { keepers: [1, 2] }, "1h", false],
    ["its own new copy counts", whole, { keepers: [0, 1, 2] }, "1h held", true],
    ["its own row may be of the bad one", whole, { keepers: [0, 1, 2] }, "1h", false],
    ["no copy at all", whole, { keepers: [] }, "999h", false],
    [
      "a holder is silent",
      ["ALIVE+", "ALIVE+", "SUSPECT+", "ALIVE+"],
      { keepers: [1, 2, 3] },
      "1h",
      false,
    ],
    [
      "a holder is dead",
      ["ALIVE+", "ALIVE+", "DEAD+", "ALIVE+"],
      { keepers: [1, 2, 3] },
      "1h",
      false,
    ],
    [
      "a holder has not told",
      ["ALIVE+", "ALIVE+", "ALIVE", "ALIVE+"],
      { keepers: [1, 2, 3] },
      "1h",
      false,
    ],
    [
      "a holder is drained",
      ["ALIVE+", "ALIVE+", "DRAINING+", "ALIVE+"],
      { keepers: [1, 2, 3] },
      "1h",
      true,
    ],
    ["unknown, old", whole, undefined, "73h", true],
    ["unknown, young", whole, undefined, "71h", false],
    ["unknown, while one joins", [...whole, "JOINING"], undefined, "73h", false],
    ["unknown, while one has not told", [...whole, "ALIVE"], undefined, "73h", false],
    ["unknown, one is dead", [...whole, "DEAD"], undefined, "73h", true],
    ["unknown, most are dead", ["ALIVE+", "DEAD", "DEAD"], undefined, "73h", false],
    ["unneeded, behind the grace", whole, orphan, "2h", true],
    ["unneeded, aside just now", whole, orphan, "0h", false],
    ["unneeded, while one joins", [...whole, "JOINING"], orphan, "2h", false],
    ["unneeded since now", whole, { refs: 0, orphanedMs: NOW_MS }, "99h", false],
    ["a stray, old", whole, stray, "79h", true],
    ["a stray, aside for less", whole, stray, "2h", false],
  ];
  for (const [what, keepers, facts, age, expected] of table) {
    const aside = {
      chunk: "ab".repeat(16),
      ageMs: parseInt(age) * HOUR_MS,
      held: age.endsWith("held"),
    };
    const chunk = facts && chunkOf(facts);
    const verdict = decideDiscard(aside, REPORTER, chunk, picture(...keepers));
    expect(`${what}: ${verdict}`).toBe(`${what}: ${expected}`);
  }
});

test("decideWanted, a line a case: needed, and no copy that could be read", () => {
  const table: [what: string, string[], Partial<ChunkRecord> | undefined, boolean, boolean][] = [
    ["no copy on record", ["ALIVE+", "ALIVE+"], { keepers: [] }, false, true],
    ["its own row only", ["ALIVE+", "ALIVE+"], { keepers: [0] }, false, true],
    ["its own copy is there again", ["ALIVE+", "ALIVE+"], { keepers: [0] }, true, false],
    ["a copy elsewhere", ["ALIVE+", "ALIVE+"], { keepers: [1] }, false, false],
    ["a copy on one that is silent", ["ALIVE+", "SUSPECT"], { keepers: [1] }, false, false],
    ["a copy on a dead one", ["ALIVE+", "DEAD"], { keepers: [1] }, false, true],
    ["nobody needs it", ["ALIVE+"], { refs: 0, orphanedMs: 0, keepers: [] }, false, false],
    ["nobody knows it", ["ALIVE+"], undefined, false, false],
  ];
  for (const [what, keepers, facts, held, expected] of table) {
    const chunk = facts === undefined ? undefined : chunkOf(facts);
    const aside = { chunk: "ab".repeat(16), ageMs: 1, held };
    const verdict = decideWanted(aside, REPORTER, chunk, picture(...keepers));
    expect(`${what}: ${verdict}`).toBe(`${what}: ${expected}`);
  }
});
