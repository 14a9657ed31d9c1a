/** What can stand at the end of a line: decided from the tree alone. */
import { expect, test } from "bun:test";
import type { CompletionPlan } from "../../../src/cli/completion/plan.ts";
import { planCompletion } from "../../../src/cli/completion/plan.ts";
import { makeProgram } from "../../../src/cli/program.ts";
import { Session } from "../../../src/cli/session.ts";
import { readTree } from "../../../src/cli/tree.ts";
import { FakeOutput } from "../fake_output.ts";

const tree = readTree(makeProgram(new Session(new FakeOutput(), {})));

/** Lines whose last word is being typed, and where its names lie. */
const PLACES: [string, string][] = [
  ["get ", "remote"],
  ["get /a ", "either"],
  ["put ", "local"],
  ["put a b", "either"],
  ["put --replicas 2 ", "local"],
  ["mv /a ", "remote"],
  ["sync ", "local"],
  ["sync :", "remote"],
  ["sync photos :/arc", "remote"],
  ["bench --prefix ", "remote"],
  ["stat /a /b /c", "remote"],
  ["ls --config ", "local"],
  ["ls --cluster ", "saved"],
  ["--cluster home ls ", "remote"],
  ["master --data ", "local"],
  ["help ", "command"],
  ["rm -- -", "remote"],
  ["drain ", "keeper"],
  ["keeper remove ", "keeper"],
  ["status --if-lost ", "keeper"],
  ["scrub ", "subject"],
  ["rescue ", "local"],
  ["undelete ", "remote"],
  ["trash empty ", "remote"],
];

test.each(PLACES)('planCompletion of "%s" looks at %s', (line, place) => {
  const plan = planOf(line);
  expect(plan).toMatchObject({ kind: "place", place });
});

const WORDS: [string, string[], string[]][] = [
  ["", ["put", "get", "shell"], ["__complete", "show"]],
  ["config ", ["show", "check"], ["put"]],
  ["ls --", ["--long", "--json", "--help"], ["--replicas"]],
  ["ls --color ", ["auto", "always", "never"], []],
  ["ls --color=a", ["--color=auto"], []],
  ["config show --role ", ["client", "keeper", "master"], []],
  ["config show wait ", ["url", "replicas"], ["show"]],
  ["completion ", ["bash", "zsh", "fish"], []],
  ["status x ", [], ["put"]],
  ["keeper ", ["list", "remove"], ["put"]],
  ["trash ", ["ls", "empty"], ["put"]],
  ["rebalance --", ["--dry-run", "--follow", "--stop"], []],
];

test.each(WORDS)('planCompletion of "%s" offers %j', (line, some, none) => {
  const plan = planOf(line);
  const words = plan.kind === "words" ? plan.words : [];
  expect(plan.kind).toBe("words");
  for (const word of some) expect(words).toContain(word);
  for (const word of none) expect(words).not.toContain(word);
});

test("planCompletion keeps the flag that stands before its value", () => {
  expect(planOf("ls --config=ty")).toEqual({
    kind: "place",
    place: "local",
    prefix: "--config=",
    directories: false,
  });
});

function planOf(line: string): CompletionPlan {
  const words = line.split(" ");
  const current = words.pop() ?? "";
  return planCompletion(tree, words, current);
}
