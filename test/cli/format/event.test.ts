/** Events as people and scripts read them. */
import { expect, test } from "bun:test";
import { eventJson, formatClock, formatEvent } from "../../../src/cli/format/event.ts";
import type { ClusterEvent } from "../../../src/client/client.ts";

const atMs = new Date(2026, 4, 1, 12, 1, 7).getTime();

const LINES: [Omit<ClusterEvent, "atMs">, string][] = [
  [
    { kind: "put", path: "/v/a.mp4", sizeBytes: 3.2 * 2 ** 30, owner: "ann" },
    'put "/v/a.mp4" (3.2 GiB, ann)',
  ],
  [{ kind: "put", path: "/a", owner: "" }, 'put "/a"'],
  [{ kind: "replaced", path: "/a", sizeBytes: 0 }, 'replaced "/a" (0 B)'],
  [{ kind: "removed", path: "/a\n" }, 'removed "/a\\n"'],
  [{ kind: "renamed", path: "/a", to: "/b" }, 'renamed "/a" to "/b"'],
  [{ kind: "keeper-joined", keeper: "k1" }, "keeper k1 has joined"],
  [{ kind: "keeper-lost", keeper: "k1" }, "keeper k1 is lost"],
  [{ kind: "keeper-back", keeper: "k1" }, "keeper k1 is back"],
  [{ kind: "repaired", chunk: "ab", keeper: "k1" }, "repaired chunk ab with a copy on k1"],
];
for (const [event, words] of LINES) {
  test(`formatEvent says ${words}`, () => {
    expect(formatEvent({ ...event, atMs })).toBe(`12:01:07 ${words}`);
  });
}

test("eventJson prints the facts, the size in bytes", () => {
  const event: ClusterEvent = { kind: "put", atMs, path: "/a", version: 3, sizeBytes: 5 };
  expect(eventJson(event)).toEqual({ kind: "put", atMs, path: "/a", version: 3, size: 5 });
  expect(formatClock(atMs)).toBe("12:01:07");
});
