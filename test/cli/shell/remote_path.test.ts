/** Relative remote paths. */
import { expect, test } from "bun:test";
import * as fc from "fast-check";
import { resolveRemotePath } from "../../../src/cli/shell/remote_path.ts";
import { parsePath } from "../../../src/wire/names.ts";

const CASES: [string, string, string][] = [
  ["/", "a", "/a"],
  ["/videos", "a.mp4", "/videos/a.mp4"],
  ["/videos", "/music", "/music"],
  ["/videos/2024", "..", "/videos"],
  ["/videos/2024", "../2023/a", "/videos/2023/a"],
  ["/videos", "../../..", "/"],
  ["/videos", ".", "/videos"],
  ["/videos", "./sub/", "/videos/sub/"],
  ["/videos", "sub//x", "/videos/sub/x"],
  ["/videos", "../", "/"],
  ["/videos", "*.mp4", "/videos/*.mp4"],
  ["/videos", "...", "/videos/..."],
  ["/videos", "", ""],
];

test.each(CASES)("resolveRemotePath in %p of %p is %p", (directory, text, path) => {
  expect(resolveRemotePath(directory, text)).toBe(path);
});

test("resolveRemotePath makes a path of one form, and leaves one as it is", () => {
  const name = fc.string({ minLength: 1, maxLength: 5 })
    .filter((text) => !/[/\0]/.test(text) && text !== "." && text !== "..");
  const path = fc.array(name, { minLength: 1 }).map((names) => `/${names.join("/")}`);
  fc.assert(fc.property(path, fc.array(fc.oneof(name, fc.constantFrom("..", "."))), (at, parts) => {
    expect(resolveRemotePath("/else", at)).toBe(at);
    const text = parts.join("/");
    if (text !== "") {
      const whole = resolveRemotePath(at, text);
      expect(parsePath(whole)).toBe(whole);
    }
  }));
});
