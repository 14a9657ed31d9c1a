/** Patterns as rules write them: what they match, and which are refused. */
import { expect, test } from "bun:test";
import { matcherOf, whyNotPattern } from "../../src/base/pattern.ts";

const MATCHES: [string, string[], string[]][] = [
  ["*.mp4", ["/a.mp4", "/deep/er/b.mp4", "/.hidden.mp4"], ["/a.mp3", "/a.mp4/b"]],
  ["*.{mp4,webm}", ["/a.mp4", "/x/a.webm"], ["/a.mov"]],
  ["/videos/*", ["/videos/a"], ["/videos", "/videos/a/b", "/x/videos/a"]],
  ["/videos/**", ["/videos/a", "/videos/a/b"], ["/videos", "/videos2/a"]],
  ["videos/**/*.mp4", ["/videos/a.mp4", "/videos/x/y/a.mp4"], ["/a.mp4"]],
  ["[ab]?", ["/ax", "/x/b日"], ["/cx", "/a"]],
  ["\\[x\\]", ["/[x]"], ["/x"]],
];

test.each(MATCHES)("matcherOf(%j) matches what it means", (pattern, yes, no) => {
  expect(whyNotPattern(pattern)).toBeUndefined();
  const matches = matcherOf(pattern);
  expect(yes.filter((path) => !matches(path))).toEqual([]);
  expect(no.filter(matches)).toEqual([]);
});

const REFUSED: [string, string][] = [
  ["", "it is empty"],
  ["x".repeat(1025), "over 1024 characters"],
  ["a\0b", "can't be a name"],
  ["/videos/", 'it ends with a slash; "/videos/**" is all that is below'],
  ["/a//b", "a part of it is empty"],
  ["/a/../b", '".." is not a name'],
  ["*.{mp4,webm", '"{" is not closed'],
  ["[ab", '"[" is not closed'],
  ["[]", '"[" is not closed'],
  ["a\\", "it ends with a backslash"],
];

test.each(REFUSED)("whyNotPattern(%j) tells why", (pattern, words) => {
  expect(whyNotPattern(pattern)).toContain(words);
});

test("whyNotPattern lets brackets stand that are closed or taken by their word", () => {
  for (const pattern of ["[]a]", "[!]a]", "a]b", "a}b", "\\{a", "{a,{b,c}}", "[{]"]) {
    expect(whyNotPattern(pattern)).toBeUndefined();
  }
});
