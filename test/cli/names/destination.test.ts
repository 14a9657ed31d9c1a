/** Where `cp` and `mv` put things. */
import { expect, test } from "bun:test";
import { planDestination, Targets } from "../../../src/cli/names/destination.ts";

test("planDestination goes into a directory, and onto everything else", () => {
  const into = (directory: string) => ({ kind: "into" as const, directory });
  const onto = (path: string) => ({ kind: "onto" as const, path });
  expect(planDestination("/d", "directory", false)).toEqual(into("/d"));
  expect(planDestination("/", "directory", true)).toEqual(into("/"));
  expect(planDestination("a", undefined, false)).toEqual(onto("/a"));
  expect(planDestination("/a", "file", false)).toEqual(onto("/a"));
  expect(planDestination("/new/", undefined, false)).toEqual(into("/new"));
  expect(planDestination("/new", undefined, true)).toEqual(into("/new"));
});

test("planDestination refuses a file where a directory is meant", () => {
  for (const [to, several] of [["/a", true], ["/a/", false]] as const) {
    const plan = () => planDestination(to, "file", several);
    expect(plan).toThrow('Cannot use "/a" as a directory: it is a file');
  }
});

test("Targets gives no path to two sources", () => {
  const targets = new Targets({ kind: "into", directory: "/d" });
  expect(targets.pathOf("/v/a")).toBe("/d/a");
  expect(targets.pathOf("/v/b")).toBe("/d/b");
  expect(() => targets.pathOf("/w/a")).toThrow('"/v/a" has just gone there');
});
