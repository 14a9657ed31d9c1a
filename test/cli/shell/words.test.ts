/** Lines of the shell: quoting as sh has it, and back. */
import { expect, test } from "bun:test";
import * as fc from "fast-check";
import type { OpenQuote } from "../../../src/cli/shell/words.ts";
import { escapeWord, parseCommands, parseLine } from "../../../src/cli/shell/words.ts";
import { ConfigError } from "../../../src/config/load.ts";

const LINES: [string, string[][]][] = [
  ["ls -l /videos", [["ls", "-l", "/videos"]]],
  ["  ls\t/a  ", [["ls", "/a"]]],
  [String.raw`get my\ film.mp4`, [["get", "my film.mp4"]]],
  [`get "my film.mp4" 'it is "so"'`, [["get", "my film.mp4", 'it is "so"']]],
  [String.raw`get "a \"b\" \$x \n"`, [["get", String.raw`a "b" $x \n`]]],
  [`get a"b c"'d e'`, [["get", "ab cd e"]]],
  [`get "" ''`, [["get", "", ""]]],
  ["cd /a; ls;; pwd;", [["cd", "/a"], ["ls"], ["pwd"]]],
  [`ls "a;b" c\\;d`, [["ls", "a;b", "c;d"]]],
  ["ls # all of it", [["ls"]]],
  ["ls a#b '#c'", [["ls", "a#b", "#c"]]],
  ["# nothing", []],
  ["", []],
  ["ls ümläut/日本", [["ls", "ümläut/日本"]]],
];

test.each(LINES)("parseCommands of %p", (line, commands) => {
  expect(parseCommands(line).map((words) => words.map(({ text }) => text))).toEqual(commands);
});

test.each(["ls 'a", 'ls "a', "ls a\\", "ls | wc", "ls > a", "ls && pwd", "ls < a"])(
  "parseCommands refuses %p",
  (line) => {
    expect(() => parseCommands(line)).toThrow(ConfigError);
    expect(() => parseCommands(line)).toThrow("Cannot read the line: ");
  },
);

test("parseLine tells patterns and homes from quoted names", () => {
  const [words = []] = parseLine(`put *.mp4 "*.mp4" ~/a '~/a' \\*.x a{b,c}`).commands;
  expect(words.map(({ isPattern }) => isPattern))
    .toEqual([false, true, false, false, false, false, true]);
  expect(words.map(({ isHome }) => isHome))
    .toEqual([false, false, false, true, false, false, false]);
});

test("parseLine tells what is being typed", () => {
  expect(parseLine('get "/my vid')).toMatchObject({ open: '"', endsInWord: true });
  expect(parseLine("get /a ")).toMatchObject({ open: "", endsInWord: false });
  const word = parseLine(String.raw`get /my\ films/al`).commands[0]?.[1];
  expect(word).toMatchObject({ text: "/my films/al", start: 4, tailStart: 15 });
});

test("what escapeWord writes is read as it was, behind any open quote", () => {
  const quotes: OpenQuote[] = ["", "'", '"'];
  fc.assert(fc.property(
    fc.string({ unit: "grapheme", minLength: 1 }).filter((text) => !/[\r\n]/.test(text)),
    fc.constantFrom(...quotes),
    (text, open) => {
      const line = `x${open}${escapeWord(text, open)}${open}`;
      expect(parseCommands(line).map((words) => words.map((word) => word.text)))
        .toEqual([[`x${text}`]]);
    },
  ));
});

test("parseLine bears any line", () => {
  fc.assert(fc.property(fc.string(), (line) => {
    try {
      parseLine(line);
    } catch (error) {
      expect(error).toBeInstanceOf(ConfigError);
    }
  }));
});
