/** The rules of `tydfs.toml`: read in order, refused with file and line. */
import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ConfigError, loadConfig } from "../../src/config/load.ts";

const directory = mkdtempSync(join(tmpdir(), "tydfs-rules-"));
afterAll(() => rmSync(directory, { recursive: true }));

function load(text: string) {
  const file = join(directory, `${Bun.hash(text)}.toml`);
  writeFileSync(file, text);
  return loadConfig({ flags: {}, env: {}, file }).settings;
}

test("loadConfig reads rules in their order, labels as text or as table", () => {
  const { rules, replicas } = load(`
replicas = 4
[[rule]]
pattern = "*.mp4"
require = "kind=video, disk=hdd"
copies = 2

[[rule]]
pattern = "/photos/**"
[rule.prefer]
kind = "photo"
shelf = 3
`);
  expect(replicas).toBe(4);
  expect(rules).toEqual([
    { pattern: "*.mp4", require: { kind: "video", disk: "hdd" }, prefer: {}, copies: 2 },
    { pattern: "/photos/**", require: {}, prefer: { kind: "photo", shelf: "3" } },
  ]);
});

test("loadConfig knows no rules without a file", () => {
  expect(loadConfig({ flags: {}, env: {} }).settings.rules).toEqual([]);
  expect(load("replicas = 2\n").rules).toEqual([]);
});

const HEAD = '[[rule]]\npattern = "a"\ncopies = 1\n';
const BAD: [string, string, string][] = [
  [`${HEAD}[[rule]]\npatern = "b"\n`, 'Unknown key "patern" of a rule', "line 5"],
  [`${HEAD}replicas = 3\n`, 'Unknown key "replicas" of a rule; settings stand above', "line 4"],
  [`${HEAD}\n[[rule]]\ncopies = 2\n`, "it has no pattern", "line 5"],
  [
    `${HEAD}[[rule]]\ncopies = 2\npattern = 7\n`,
    "as the pattern of a rule: it is no text",
    "line 6",
  ],
  [`${HEAD}[[rule]]\ncopies = 2\npattern = "/v/"\n`, "it ends with a slash", "line 6"],
  ['[[rule]]\npattern = "a"\n', "it asks for no labels and no copies", "line 1"],
  ['[[rule]]\npattern = "a"\ncopies = 17\n', "it is no number from 1 to 16", "line 3"],
  ['[[rule]]\npattern = "a"\ncopies = "2"\n', "it is no number from 1 to 16", "line 3"],
  ['[[rule]]\npattern = "a"\nrequire = "kind"\n', '"kind" is not KEY=VALUE', "line 3"],
  ['[[rule]]\npattern = "a"\nrequire = "k=a,k=b"\n', '"k" is given twice', "line 3"],
  ['[[rule]]\npattern = "a"\nprefer = 5\n', "neither a table nor KEY=VALUE", "line 3"],
  ['[[rule]]\npattern = "a"\n[rule.require]\nkind = "a b"\n', "is not KEY=VALUE", "line 3"],
  [`${HEAD}${HEAD}`, 'a second rule for "a"', "line 5"],
  ['rule = "x"\n', "write each rule as a table [[rule]]", "line 1"],
  ['\nrule = [{ pattern = "a", copys = 2 }]\n', 'Unknown key "copys"', "line 2"],
];

test.each(BAD)("loadConfig refuses %j", (text, words, line) => {
  expect(() => load(text)).toThrow(ConfigError);
  expect(() => load(text)).toThrow(words);
  expect(() => load(text)).toThrow(new RegExp(`\\.toml", ${line}\\)$`));
});
