/** ArchiveTable: both halves come back in every thread; what counts as archived, a line a case. */
import { expect, test } from "bun:test";
import { ArchiveTable } from "../../src/tables/archive_table.ts";

test("ArchiveTable gives back what was put, in every thread that joins it", () => {
  const table = new ArchiveTable();
  const other = new ArchiveTable(table.buffer);
  const journal = { base: 2 ** 40, sequence: 5, shipped: 4, lost: 3, bytes: 2 ** 33, keepers: 2 };
  const snapshot = { sequence: 2 ** 34, madeMs: 1_700_000_000_000, copies: 3, newer: 9 };
  table.putJournal(journal);
  table.putSnapshot(snapshot);
  expect(other.readJournal()).toEqual(journal);
  expect(other.readSnapshot()).toEqual(snapshot);
});

test("ArchiveTable counts the journal only behind a snapshot, or from the beginning", () => {
  const cases: [base: number, lost: number, shipped: number, snapshot: number, archived: number][] =
    [
      [0, 0, 7, 0, 7],
      [5, 0, 7, 0, 0],
      [5, 0, 7, 4, 4],
      [5, 0, 7, 5, 7],
      [5, 6, 9, 5, 5],
      [5, 6, 9, 6, 9],
      [5, 6, 7, 8, 8],
    ];
  for (const [base, lost, shipped, sequence, archived] of cases) {
    const table = new ArchiveTable();
    table.putJournal({ base, lost, shipped, sequence: 9, bytes: 0, keepers: 1 });
    table.putSnapshot({ sequence, madeMs: 1, copies: 2, newer: 0 });
    expect(table.archived()).toBe(archived);
  }
});
