/** The words of a command as they lie to where the shell stands. */
import { afterAll, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { homedir, tmpdir } from "node:os";
import { join } from "node:path";
import { refuseStdin, resolveWords, WorkingPlace } from "../../../src/cli/shell/place.ts";
import { parseCommands } from "../../../src/cli/shell/words.ts";
import { ConfigError } from "../../../src/config/load.ts";
import type { Place } from "../../../src/cli/tree.ts";
import { expandLocal, localNames } from "../../../src/client/local_names.ts";

const directory = mkdtempSync(join(tmpdir(), "tydfs-place-"));
afterAll(() => rmSync(directory, { recursive: true }));
for (const name of ["b.mp4", "a.mp4", "c.txt", ".hidden"]) writeFileSync(join(directory, name), "");
mkdirSync(join(directory, "sub"));

function resolve(line: string, places: Place[], expand = true): Promise<string[]> {
  const at = new WorkingPlace();
  at.enter("/videos");
  const typed = parseCommands(line).flat();
  return resolveWords(typed.map(({ text }) => text), { at, places, typed, expand });
}

test("resolveWords makes remote names whole, and leaves local ones and words", async () => {
  expect(await resolve("a ../b c d", ["remote", "remote", "local", "word"]))
    .toEqual(["/videos/a", "/b", "c", "d"]);
  expect(await resolve(":a :/b c :", ["side", "side", "side", "side"]))
    .toEqual([":/videos/a", ":/b", "c", ":/videos"]);
});

test("resolveWords expands local patterns and homes, unless they are quoted", async () => {
  const pattern = `${directory}/*.mp4`;
  const both = [join(directory, "a.mp4"), join(directory, "b.mp4")];
  expect(await resolve(`${pattern} x`, ["local", "remote"])).toEqual([...both, "/videos/x"]);
  expect(await resolve(`"${pattern}"`, ["local"])).toEqual([pattern]);
  expect(await resolve(pattern, ["local"], false)).toEqual([pattern]);
  expect(await resolve("~/x '~/x'", ["local", "local"])).toEqual([`${homedir()}/x`, "~/x"]);
});

test("expandLocal leaves a pattern that nothing matches", async () => {
  expect(await expandLocal(join(directory, "*.mkv"))).toEqual([join(directory, "*.mkv")]);
});

test("localNames are those that begin so, hidden ones only when asked for", async () => {
  expect(await localNames(directory, "", 10)).toEqual(["a.mp4", "b.mp4", "c.txt", "sub/"]);
  expect(await localNames(directory, ".", 10)).toEqual([".hidden"]);
  expect(await localNames(directory, "s", 10)).toEqual(["sub/"]);
  expect(await localNames(directory, "", 2)).toEqual(["a.mp4", "b.mp4"]);
  expect(await localNames(join(directory, "none"), "", 2)).toEqual([]);
});

test("refuseStdin refuses to put what the shell itself reads", () => {
  expect(() => refuseStdin(["put"], ["-", "/a"])).toThrow(ConfigError);
  expect(() => refuseStdin(["get"], ["-"])).not.toThrow();
  expect(() => refuseStdin(["put"], ["a"])).not.toThrow();
});

test("WorkingPlace remembers the directory before", () => {
  const at = new WorkingPlace();
  at.enter("/a");
  at.enter("/b");
  expect([at.remote, at.before, at.prefix]).toEqual(["/b", "/a", "/b/"]);
});
