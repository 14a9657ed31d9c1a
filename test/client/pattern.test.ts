/** Patterns of remote paths: what they match, and where one has to look for it. */
import { expect, test } from "bun:test";
import * as fc from "fast-check";
import { hasPattern, matcherOf, parsePattern } from "../../src/client/pattern.ts";

const MATCHES: [string, string[], string[]][] = [
  ["/v/*.mp4", ["/v/a.mp4", "/v/.mp4", "/v/a b.mp4"], ["/v/a.mov", "/v/x/a.mp4", "/a.mp4", "/v"]],
  ["/v/?.mp4", ["/v/a.mp4", "/v/ü.mp4"], ["/v/ab.mp4", "/v/.mp4"]],
  ["/v/**/*.mp4", ["/v/a.mp4", "/v/x/a.mp4", "/v/x/y/a.mp4"], ["/v/a.mov", "/w/a.mp4"]],
  ["/v/**", ["/v/a", "/v/x/y"], ["/w/a", "/va"]],
  ["/*/a", ["/v/a", "/w/a"], ["/a", "/v/w/a"]],
  ["/v/[a-c]", ["/v/a", "/v/c"], ["/v/d", "/v/ab"]],
  ["/v/[!a-c]", ["/v/d"], ["/v/a"]],
  ["/v/{a,b*}.mp4", ["/v/a.mp4", "/v/bcd.mp4"], ["/v/c.mp4"]],
  ["v/*", ["/v/a"], ["/w/a"]],
  ["/v//x/*/", ["/v/x/a"], ["/v/x"]],
  ["/*", ["/a", "/.hidden"], ["/", "/a/b"]],
  ["/**", ["/a", "/a/b"], []],
];

for (const [pattern, yes, no] of MATCHES) {
  test(`parsePattern of ${pattern} matches what a shell's would`, () => {
    const { matches } = parsePattern(pattern);
    expect(yes.filter((path) => !matches(path))).toEqual([]);
    expect(no.filter((path) => matches(path))).toEqual([]);
  });
}

test("parsePattern tells where to look, and whether below that", () => {
  const cases: [string, string, boolean][] = [
    ["/v/*.mp4", "/v", false],
    ["/v/*/a", "/v", true],
    ["/v/w/**", "/v/w", true],
    ["/*", "/", false],
    ["/**/a", "/", true],
    ["*.mp4", "/", false],
    ["/v/{a,b}/c", "/v", true],
    ["/v/a", "/v", false],
  ];
  for (const [pattern, base, deep] of cases) {
    expect(parsePattern(pattern)).toMatchObject({ base, deep });
  }
});

test("parsePattern refuses what can't be a path", () => {
  expect(() => parsePattern("/v/../*")).toThrow(/".." is not a name/);
  expect(() => parsePattern("")).toThrow(/it is empty/);
});

test("parsePattern never matches outside its base, nor the root", () => {
  const part = fc.stringMatching(/^[a-c*?]{1,3}$/);
  const paths = fc.array(fc.stringMatching(/^[a-c]{1,3}$/), { minLength: 1, maxLength: 4 });
  fc.assert(fc.property(fc.array(part, { minLength: 1, maxLength: 4 }), paths, (parts, names) => {
    const { base, deep, matches } = parsePattern(`/${parts.join("/")}`);
    const path = `/${names.join("/")}`;
    expect(matches("/")).toBe(false);
    if (!matches(path)) return;
    expect(path.startsWith(base === "/" ? "/" : `${base}/`)).toBe(true);
    const below = path.slice(base.length).split("/").filter((name) => name !== "");
    if (!deep) expect(below.length).toBe(1);
  }));
});

test("hasPattern sees magic characters only", () => {
  for (const path of ["/a*", "/a?", "/[a]", "/{a,b}"]) expect(hasPattern(path)).toBe(true);
  for (const path of ["/a", "/a b.mp4", "/a]", "/a}", "/ü+(1)!"]) {
    expect(hasPattern(path)).toBe(false);
  }
});

test("matcherOf takes a pattern without a slash for one of names, at any depth", () => {
  const names = matcherOf("*.mp4");
  expect(["/a.mp4", "/v/w/a.mp4"].every(names)).toBe(true);
  expect(["/a.mov", "/a.mp4/b"].some(names)).toBe(false);
  for (const pattern of ["/v/*.mp4", "v/*.mp4"]) {
    const paths = matcherOf(pattern);
    expect(paths("/v/a.mp4")).toBe(true);
    expect(["/a.mp4", "/w/v/a.mp4", "/v/w/a.mp4"].some(paths)).toBe(false);
  }
});
