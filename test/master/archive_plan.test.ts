/** Who keeps the archive, when a snapshot is due, what may go: a line a case. */
import { expect, test } from "bun:test";
import fc from "fast-check";
import {
  chooseArchiveKeepers,
  decideSnapshot,
  findNewer,
  JOURNAL_BYTES_MAX,
  planPrune,
  type SnapshotState,
} from "../../src/master/archive_plan.ts";
import { archiveName } from "../../src/wire/archive.ts";

const CATALOG = "c".repeat(32);

test("chooseArchiveKeepers keeps those it has, and takes new zones first", () => {
  const cases: [string, string, number, string][] = [
    ["1a 2a 3b 4c", "", 3, "1 3 4"],
    ["1a 2a 3b 4c", "2", 2, "2 3"],
    ["1a 2a", "", 3, "1 2"],
    ["1a 2b 3c", "9", 2, "1 2"],
    ["1a 2a 3a", "3", 2, "3 1"],
    ["", "1", 2, ""],
  ];
  for (const [keepers, held, count, chosen] of cases) {
    const candidates = keepers.split(" ").filter(Boolean)
      .map((word) => ({ id: word[0] ?? "", zone: word[1] ?? "" }));
    expect(chooseArchiveKeepers(candidates, new Set(held), count).join(" ")).toBe(chosen);
  }
});

test("decideSnapshot: at the start, in time, or sooner where the journal says so", () => {
  const quiet: SnapshotState = {
    ...{ nowMs: 1e6, sequence: 9, snapshotSequence: 5, madeMs: 1e6 - 70_000, failedMs: -Infinity },
    ...{ journalBytes: 0, isBroken: false, journals: 1, periodMs: 3_600_000 },
    ...{ copies: 3, keepers: 3, isLeaving: false },
  };
  const cases: [Partial<SnapshotState>, string | undefined][] = [
    [{}, undefined],
    [{ madeMs: -Infinity }, "there is none since the start"],
    [{ madeMs: -Infinity, failedMs: 1e6 - 9_000 }, undefined],
    [{ madeMs: -Infinity, failedMs: 1e6 - 10_000 }, "there is none since the start"],
    [{ madeMs: 1e6 - 3_600_000 }, "its time has come"],
    [{ madeMs: 1e6 - 3_600_000, sequence: 5 }, undefined],
    [{ copies: 1 }, "it is on one keeper only"],
    [{ copies: 1, keepers: 1 }, undefined],
    [{ isBroken: true }, "a part of the journal is on too few keepers"],
    [{ isBroken: true, madeMs: 1e6 - 59_000 }, undefined],
    [{ journalBytes: JOURNAL_BYTES_MAX }, "the journal has grown long"],
    [{ isLeaving: true }, "a keeper of the archive is gone, or is to go"],
    [{ isLeaving: true, sequence: 5 }, "a keeper of the archive is gone, or is to go"],
    [{ isLeaving: true, madeMs: 1e6 - 59_000 }, undefined],
    [{ journals: 25 }, "there are many journals"],
    [{ periodMs: 1_000, failedMs: 1e6 - 1_000, madeMs: 1e6 - 1_000 }, "its time has come"],
  ];
  for (const [change, reason] of cases) {
    expect(decideSnapshot({ ...quiet, ...change })).toBe(reason);
  }
});

function listingOf(keepers: Record<string, string>) {
  return new Map(
    Object.entries(keepers).map(([keeper, words]) => [
      keeper,
      words.split(" ").filter(Boolean).map((word) => ({
        name: archiveName(word[0] === "s" ? "snapshot" : "journal", CATALOG, Number(word.slice(1))),
        sizeBytes: 1,
        checksum: "",
      })),
    ]),
  );
}

function pruned(keepers: Record<string, string>, sequence = 100, enough = 2): string {
  const made = new Set([10, 20, 30]);
  const removals = planPrune(listingOf(keepers), { catalog: CATALOG, sequence, enough, made });
  return [...removals].map(([keeper, names]) => {
    const short = names.map((name) => `${name[0]}${name.split("-").at(-1)}`);
    return `${keeper}: ${short.sort().join(" ")}`;
  }).join("; ");
}

test("planPrune leaves two snapshots that are safe, and every journal that they need", () => {
  expect(pruned({ a: "s10 s20 s30 j1 j11 j21 j31", b: "s10 s20 s30 j1 j11 j21" }))
    .toBe("a: j1 j11 s10; b: j1 j11 s10");
  // The newest is on one keeper only: it does not count yet.
  expect(pruned({ a: "s10 s20 s30 j1 j11", b: "s10 s20" })).toBe("a: j1");
  expect(pruned({ a: "s10 j1", b: "s10" })).toBe("");
  // A journal that began before a snapshot, and goes on behind it, stays.
  expect(pruned({ a: "s10 s20 s30 j1 j25", b: "s10 s20 s30" })).toBe("a: s10; b: s10");
  // Snapshots that this master has not made may be of another history.
  expect(pruned({ a: "s10 s40 s50 j1", b: "s10 s40 s50" })).toBe("");
  // What lies beyond this catalog is not touched.
  expect(pruned({ a: "s10 s20 s90 j1 j11 j80", b: "s10 s20 s90 j1" }, 25)).toBe("a: j1; b: j1");
});

test("planPrune never removes a journal that holds an operation behind the older safe snapshot", () => {
  const numbers = fc.uniqueArray(fc.integer({ min: 1, max: 60 }), { maxLength: 8 });
  fc.assert(fc.property(numbers, numbers, (snapshots, journals) => {
    const words = [...snapshots.map((n) => `s${n}`), ...journals.map((n) => `j${n}`)].join(" ");
    const listing = listingOf({ a: words, b: words });
    const plan = planPrune(listing, {
      ...{ catalog: CATALOG, sequence: 60, enough: 2, made: new Set(snapshots) },
    });
    const removed = new Set(plan.get("a") ?? []);
    const oldest = [...snapshots].sort((x, y) => y - x)[1];
    if (oldest === undefined) return expect(removed.size).toBe(0);
    const begins = [...journals].sort((x, y) => x - y);
    for (const begin of begins) {
      const end = (begins.find((next) => next > begin) ?? Infinity) - 1;
      const name = archiveName("journal", CATALOG, begin);
      expect(removed.has(name)).toBe(end <= oldest);
    }
  }));
});

test("findNewer tells how far keepers go beyond this catalog", () => {
  const listing = listingOf({ a: "s10 j11", b: "s30 j41" });
  const own = { catalog: CATALOG, epoch: 3, sequence: 50, startSequence: 5 };
  expect(findNewer(listing, own)).toBe(0);
  expect(findNewer(listing, { ...own, sequence: 40 })).toBe(0);
  expect(findNewer(listing, { ...own, sequence: 39 })).toBe(40);
  expect(findNewer(listing, { ...own, sequence: 12 })).toBe(40);
  expect(findNewer(listing, { ...own, sequence: 12, startSequence: 40 })).toBe(0);
  expect(findNewer(listing, { ...own, catalog: "d".repeat(32), sequence: 1 })).toBe(0);
});

test("findNewer sees in a journal what an old copy of the catalog lacks, however far it has come", () => {
  const [file] = listingOf({ a: "j11" }).get("a") ?? [];
  if (file === undefined) throw new Error("no journal");
  const own = { catalog: CATALOG, epoch: 3, sequence: 50, startSequence: 20 };
  const find = (...ends: [number, number][]) =>
    findNewer(new Map([["a", [{ ...file, ends }]]]), own);
  // Its own pieces, and those of the master before it, up to where that one ended.
  expect(find([2, 20], [3, 50])).toBe(0);
  expect(find([2, 21], [3, 50])).toBe(21);
  // Another master had the same epoch: the old copy was made before its start.
  expect(find([3, 51])).toBe(51);
});
