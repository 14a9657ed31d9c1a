/** Which keeper a word means. */
import { expect, test } from "bun:test";
import { findKeeper, sortByName } from "../../src/wire/keeper_word.ts";

const KEEPERS = [
  { id: "aa11".repeat(8), name: "one" },
  { id: "aa22".repeat(8), name: "two" },
  { id: "bb33".repeat(8), name: "aa2" },
];

test.each([
  ["one", "one"],
  ["aa11".repeat(8), "one"],
  ["bb", "aa2"],
  ["aa2", "aa2"],
  ["aa22", "two"],
])("findKeeper finds by name, id and beginning of an id: %s", (word, name) => {
  expect(findKeeper(KEEPERS, word, "find").name).toBe(name);
});

test("findKeeper refuses what means none or several", () => {
  expect(() => findKeeper(KEEPERS, "cc", "find")).toThrow(/"cc": there are aa2, one, two$/);
  expect(() => findKeeper(KEEPERS, "aa", "find")).toThrow(
    /"aa": one, two have ids that begin so; give more digits$/,
  );
  expect(() => findKeeper(KEEPERS, "", "find")).toThrow(/Cannot find keeper ""/);
  expect(() => findKeeper([], "x", "find")).toThrow(/no keeper has joined yet$/);
});

test("sortByName counts the digits in names as numbers", () => {
  const names = ["keeper-10", "keeper-9", "barn"].map((name) => ({ name }));
  expect(sortByName(names).map(({ name }) => name)).toEqual(["barn", "keeper-9", "keeper-10"]);
});
