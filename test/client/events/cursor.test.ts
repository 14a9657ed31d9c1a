/** The place in the log: kept whole, for one process at a time. */
import { expect, test } from "bun:test";
import { readdirSync, writeFileSync } from "node:fs";
import { CursorFile } from "../../../src/client/events/cursor.ts";
import { scratchDirectory } from "../scratch.ts";

test("CursorFile keeps what was saved, and leaves nothing else behind", () => {
  using scratch = scratchDirectory();
  const path = scratch.path("state/on-1.json");
  const first = CursorFile.open(path);
  expect(first.load()).toBeUndefined();
  first.save({ seq: 1, version: 2 });
  first.save({ seq: 3, version: 4 });
  first.close();
  const second = CursorFile.open(path);
  expect(second.load()).toEqual({ seq: 3, version: 4 });
  second.close();
  expect(readdirSync(scratch.path("state")).sort()).toEqual(["on-1.json", "on-1.json.lock"]);
});

test("CursorFile refuses a second process, and what is no place in a log", () => {
  using scratch = scratchDirectory();
  const path = scratch.path("on-1.json");
  const first = CursorFile.open(path);
  expect(() => CursorFile.open(path)).toThrow(/another tydfs on does/);
  for (const text of ["", "{", '{"seq":-1,"version":0}']) {
    writeFileSync(path, text);
    expect(() => first.load()).toThrow(/it holds no place in the log/);
  }
  first.close();
});
