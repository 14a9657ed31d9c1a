/** Near misses of typing. */
import { expect, test } from "bun:test";
import * as fc from "fast-check";
import { didYouMean, similarWord } from "../../src/base/similar.ts";

const WORDS = ["put", "get", "ls", "status", "stat", "mkdir", "replicas", "min_copies"];

const CASES: [string, string | undefined][] = [
  ["gett", "get"],
  ["statsu", "status"],
  ["mkdri", "mkdir"],
  ["relpicas", "replicas"],
  ["mincopies", "min_copies"],
  ["REPLICAS", "replicas"],
  ["put", undefined],
  ["xyzzy", undefined],
  ["", undefined],
];

test.each(CASES)("similarWord of %p is %p", (word, similar) => {
  const others = WORDS.filter((each) => each !== word && !(word === "put" && each === "get"));
  expect(similarWord(word, others)).toBe(similar);
});

test("similarWord takes the nearest, and of equals the first", () => {
  expect(similarWord("statu", ["stat", "status"])).toBe("stat");
  expect(similarWord("a.MP4", ["b.mp4", "a.mp4"])).toBe("a.mp4");
});

test("similarWord never offers the word itself, and bears any text", () => {
  fc.assert(fc.property(fc.string(), fc.array(fc.string()), (word, words) => {
    const similar = similarWord(word, words);
    expect(similar === undefined || (similar !== word && words.includes(similar))).toBe(true);
  }));
});

test("didYouMean ends a message, or says nothing", () => {
  expect(didYouMean("statsu", WORDS)).toBe('; did you mean "status"?');
  expect(didYouMean("xyzzy", WORDS)).toBe("");
});
