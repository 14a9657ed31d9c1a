/** `tydfs rule` as people read it and get it wrong. */
import { expect, test } from "bun:test";
import { formatApplied } from "../../src/cli/apply_rules.ts";
import { fewKeepersWarning, formatRule, formatRules } from "../../src/cli/format/rule.ts";
import { formatStatus } from "../../src/cli/format/status.ts";
import { runCli } from "../../src/cli/program.ts";
import type { ClusterStatus, Rule } from "../../src/client/client.ts";
import { FakeOutput } from "./fake_output.ts";
import { QUIET_PARTS, QUIET_REPAIRS } from "../quiet_status.ts";

const RULES: Rule[] = [
  { id: 0, pattern: "*.mp4", require: { kind: "video" }, prefer: {}, copies: 2, source: "file" },
  {
    ...{ id: 12, pattern: "/db/\x1b**", require: {}, source: "added" },
    prefer: { zone: "b", disk: "ssd" },
  },
];

test("formatRules aligns a table, with control characters escaped", () => {
  expect(formatRules(RULES)).toEqual([
    "ID  PATTERN       REQUIRE     PREFER           COPIES  FROM",
    " -  *.mp4         kind=video  -                     2  tydfs.toml",
    "12  /db/\\u001b**  -           disk=ssd,zone=b       -  added",
  ]);
  expect(formatRules([])).toEqual(["There are no rules: files go to any keeper"]);
});

test("formatRule says a rule in a line", () => {
  expect(RULES.map(formatRule)).toEqual([
    '"*.mp4" · require kind=video · 2 copies',
    '"/db/\\u001b**" · prefer disk=ssd,zone=b',
  ]);
});

const STATUS = { replicas: 3, minCopies: 2 } as ClusterStatus;

function statusWith(labels: Record<string, string>[], dead = 0): ClusterStatus {
  const keepers = labels.map((labels, n) => ({ labels, state: n < dead ? "DEAD" : "ALIVE" }));
  return { ...STATUS, keepers } as ClusterStatus;
}

test("fewKeepersWarning tells what a rule with too few keepers leads to", () => {
  const video = { kind: "video" };
  const rule = { pattern: "*.mp4", require: video, prefer: {} };
  expect(fewKeepersWarning(rule, statusWith([video, video, video]))).toBeUndefined();
  expect(fewKeepersWarning(rule, statusWith([video, video, video], 1)))
    .toBe("Only 2 keepers have kind=video now: such files get 2 of 3 copies");
  expect(fewKeepersWarning(rule, statusWith([video, {}]))).toBe(
    "Only 1 keeper has kind=video now, and such files need 2: puts of them fail until more " +
      "keepers join with --label kind=video",
  );
  expect(fewKeepersWarning({ ...rule, copies: 1 }, statusWith([video]))).toBeUndefined();
  expect(fewKeepersWarning({ ...rule, require: {} }, statusWith([]))).toBeUndefined();
});

test("formatApplied counts files and moves", () => {
  expect(formatApplied({ files: 1, changed: 0, toMove: 0 }))
    .toBe("applied to 1 file · 0 changed · no chunk is to be moved");
  expect(formatApplied({ files: 200, changed: 3, toMove: 7 })).toBe(
    "applied to 200 files · 3 changed · 7 chunks are to be moved (tydfs status tells how many are " +
      "left)",
  );
});

test("formatStatus has a line of what rules are to move, while there is any", () => {
  const status: ClusterStatus = {
    ...{ cluster: "main", minCopies: 2, replicas: 3, keepers: [], files: 1, bytes: 1 },
    master: { version: "1", nats: "2", uptimeMs: 1 },
    chunks: { total: 9, atGoal: 9, under: 0, lost: 0, misplaced: 4 },
    repairs: QUIET_REPAIRS,
    ...QUIET_PARTS,
  };
  expect(formatStatus(status, { nowMs: 0 })).toContain(
    "4 chunks are to be moved by placement rules",
  );
  const blocked = { ...status.chunks, blocked: 3 };
  expect(formatStatus({ ...status, chunks: blocked }, { nowMs: 0 })).toContain(
    "4 chunks are to be moved by placement rules; 3 wait for one more keeper with the labels and room",
  );
  const { misplaced: _misplaced, ...chunks } = status.chunks;
  expect(formatStatus({ ...status, chunks }, { nowMs: 0 }).join()).not.toContain("placement rules");
});

const WRONG: [string, RegExp][] = [
  ["rule ad x", /Unknown command 'ad' \(Did you mean add\?\)/],
  ["rule add", /Missing required argument 'PATTERN'/],
  ["rule add a.mp4 b.mp4 --copies 2", /Too many arguments/],
  ["rule add *.mp4", /Cannot add a rule that asks for nothing: give --require, --prefer or/],
  ["rule add /v/ --copies 2", /Cannot use "\/v\/" as a pattern: it ends with a slash/],
  ["rule add * --require kind", /Cannot use "kind" for "label" \(flag --require\)/],
  ["rule add * --copies 17", /Cannot use "17" for "replicas" \(flag --copies\): the most is 16/],
  ["rule rm", /Missing required argument 'ID\|PATTERN'/],
];

test.each(WRONG)("runCli answers %j with status 2 and one line", async (line, words) => {
  const output = new FakeOutput();
  const env = { TYDFS_URL: "tydfs://client:secret@127.0.0.1:1" };
  expect(await runCli(line.split(" "), env, output)).toBe(2);
  expect(output.lines).toEqual([]);
  expect(output.messages).toEqual([expect.stringMatching(words)]);
});
