/** Which events are meant, and what a command is told of them. */
import { expect, test } from "bun:test";
import type { LoggedEvent } from "../../../src/client/client.ts";
import {
  eventEnvironment,
  eventMatcher,
  fillCommand,
  isTriggered,
} from "../../../src/client/events/selection.ts";

const event: LoggedEvent = {
  ...{ seq: 7, kind: "renamed", atMs: 1000, path: "/a b", to: "/v/c", entry: "file" },
  ...{ version: 12, sizeBytes: 5, owner: "ann" },
};

test("eventMatcher matches names and whole paths, old and new, and without patterns all", () => {
  expect(eventMatcher([])({ kind: "keeper-lost" })).toBe(true);
  expect(eventMatcher(["*"])({ kind: "keeper-lost" })).toBe(false);
  expect(eventMatcher(["*.mp4"])({ kind: "put", path: "/a/b.mp4" })).toBe(true);
  expect(eventMatcher(["a/*.mp4"])({ kind: "put", path: "/a/b.mp4" })).toBe(true);
  expect(eventMatcher(["/b/**", "c"])({ kind: "put", path: "/a/b.mp4" })).toBe(false);
  expect(eventMatcher(["v/**"])(event)).toBe(true);
});

test("isTriggered takes a replaced file for a put one, but not the other way round", () => {
  expect(isTriggered("put", "replaced")).toBe(true);
  expect(isTriggered("replaced", "put")).toBe(false);
  expect(isTriggered("removed", "renamed")).toBe(false);
  expect(isTriggered("any", "renamed")).toBe(true);
});

test("fillCommand puts an event's facts in their places, in every word", () => {
  const argv = ["do", "--in={}", "{to}", "v{version}", "{other}", "{}{}"];
  expect(fillCommand(argv, event)).toEqual([
    ...["do", "--in=/a b", "/v/c", "v12", "{other}", "/a b/a b"],
  ]);
  expect(fillCommand(["{}"], { ...event, path: "/{to}" })).toEqual(["/{to}"]);
});

test("eventEnvironment tells every fact, and nothing for those that are missing", () => {
  expect(eventEnvironment(event)).toEqual({
    TYDFS_EVENT_SEQ: "7",
    TYDFS_EVENT_KIND: "renamed",
    TYDFS_EVENT_AT_MS: "1000",
    TYDFS_EVENT_ENTRY: "file",
    TYDFS_EVENT_PATH: "/a b",
    TYDFS_EVENT_TO: "/v/c",
    TYDFS_EVENT_SIZE: "5",
    TYDFS_EVENT_VERSION: "12",
    TYDFS_EVENT_OWNER: "ann",
  });
  const bare: LoggedEvent = { seq: 1, kind: "removed", atMs: 0, path: "/d", entry: "directory" };
  expect(eventEnvironment(bare)["TYDFS_EVENT_SIZE"]).toBe("");
});
