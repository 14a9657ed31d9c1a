/** What a watch tells, as people and scripts read it. */
import { expect, test } from "bun:test";
import { formatWatchEvent, watchJson } from "../../../src/cli/format/watch.ts";
import type { WatchEvent } from "../../../src/client/watch/event.ts";
import { TydfsError } from "../../../src/wire/errors.ts";

const sent: WatchEvent = {
  ...{ kind: "sent", path: "/w/a", local: "/d/a", sizeBytes: 1024, version: 3, checksum: "c" },
  ...{ copies: 2, goal: 3, elapsedMs: 1500 },
};
const error = new TydfsError("no-space", "Cannot put: no room");

const LINES: [WatchEvent, string, string][] = [
  [sent, "result", 'sent "/w/a" · 1 KiB in 2 s · 2/3 copies, synced'],
  [
    { kind: "renamed", path: "/w/b", from: "/w/a", entry: "file" },
    "result",
    'renamed "/w/a" to "/w/b"',
  ],
  [{ kind: "removed", path: "/w/a", entry: "file" }, "result", 'removed "/w/a"'],
  [{ kind: "made", path: "/w/d" }, "result", 'made "/w/d"'],
  [{ kind: "updated", path: "/w/a" }, "result", 'updated "/w/a"'],
  [{ kind: "kept", path: "/w/a", reason: "it is so" }, "result", 'kept "/w/a": it is so'],
  [
    { kind: "failed", path: "a", error, retryMs: 2000 },
    "error",
    "Cannot put: no room; trying again in 2 s",
  ],
  [{ kind: "failed", path: "a", error, retryMs: undefined }, "error", "Cannot put: no room"],
  [
    { kind: "failed", path: "a", error: new Error("oops"), retryMs: undefined },
    "error",
    "Internal error: oops",
  ],
  [{ kind: "watching", files: 1, failed: 0 }, "result", 'watching "d" · 1 file in step'],
  [
    { kind: "watching", files: 2, failed: 1 },
    "result",
    'watching "d" · 2 files in step · 1 path failed, and tried again',
  ],
  [{ kind: "trouble", error }, "error", "Cannot put: no room"],
  [
    { kind: "trouble", error: new TydfsError("local", "Left out", { data: { skipped: true } }) },
    "message",
    "Left out",
  ],
  [{ kind: "polling", everyMs: 5000, reason: "so" }, "message", "Looking each 5 s: so"],
  [{ kind: "back", afterMs: 61_000 }, "message", "The master is back after 1 min 1 s"],
];
for (const [event, kind, text] of LINES) {
  test(`formatWatchEvent says ${text}`, () => {
    expect(formatWatchEvent(event, "d") as unknown).toEqual({ kind, text });
  });
}

test("watchJson prints sizes in bytes, and errors by code and message", () => {
  expect(watchJson(sent)).toEqual({
    ...{ kind: "sent", path: "/w/a", local: "/d/a", size: 1024, version: 3, checksum: "c" },
    ...{ copies: 2, replicas: 3, elapsedMs: 1500 },
  });
  expect(watchJson({ kind: "failed", path: "a", error, retryMs: 5 })).toEqual({
    ...{ kind: "failed", path: "a", retryMs: 5, code: "no-space", message: "Cannot put: no room" },
  });
});
