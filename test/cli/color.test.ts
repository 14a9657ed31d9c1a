/** Colours: where they are wanted, and that they change nothing but looks. */
import { expect, test } from "bun:test";
import { choosePaint, colorChoiceOf, colored, plain } from "../../src/cli/color.ts";

const CASES: [Parameters<typeof choosePaint>, boolean][] = [
  [["auto", { terminal: true, env: {} }], true],
  [["auto", { terminal: false, env: {} }], false],
  [["auto", { terminal: true, env: { NO_COLOR: "1" } }], false],
  [["auto", { terminal: true, env: { NO_COLOR: "" } }], true],
  [["auto", { terminal: true, env: { TERM: "dumb" } }], false],
  [["always", { terminal: false, env: { NO_COLOR: "1" } }], true],
  [["never", { terminal: true, env: {} }], false],
];

test.each(CASES)("choosePaint of %j has colours: %p", (arguments_, colours) => {
  expect(choosePaint(...arguments_)).toBe(colours ? colored : plain);
});

const LINES: [string[], string][] = [
  [["ls"], "auto"],
  [["ls", "--color", "never"], "never"],
  [["ls", "--color=always"], "always"],
  [["--color=always", "ls", "--color=never"], "never"],
  [["ls", "--color"], "auto"],
  [["ls", "--color", "blue"], "auto"],
  [["on", "--", "--color=always"], "auto"],
];

test.each(LINES)("colorChoiceOf %j is %p", (argv, choice) => {
  expect(colorChoiceOf(argv)).toBe(choice as ReturnType<typeof colorChoiceOf>);
});

test("colored text is as wide as plain text", () => {
  for (const tone of ["heading", "good", "doubtful", "bad", "directory", "faint"] as const) {
    expect(colored(tone, "ALIVE")).not.toBe("ALIVE");
    expect(Bun.stripANSI(colored(tone, "ALIVE"))).toBe("ALIVE");
    expect(colored(tone, "")).toBe("");
  }
});
