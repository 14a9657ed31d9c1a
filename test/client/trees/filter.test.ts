/** What --include and --exclude take of a tree. */
import { expect, test } from "bun:test";
import type { FilterRule } from "../../../src/client/trees/filter.ts";
import { makeFilter, TAKE_ALL } from "../../../src/client/trees/filter.ts";

/** Rules as people write them: `- *.tmp` and `+ *.mp4`. */
function filter(...words: string[]) {
  return makeFilter(words.map((word): FilterRule => {
    return { kind: word.startsWith("-") ? "exclude" : "include", pattern: word.slice(2) };
  }));
}

const FILES: [string[], string, boolean][] = [
  [[], "a/b", true],
  [["- *.tmp"], "a.tmp", false],
  [["- *.tmp"], "deep/er/a.tmp", false],
  [["- *.tmp"], "a.mp4", true],
  // Only includes: nothing else is taken.
  [["+ *.mp4"], "a/b.mp4", true],
  [["+ *.mp4"], "a/b.txt", false],
  // The first that matches decides.
  [["+ keep.tmp", "- *.tmp"], "a/keep.tmp", true],
  [["+ keep.tmp", "- *.tmp"], "a/b.tmp", false],
  [["+ keep.tmp", "- *.tmp"], "a/b.mp4", true],
  [["- *.tmp", "+ keep.tmp"], "a/keep.tmp", false],
  // With a slash it is of paths below the root.
  [["- a/*.txt"], "a/b.txt", false],
  [["- /a/*.txt"], "a/b.txt", false],
  [["- a/*.txt"], "c/a/b.txt", true],
  [["- /top.txt"], "top.txt", false],
  [["- /top.txt"], "a/top.txt", true],
  [["- **/b.txt"], "c/a/b.txt", false],
  // What is about a directory is about all that is below it.
  [["- cache"], "a/cache/b/c", false],
  [["- cache/"], "a/cache/b/c", false],
  [["- cache/"], "a/cache", true],
  [["- a/cache/"], "a/cache/b", false],
  [["- a/cache/"], "b/a/cache/b", true],
  [["+ 2024/"], "photos/2024/x.jpg", true],
  [["+ 2024/"], "photos/2023/x.jpg", false],
  [["- {a,b}.txt"], "b.txt", false],
  [["- ?.txt"], "ab.txt", true],
  [["- [ab].txt"], "a.txt", false],
  [["- .*"], ".git/config", false],
  [["- *"], "日本.txt", false],
];

for (const [rules, path, taken] of FILES) {
  test(`makeFilter(${rules.join(", ")}).takesFile("${path}") is ${taken}`, () => {
    expect(filter(...rules).takesFile(path)).toBe(taken);
  });
}

const DIRECTORIES: [string[], string, boolean][] = [
  [[], "a", true],
  [["- cache"], "a/cache", false],
  [["- cache/"], "a/cache", false],
  [["- *.tmp"], "a.tmp", false],
  // It may hold what is included.
  [["+ *.mp4"], "a", true],
  [["+ *.mp4", "- *"], "a", false],
  [["+ a/", "- *"], "a", true],
  [["- a/b/**"], "a", true],
  [["- a/b/**"], "a/b", true],
];

for (const [rules, path, entered] of DIRECTORIES) {
  test(`makeFilter(${rules.join(", ")}).entersDirectory("${path}") is ${entered}`, () => {
    expect(filter(...rules).entersDirectory(path)).toBe(entered);
  });
}

test("makeFilter keeps empty directories unless only includes decide", () => {
  expect(TAKE_ALL.keepsEmpty).toBe(true);
  expect(filter("- *.tmp").keepsEmpty).toBe(true);
  expect(filter("+ a", "- b").keepsEmpty).toBe(true);
  expect(filter("+ *.mp4").keepsEmpty).toBe(false);
  expect(makeFilter([])).toBe(TAKE_ALL);
});
