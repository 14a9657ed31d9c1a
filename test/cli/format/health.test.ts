/** How a cluster fares in plain words, on fixed states. */
import { describe, expect, test } from "bun:test";
import {
  formatAgo,
  healthLines,
  nameKeepers,
  repairsLine,
} from "../../../src/cli/format/health.ts";
import type { ClusterStatus, KeeperStatus } from "../../../src/client/client.ts";
import { QUIET_REPAIRS, QUIET_SCRUB } from "../../quiet_status.ts";
import { largeStatus } from "../some_status.ts";

const DAY = 86_400_000;
const NOW = Date.UTC(2026, 1, 1);
const ARCHIVE: ClusterStatus["archive"] = {
  ...{ sequence: 5000, archived: 4990, keepers: 3 },
  ...{ snapshotMs: NOW - 2 * 3_600_000, snapshotCopies: 3 },
};

interface Change {
  /** What each keeper is, besides alive; as many as there are. */
  keepers?: Partial<KeeperStatus>[];
  chunks?: Partial<ClusterStatus["chunks"]>;
  repairs?: Partial<ClusterStatus["repairs"]>;
  rest?: Partial<ClusterStatus>;
}

function stateOf({ keepers = [{}, {}, {}], chunks, repairs, rest }: Change): ClusterStatus {
  const status = largeStatus(keepers.length);
  return {
    ...status,
    keepers: status.keepers.map((keeper, index) => ({ ...keeper, ...keepers[index] })),
    chunks: { ...status.chunks, ...chunks },
    repairs: { ...QUIET_REPAIRS, ...repairs },
    archive: ARCHIVE,
    ...rest,
  };
}

function lines(change: Change): string[] {
  return healthLines(stateOf(change), NOW).map(({ text }) => text);
}

/** The lines, without the one on the catalog that ends them. */
function troubles(change: Change): string[] {
  const all = lines(change);
  expect(all.at(-1)).toStartWith("The catalog is kept on 3 keepers");
  return all.slice(0, -1);
}

test("a healthy cluster is said in one line, and one on the catalog", () => {
  expect(lines({})).toEqual([
    "All is well: every chunk has all its copies",
    "The catalog is kept on 3 keepers, too, its last snapshot 2 h ago",
  ]);
  const mild = { safeMode: { reason: "the picture has to settle", holdsRepairs: false } };
  expect(lines({ rest: mild }).slice(0, 2)).toEqual([
    "All is well: every chunk has all its copies",
    "Safe mode: the picture has to settle; nothing is deleted or moved meanwhile",
  ]);
  expect(lines({ rest: { archive: { ...ARCHIVE, sequence: 0 } } })).toEqual([
    "All is well: every chunk has all its copies",
  ]);
  expect(lines({ keepers: [], chunks: { total: 0 } })).toEqual([]);
  expect(lines({ keepers: [], chunks: { total: 4, under: 1, lost: 3 } }).slice(0, 2)).toEqual([
    "3 chunks have no copy in reach: tydfs fsck tells which files are lost",
    "1 chunk is short of copies: 3 more keepers are needed",
  ]);
});

test("chunks that the catalog does not know are told of, and for how long they stay", () => {
  const unknown = { chunks: 3, bytes: 2 ** 21, leftMs: 70 * 3_600_000 };
  expect(lines({ chunks: { unknown } })).toEqual([
    "All is well: every chunk has all its copies",
    "3 chunks on keepers are not in the catalog (2 MiB): kept for 2 d 22 h yet; " +
    "tydfs fsck names them, tydfs rescue gets files out of them",
    "The catalog is kept on 3 keepers, too, its last snapshot 2 h ago",
  ]);
});

describe("what is in danger", () => {
  test("lost and endangered chunks come first, and are bad", () => {
    const state = stateOf({
      chunks: { lost: 1, under: 5 },
      repairs: { endangered: 2, running: 2, queued: 3 },
    });
    expect(healthLines(state, NOW).slice(0, 4)).toEqual([
      {
        tone: "bad",
        text: "1 chunk has no copy in reach: tydfs fsck tells which files are lost",
      },
      { tone: "bad", text: "2 chunks have one copy left: these are repaired first" },
      { tone: "doubtful", text: "3 more chunks are short of copies" },
      { text: "Repairs: 2 running, 3 queued" },
    ]);
  });

  test("two keepers for three copies: one more is needed, and nothing else is wrong", () => {
    const chunks = { total: 48, atGoal: 0, under: 48 };
    expect(troubles({ keepers: [{}, {}], chunks })).toEqual([
      "Every file has 2 of 3 copies: one more keeper is needed",
    ]);
    expect(troubles({ keepers: [{}], chunks, repairs: { endangered: 48 } })).toEqual([
      "Every file has 1 of 3 copies: 2 more keepers are needed",
    ]);
    expect(troubles({ keepers: [{}, {}], chunks: { under: 7 } })).toEqual([
      "7 chunks are short of copies: one more keeper is needed",
    ]);
  });

  test("a keeper without whom nothing is missing is said to be just that", () => {
    expect(troubles({ keepers: [{}, {}, {}, { state: "DEAD" }, { state: "JOINING" }] })).toEqual([
      "Not heard yet since the master's start: barn-5",
      "barn-4 is down, and nothing is missing without it",
    ]);
    // What it has is not known to be missing, nor to be there.
    expect(troubles({ keepers: [{}, {}, {}, { state: "SUSPECT" }] })).toEqual([
      "barn-4 is silent, and may be down",
    ]);
  });
});

test("a chunk without a copy may come back with a keeper that is down", () => {
  const keepers: Partial<KeeperStatus>[] = [{}, {}, { state: "DEAD" }];
  expect(troubles({ keepers, chunks: { lost: 1 } })[0]).toBe(
    "1 chunk has no copy in reach: a keeper that has one must come back",
  );
});

describe("repairs", () => {
  test("are told with what is left, the rate, and the time", () => {
    const repairs = {
      ...{ running: 3, queued: 40, queuedBytes: 12 * 2 ** 30, bytesPerSecond: 80 * 2 ** 20 },
      etaMs: 153_000,
    };
    expect(troubles({ chunks: { under: 43 }, repairs })).toEqual([
      "43 chunks are short of copies",
      "Repairs: 3 running, 40 queued · 12 GiB left at 80 MiB/s, done in about 2 min 33 s",
    ]);
  });

  test("that wait are told with for whom, and until when", () => {
    const keepers: Partial<KeeperStatus>[] = [{}, {}, { state: "DEAD" }];
    const repairs = { waiting: 7, waitMs: 270_000 };
    expect(troubles({ keepers, chunks: { under: 7 }, repairs })).toEqual([
      "7 chunks are short of copies",
      "7 chunks wait up to 4 min 30 s for barn-3 to come back, before the repair begins",
    ]);
  });

  test("that are nearly due or nearly done are not said to take 0 ms", () => {
    const keepers: Partial<KeeperStatus>[] = [{}, {}, { state: "DEAD" }];
    const soon = troubles({ keepers, chunks: { under: 7 }, repairs: { waiting: 7, waitMs: 0 } });
    expect(soon[1]).toStartWith("7 chunks wait up to 1 s for barn-3");
    const done = stateOf({ repairs: { running: 1, queued: 0, etaMs: 697 } });
    expect(repairsLine(done)).toBe("Repairs: 1 running, 0 queued, done in about 1 s");
  });

  test("that are not even counted yet are not said to be needless", () => {
    const under = { chunks: { under: 7 } };
    const away: Partial<KeeperStatus>[] = [{}, {}, { state: "SUSPECT" }];
    expect(troubles({ ...under, keepers: away })[1]).toBe(
      "Repairs begin when barn-3 has been down for the master's --repair-delay",
    );
    expect(troubles({ ...under, keepers: [{}, {}, { readOnly: true, fault: "full" }] })[1]).toBe(
      "Repairs wait for another keeper with room",
    );
    const alone: Partial<KeeperStatus>[] = [{}, { state: "DEAD" }, { state: "DEAD" }];
    expect(troubles({ ...under, keepers: alone })[1]).toBe(
      "Repairs wait for another keeper with room",
    );
    expect(troubles(under)[1]).toStartWith("Repairs have not begun yet");
    expect(repairsLine(stateOf(under))).toStartWith("Repairs have not begun yet");
    expect(repairsLine(stateOf({}))).toBe("No repairs are due");
  });

  test("wait in safe mode, which is told with its reason", () => {
    const rest = { safeMode: { reason: "2 of 9 keepers are alive", holdsRepairs: true } };
    const state = stateOf({ chunks: { under: 7 }, rest });
    expect(healthLines(state, NOW).slice(0, 2)).toEqual([
      { tone: "doubtful", text: "7 chunks are short of copies" },
      {
        tone: "bad",
        text: "Safe mode: 2 of 9 keepers are alive; " +
          "nothing is deleted, moved or repaired meanwhile",
      },
    ]);
    expect(repairsLine(state)).toBe("Repairs wait for the end of the safe mode");
  });
});

const KEEPERS: [string, Partial<KeeperStatus>, string][] = [
  [
    "full",
    { readOnly: true, fault: "full" },
    "barn-1 is full: it takes nothing, and goes on serving",
  ],
  [
    "failing",
    { readOnly: true, fault: "broken" },
    "barn-1 has a disk that fails: it takes nothing, and goes on serving",
  ],
  [
    "read-only",
    { readOnly: true },
    "barn-1 can't write to its disk: it takes nothing, and goes on serving",
  ],
  [
    "being drained",
    { state: "DRAINING", drain: { chunksLeft: 40, safeToRemove: false } },
    "barn-1 is being drained: 40 chunks left",
  ],
  [
    "drained",
    { state: "DRAINING", drain: { chunksLeft: 0, safeToRemove: true } },
    "barn-1 is drained: it may be stopped, and tydfs keeper remove barn-1 forgets it",
  ],
  [
    "one that has found bad copies",
    { scrub: { ...QUIET_SCRUB, bad: 2, passedMs: NOW - DAY } },
    "barn-1 has found 2 bad copies since its start",
  ],
  ["one with chunks aside", { aside: 1 }, "barn-1 keeps 1 bad or unknown chunk aside"],
  [
    "one whose scrub is late",
    { scrub: { ...QUIET_SCRUB, passedMs: NOW - 9 * DAY - 5 } },
    "barn-1: last full scrub 9 days ago",
  ],
  [
    "one whose first scrub takes long",
    {
      scrub: {
        ...QUIET_SCRUB,
        ...{ running: true, beganMs: NOW - 20 * DAY, doneBytes: 40, totalBytes: 100 },
      },
    },
    "barn-1: no full scrub since it began 20 days ago; one is under way, 40 % done",
  ],
];

test.each(KEEPERS)("healthLines tells of a keeper that is %s", (_what, keeper, words) => {
  expect(troubles({ keepers: [keeper, {}, {}] })).toEqual([words]);
});

test("healthLines is silent about scrubs that are not late, and of keepers that are away", () => {
  const scrub = { ...QUIET_SCRUB, passedMs: NOW - 7 * DAY };
  expect(lines({ keepers: [{ scrub }, {}, {}] })[0]).toStartWith("All is well: ");
  const late = { ...QUIET_SCRUB, passedMs: NOW - 70 * DAY };
  const dead = { scrub: late, state: "DEAD" as const };
  expect(troubles({ keepers: [{}, {}, {}, dead] })).toHaveLength(1);
});

test("healthLines tells of balancing, of placement, and of a catalog that is not safe", () => {
  const balance = { running: true, spreadPercent: 12.345, moving: 3 };
  expect(troubles({ rest: { balance } })).toEqual([
    "Balancing: 3 chunks on the way; disks are up to 12.3 % from the mean",
  ]);
  expect(troubles({ chunks: { misplaced: 2, blocked: 1 } })).toEqual([
    "2 chunks are to be moved by placement rules; " +
    "1 wait for one more keeper with the labels and room",
  ]);
  expect(troubles({ rest: { archive: { ...ARCHIVE, archived: 100 } } })).toEqual([
    "4900 changes of the catalog are not on the keepers yet",
  ]);
  expect(lines({ rest: { archive: { ...ARCHIVE, keepers: 0 } } })).toEqual([
    "The catalog is on the master's disk only: no keeper has its journal",
  ]);
  expect(lines({ rest: { archive: { ...ARCHIVE, snapshotMs: 0 } } })[1]).toBe(
    "The catalog is kept on 3 keepers, too, without a snapshot yet",
  );
  expect(lines({ rest: { archive: { ...ARCHIVE, snapshotCopies: 1 } } })[1]).toEndWith(
    "its last snapshot in 1 copy 2 h ago",
  );
});

test("formatAgo and nameKeepers are rough where details do not matter", () => {
  expect([0, 5_000, 185_000, 7_300_000, DAY, 9.9 * DAY].map(formatAgo)).toEqual([
    ...["just now", "5 s ago", "3 min ago", "2 h ago", "1 day ago", "9 days ago"],
  ]);
  const named = (count: number) =>
    nameKeepers(Array.from({ length: count }, (_, index) => ({ name: `k${index + 1}` })));
  expect([1, 2, 3, 9].map(named)).toEqual([
    ...["k1", "k1 and k2", "k1, k2 and k3", "k1, k2, k3, k4 and 5 more"],
  ]);
});
