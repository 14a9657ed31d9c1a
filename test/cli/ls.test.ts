/** The orders of `ls`. */
import { expect, test } from "bun:test";
import { orderOf } from "../../src/cli/ls.ts";
import type { Entry } from "../../src/client/client.ts";

function entry(path: string, size: number, mtimeMs: number): Entry {
  const facts = { version: 1, mode: 0o644, owner: "", checksum: "", updating: false };
  return { path, kind: "file", size, mtimeMs, ...facts };
}

const ENTRIES = [entry("/a", 1, 30), entry("/b", 3, 10), entry("/c", 3, 20)];

function sortedBy(flags: Parameters<typeof orderOf>[0]): string {
  return [...ENTRIES].sort(orderOf(flags)).map(({ path }) => path.slice(1)).join("");
}

test("orderOf puts the largest or the newest first, by name among equals", () => {
  expect(sortedBy({ size: true })).toBe("bca");
  expect(sortedBy({ time: true })).toBe("acb");
  expect(sortedBy({ size: true, reverse: true })).toBe("acb");
  expect(sortedBy({ time: true, reverse: true })).toBe("bca");
  expect(sortedBy({ reverse: true })).toBe("cba");
  expect(orderOf({})).toBeUndefined();
});
