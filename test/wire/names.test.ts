/** Remote paths: one form each, and nothing that could mean another place. */
import { expect, test } from "bun:test";
import fc from "fast-check";
import * as v from "valibot";
import { hasCode } from "../../src/wire/errors.ts";
import {
  baseName,
  joinPath,
  parentPath,
  parsePath,
  quotePath,
  RemotePath,
  splitPath,
} from "../../src/wire/names.ts";

const GOOD: [string, string][] = [
  ["/", "/"],
  ["a", "/a"],
  ["/a/", "/a"],
  ["//a///b", "/a/b"],
  ["with space/ümlaut/日本", "/with space/ümlaut/日本"],
  ["x".repeat(255), "/" + "x".repeat(255)],
];

test.each(GOOD)("parsePath brings %p to its one form", (text, path) => {
  expect(parsePath(text)).toBe(path);
});

const BAD: [string, string][] = [
  ["", "empty"],
  ["a/../b", '".."'],
  ["..", '".."'],
  ["./a", '"."'],
  ["a\0b", "NUL"],
  ["x".repeat(300), "300 bytes"],
  ["ü".repeat(128), "256 bytes"],
  ["a/".repeat(3000), "4096"],
  ["\ud800", "UTF-8"],
];

test.each(BAD)("parsePath refuses %p", (text, words) => {
  try {
    parsePath(text);
    throw new Error("accepted");
  } catch (error) {
    expect(hasCode(error, "usage")).toBe(true);
    expect((error as Error).message).toContain(words);
  }
});

test("quotePath escapes what moves a cursor or turns letters round", () => {
  expect(quotePath('a"\x1b[31m\x7f\x9b\u202e\n')).toBe(
    '"a\\"\\u001b[31m\\u007f\\u009b\\u202e\\n"',
  );
});

const part = fc.string({ minLength: 1, maxLength: 40, unit: "grapheme" })
  .filter((text) => !/[/\0]/.test(text) && text !== "." && text !== "..")
  .filter((text) => text.isWellFormed() && Buffer.byteLength(text) <= 255);

test("splitPath, joinPath, parentPath and baseName agree", () => {
  fc.assert(fc.property(fc.array(part, { minLength: 1, maxLength: 10 }), (parts) => {
    const path = parsePath(parts.join("/"));
    expect(splitPath(path)).toEqual(parts);
    expect(joinPath(parentPath(path), baseName(path))).toBe(path);
    expect(parsePath(path)).toBe(path);
  }));
});

test("RemotePath takes what parsePath has brought to its one form, and nothing else", () => {
  const pieces = fc.constantFrom("/", "//", ".", "..", "a", "-b_9", "ü", "\0", "\ud800", " ", "~");
  const texts = fc.array(pieces, { maxLength: 8 }).map((parts) => parts.join(""));
  fc.assert(fc.property(texts, (text) => {
    let form: string | undefined;
    try {
      form = parsePath(text);
    } catch {
      form = undefined;
    }
    const parts = text.split("/").filter((found) => found !== "");
    const isBad = text === "" || parts.includes(".") || parts.includes("..") ||
      text.includes("\0") || !text.isWellFormed();
    expect(form).toBe(isBad ? undefined : `/${parts.join("/")}`);
    expect(v.is(RemotePath, text)).toBe(form === text);
  }));
});
