/** The index of features names tests that are there, and each row has one. */
import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { Row } from "./rows.ts";
import { NEVER, ROWS } from "./rows.ts";

const CLUSTER_TESTS = join(import.meta.dir, "../cluster");
const ROW_COUNT = 30;
const NEVER_COUNT = 10;

/** The titles of the tests of a file, as they are written. */
function titlesOf(text: string): string[] {
  return [...text.matchAll(/^\s*test(?:\.each\(\w+\))?\(\s*(["'`])(.*?)\1,/gm)]
    .map(([, , title]) => title ?? "");
}

function missing(rows: Readonly<Record<number, Row>>): string[] {
  return Object.entries(rows).flatMap(([number, { by }]) =>
    by.flatMap(({ file, tests }) => {
      const titles = titlesOf(readFileSync(join(CLUSTER_TESTS, file), "utf8"));
      return tests.filter((begin) => !titles.some((title) => title.startsWith(begin)))
        .map((begin) => `${number}: ${file} has no test "${begin}…"`);
    })
  );
}

test("titlesOf finds the titles of tests, however they are laid out", () => {
  const text = 'test("a", async () => {\ntest(\n  "b: c",\n  async\ntest.each(CASES)("%s d", () =>';
  expect(titlesOf(text)).toEqual(["a", "b: c", "%s d"]);
});

test("every row has a test of the compiled binary", () => {
  const upTo = (count: number) => Array.from({ length: count }, (_, index) => String(index + 1));
  expect(Object.keys(ROWS)).toEqual(upTo(ROW_COUNT));
  expect(Object.keys(NEVER)).toEqual(upTo(NEVER_COUNT));
  for (const { by } of [...Object.values(ROWS), ...Object.values(NEVER)]) {
    expect(by.flatMap(({ tests }) => tests).length).toBeGreaterThan(0);
  }
});

test("every test that a row names is there", () => {
  expect([...missing(ROWS), ...missing(NEVER)]).toEqual([]);
});
