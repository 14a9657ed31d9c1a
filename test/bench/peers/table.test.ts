/** The table of the peers' bench: medians, and ratios that say who leads. */
import { expect, test } from "bun:test";
import { parseGroups, ROWS } from "../../../bench/peers/rows.ts";
import type { Column, Measurement } from "../../../bench/peers/table.ts";
import {
  cellsOf,
  describeLosses,
  formatMarkdown,
  formatTable,
  makeTable,
} from "../../../bench/peers/table.ts";

const columns: Column[] = [
  { title: "tydfs", kind: "tydfs", synced: true },
  { title: "safe", kind: "peer", synced: true },
  { title: "fast", kind: "peer", synced: false },
  { title: "limit, fsync", kind: "limit", synced: true },
  { title: "limit", kind: "limit", synced: false },
];

function measured(row: string, column: string, ...values: number[]): Measurement[] {
  return values.map((value) => ({ row, column, value }));
}

const measurements = [
  ...measured("put-large", "tydfs", 300, 100, 200),
  ...measured("put-large", "safe", 100),
  ...measured("put-large", "fast", 400),
  ...measured("put-large", "limit, fsync", 250),
  ...measured("put-large", "limit", 1000),
  ...measured("repair", "tydfs", 4),
  ...measured("repair", "safe", 2),
  ...measured("repair", "fast", 8),
];

test("makeTable takes medians, and ratios in which more than 1 is tydfs' lead", () => {
  const [put, repair, ...others] = makeTable(ROWS, columns, measurements);
  expect(others).toEqual([]);
  expect(put?.values).toEqual([200, 100, 400, 250, 1000]);
  expect(put?.toSynced).toEqual({ value: 2, against: "safe" });
  expect(put?.toAny).toEqual({ value: 0.5, against: "fast" });
  expect(put?.toLimit).toEqual({ value: 0.8, against: "limit, fsync" });
  // Seconds: less is better.
  expect(repair?.toSynced).toEqual({ value: 0.5, against: "safe" });
  expect(repair?.toAny).toEqual({ value: 0.5, against: "safe" });
  expect(repair?.toLimit).toBeUndefined();
});

test("makeTable compares nothing where tydfs was not measured", () => {
  const [only] = makeTable(ROWS, columns, measured("start", "safe", 1));
  expect(only?.toSynced).toBeUndefined();
  expect(only?.values).toEqual([undefined, 1, undefined, undefined, undefined]);
});

test("cellsOf marks what has a note", () => {
  const noted = { row: "start", column: "safe", value: 1, note: "not whole" };
  expect(cellsOf(columns, makeTable(ROWS, columns, [noted]))[1]?.[3]).toBe("1.00†");
});

test("describeLosses names the rows in which a peer of equal durability leads", () => {
  expect(describeLosses(makeTable(ROWS, columns, measurements))).toEqual([
    "Replace a lost server that held 2 GiB: 0.50 of safe",
  ]);
});

test("formatTable aligns, and formatMarkdown makes what is below 1 stand out", () => {
  const cells = cellsOf(columns, makeTable(ROWS, columns, measurements));
  expect(formatTable(cells).split("\n")).toEqual([
    "                                       unit   tydfs  safe  fast  limit, fsync  limit" +
    "  ÷ best fsynced  ÷ best peer  ÷ limit",
    "Put 1 × 1 GiB                          MiB/s    200   100   400           250  1,000" +
    "     2.00 (safe)  0.50 (fast)     0.80",
    "Replace a lost server that held 2 GiB  s       4.00  2.00  8.00             –      –" +
    "     0.50 (safe)  0.50 (safe)",
  ]);
  expect(formatMarkdown(cells).split("\n")[2]).toBe(
    "| Put 1 × 1 GiB | MiB/s | 200 | 100 | 400 | 250 | 1,000 | 2.00 (safe) | **0.50 (fast)** |" +
      " **0.80** |",
  );
});

test("parseGroups takes groups and rows, and nothing else", () => {
  expect(parseGroups("large, put-tree")).toEqual(["large", "tree"]);
  expect(parseGroups("large,huge")).toBeUndefined();
});
