/** The history of the shell: bounded, private, without secrets. */
import { afterEach, beforeEach, expect, test } from "bun:test";
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { History, LINES_MAX } from "../../../src/cli/shell/history.ts";

let directory = "";
let path = "";
let failures: string[] = [];

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "tydfs-history-"));
  path = join(directory, "state/tydfs/shell_history");
  failures = [];
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

function open(): History {
  return new History(path, (reason) => failures.push(reason));
}

test("History has the lines of runs before, the newest first, for its user only", () => {
  const first = open();
  for (const line of ["ls", "cd /a", "cd /a", "", "  ls /secret"]) first.add(line);
  const second = open();
  second.add("pwd");
  expect(second.lines).toEqual(["pwd", "cd /a", "ls"]);
  expect(readFileSync(path, "utf8")).toBe("ls\ncd /a\npwd\n");
  expect(statSync(path).mode & 0o777).toBe(0o600);
  expect(statSync(dirname(path)).mode & 0o777).toBe(0o700);
  expect(failures).toEqual([]);
});

test("History keeps no secret", () => {
  const history = open();
  history.add("login tydfs://client:s3cret@host --name home");
  history.add("ls --url tydfs://client:s3cret@host");
  expect(history.lines).toEqual([]);
});

test("History is cut when it has grown too long", () => {
  mkdirSync(dirname(path), { recursive: true });
  const lines = Array.from({ length: 2 * LINES_MAX + 1 }, (_, index) => `ls /${index}`);
  writeFileSync(path, lines.map((line) => `${line}\n`).join(""));
  const history = open();
  expect(history.lines.length).toBe(LINES_MAX);
  expect(history.lines[0]).toBe(`ls /${2 * LINES_MAX}`);
  expect(readFileSync(path, "utf8").split("\n").length).toBe(LINES_MAX + 1);
  expect(statSync(path).mode & 0o777).toBe(0o600);
  expect(readdirSync(dirname(path))).toEqual(["shell_history"]);
});

test("History that can't be kept says so once, and still works", () => {
  writeFileSync(join(directory, "state"), "a file where a directory should be");
  const history = open();
  history.add("ls");
  history.add("pwd");
  expect(history.lines).toEqual(["pwd", "ls"]);
  expect(failures.length).toBe(1);
});

test("History without a home is of this run only", () => {
  const history = new History(undefined, (reason) => failures.push(reason));
  history.add("ls");
  expect(history.lines).toEqual(["ls"]);
  expect(failures).toEqual([]);
});
