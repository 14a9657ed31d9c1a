/** Settings: flags before environment before file before defaults; errors name the place. */
import { afterAll, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  ConfigError,
  doubtfulVariables,
  findConfigFile,
  loadConfig,
} from "../../src/config/load.ts";
import { envName, flagName, type OptionKey, OPTIONS } from "../../src/config/options.ts";

const directory = mkdtempSync(join(tmpdir(), "tydfs-config-"));
afterAll(() => rmSync(directory, { recursive: true }));

function tomlFile(text: string): string {
  const path = join(directory, `${Bun.hash(text)}.toml`);
  writeFileSync(path, text);
  return path;
}

test("loadConfig takes flags before environment before file before defaults", () => {
  const file = tomlFile('replicas = 4\nmin_copies = 1\nchunk_size = "8MiB"\n');
  const { settings, origin } = loadConfig({
    flags: { replicas: "6" },
    env: { TYDFS_REPLICAS: "5", TYDFS_MIN_COPIES: "3" },
    file,
  });
  expect(settings.replicas).toBe(6);
  expect(settings.min_copies).toBe(3);
  expect(settings.chunk_size).toBe(8 * 2 ** 20);
  expect(settings.dead_after).toBe(10_000);
  expect(settings.port).toBeUndefined();
  expect(origin.replicas.text).toBe("flag --replicas");
  expect(origin.min_copies.text).toBe("environment TYDFS_MIN_COPIES");
  expect(origin.chunk_size).toEqual({
    kind: "file",
    text: `file "${file}", line 3`,
    written: "8MiB",
  });
  expect(origin.dead_after).toEqual({ kind: "default", text: "default", written: "10s" });
});

test("loadConfig reads lists and labels", () => {
  const file = tomlFile('keepers = ["a", "b"]\n[label]\nzone = "attic"\n');
  const { settings } = loadConfig({ flags: {}, env: {}, file });
  expect(settings.keepers).toEqual(["a", "b"]);
  expect(settings.label).toEqual({ zone: "attic" });
});

const BAD_FILES: [string, string][] = [
  ["replicas = 3\nreplicsa = 2\n", 'Unknown key "replicsa"'],
  ["replicas = 3\nreplicsa = 2\n", "line 2"],
  ["replicas = 3\nreplicsa = 2\n", 'did you mean "replicas"?'],
  ["toString = 3\n", 'Unknown key "toString"'],
  ['log_level = "warm"\n', 'did you mean "warn"?'],
  ["\nreplicas = = 3\n", "line 2"],
  ['chunk_size = "many"\n', "chunk_size"],
  ['chunk_size = "1500000"\n', "multiple of 1 MiB"],
  ["replicas = 99\n", "the most is 16"],
  ["trackers = 0\n", "the least is 1"],
  ['log_level = "loud"\n', "one of debug"],
  ["replicas = 2\nmin_copies = 3\n", '"replicas" is 2'],
  [`as = "${"x".repeat(256)}"\n`, "over 255 bytes"],
];

test.each(BAD_FILES)("loadConfig refuses %j", (text, words) => {
  const load = () => loadConfig({ flags: {}, env: {}, file: tomlFile(text) });
  expect(load).toThrow(ConfigError);
  expect(load).toThrow(words);
});

test("loadConfig names a file that is not there", () => {
  const load = () => loadConfig({ flags: {}, env: {}, file: join(directory, "none.toml") });
  expect(load).toThrow("none.toml");
  expect(() => loadConfig({ flags: {}, env: {}, file: directory })).toThrow("it is a directory");
});

test("loadConfig has the default of min_copies give way to fewer replicas", () => {
  expect(loadConfig({ flags: { replicas: "1" }, env: {} }).settings.replicas).toBe(1);
});

test("every setting has its own flag and environment name, and a default that parses", () => {
  const keys = Object.keys(OPTIONS) as OptionKey[];
  expect(new Set(keys.map(envName)).size).toBe(keys.length);
  expect(new Set(keys.map(flagName)).size).toBe(keys.length);
  expect(() => loadConfig({ flags: {}, env: {} })).not.toThrow();
});

test("findConfigFile looks in the user's own directory, too", () => {
  const home = join(directory, "home");
  const path = join(home, ".config/tydfs/tydfs.toml");
  expect(findConfigFile({ HOME: home })).toBeUndefined();
  mkdirSync(join(home, ".config/tydfs"), { recursive: true });
  writeFileSync(path, "");
  expect(findConfigFile({ HOME: home })).toBe(path);
  expect(findConfigFile({})).toBeUndefined();
});

test("doubtfulVariables warns of near misses only", () => {
  const env = { TYDFS_REPLICSA: "4", TYDFS_URL: "x", TYDFS_DEBUG: "1", TYDFS_BUILDKITE_AGENT: "1" };
  expect(doubtfulVariables(env)).toEqual([
    "The environment has TYDFS_REPLICSA, which is no setting: did you mean TYDFS_REPLICAS?",
  ]);
});
