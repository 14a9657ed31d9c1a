/** What a watch leaves alone, by ignore files, filters, and names of its own. */
import { expect, test } from "bun:test";
import { makeFilter, TAKE_ALL } from "../../../src/client/trees/filter.ts";
import { IgnoreRules } from "../../../src/client/watch/ignoring.ts";

function rulesOf(files: Record<string, string>, filter = TAKE_ALL) {
  let reads = 0;
  const rules = new IgnoreRules((directory) => {
    reads++;
    return files[directory];
  }, filter);
  return { rules, files, reads: () => reads };
}

const TAKEN: [string, Record<string, string>, string, boolean][] = [
  ["everything", {}, "a/b", true],
  ["a name at any depth", { "": "*.log" }, "a/b.log", false],
  ["a name of the root only", { "": "/b.log" }, "a/b.log", true],
  ["capitals apart", { "": "*.log" }, "a/B.LOG", true],
  ["a directory", { "": "tmp/" }, "a/tmp/b", false],
  ["a file that is named like a directory", { "": "tmp/" }, "a/tmp", true],
  ["what is taken back", { "": "*.log\n!b.log" }, "b.log", true],
  ["what a deeper file takes back", { "": "*.log", "a": "!b.log" }, "a/b.log", true],
  ["nothing back from an ignored directory", { "": "a/", "a": "!b.log" }, "a/b.log", false],
  ["what a deeper file ignores", { "a": "b" }, "a/c/b", false],
  ["elsewhere", { "a": "b" }, "c/b", true],
  ["comments and spaces", { "": "# a\n\n  \n" }, "a", true],
];
for (const [what, files, path, isTaken] of TAKEN) {
  test(`IgnoreRules ${isTaken ? "takes" : "leaves"} ${path}: ${what}`, () => {
    expect(rulesOf(files).rules.takes(path, "file")).toBe(isTaken);
  });
}

test("IgnoreRules leaves downloads in the making alone, and nothing that only looks like them", () => {
  const { rules } = rulesOf({});
  expect(rules.takesFile("a/.b.mp4.tydfs-part")).toBe(false);
  expect(rules.takesFile(".b.mp4.tydfs-0123456789ab")).toBe(false);
  expect(rules.takesFile("a/b.tydfs-part")).toBe(true);
  expect(rules.takesFile("a/.tydfsignore")).toBe(true);
});

test("IgnoreRules takes only what the flags take, too", () => {
  const filter = makeFilter([{ kind: "include", pattern: "*.mp4" }]);
  const { rules } = rulesOf({ "": "b.mp4" }, filter);
  expect(["a.mp4", "b.mp4", "c.txt"].map((path) => rules.takes(path, "file"))).toEqual([
    ...[true, false, false],
  ]);
  expect(rules.keepsEmpty).toBe(false);
});

test("IgnoreRules reads a file once, until it is told to read again", () => {
  const { rules, files, reads } = rulesOf({});
  for (let n = 0; n < 5; n++) rules.takes("a/b", "file");
  expect(reads()).toBe(2);
  files["a"] = "b";
  expect(rules.takes("a/b", "file")).toBe(true);
  rules.refresh();
  expect(rules.takes("a/b", "file")).toBe(false);
});
