/** What the shell asks for. */
import { expect, test } from "bun:test";
import { makeProgram } from "../../../src/cli/program.ts";
import { Session } from "../../../src/cli/session.ts";
import { missingQuestions } from "../../../src/cli/shell/questions.ts";
import { readTree } from "../../../src/cli/tree.ts";
import { FakeOutput } from "../fake_output.ts";

const tree = readTree(makeProgram(new Session(new FakeOutput(), {})));

const LINES: [string, string[]][] = [
  ["put", ["Local path", "Remote path (or Enter: the remote directory)"]],
  ["put --replicas 2", ["Local path", "Remote path (or Enter: the remote directory)"]],
  ["put a", []],
  ["get", ["Remote path", "Local path (or Enter: the local directory)"]],
  ["get /a", []],
  ["mv", ["From (remote)", "To (remote)"]],
  ["mv /a", ["To (remote)"]],
  ["rm -r", ["Remote path"]],
  ["ls", []],
  ["put --help", []],
  ["put --replicas", []],
  ["no-such", []],
];

test.each(LINES)('missingQuestions of "%s" are %j', (line, labels) => {
  expect(missingQuestions(tree, line.split(" ")).map(({ label }) => label)).toEqual(labels);
});
