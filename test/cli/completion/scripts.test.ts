/** The completion scripts: whole, of valid syntax where the shell is there, and true to the tree. */
import { expect, test } from "bun:test";
import { runCli } from "../../../src/cli/program.ts";
import { FakeOutput } from "../fake_output.ts";

async function script(shell: string): Promise<string> {
  const output = new FakeOutput();
  expect(await runCli(["completion", shell], {}, output)).toBe(0);
  return output.lines.join("\n");
}

/** Runs the script's function on a line, as bash does it at a Tab; returns what is offered. */
async function completeInBash(words: string[]): Promise<string[]> {
  const driver = `${await script("bash")}
compopt() { :; }
COMP_LINE=$1; COMP_POINT=\${#COMP_LINE}; shift
COMP_WORDS=("$@"); COMP_CWORD=$((\${#COMP_WORDS[@]} - 1))
_tydfs false "" ""
printf '%s\\n' "\${COMPREPLY[@]}"`;
  const argv = ["bash", "-c", driver, "bash", words.join(" "), ...words];
  const child = Bun.spawn(argv, { stdout: "pipe", stderr: "pipe" });
  const [offered, told] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
  ]);
  expect(told).toBe("");
  return offered.split("\n").filter((line) => line !== "");
}

const BASH: [string[], string[]][] = [
  [["tydfs", "sta"], ["stat", "status"]],
  [["tydfs", "config", ""], ["show", "check"]],
  [["tydfs", "config", "show", "--ro"], ["--role"]],
  [["tydfs", "config", "show", "--role", "k"], ["keeper"]],
  [["tydfs", "ls", "--color", "a"], ["auto", "always"]],
  [["tydfs", "--wait", "3s", "comp"], ["completion"]],
  [["tydfs", "completion", ""], ["bash", "zsh", "fish"]],
  [["tydfs", "help", "con"], ["config"]],
  [["tydfs", "ls", "--", "--js"], []],
  [["tydfs", "status", "x"], []],
];

test.each(BASH)("bash completes %j to %j", async (words, offered) => {
  expect(await completeInBash(words)).toEqual(offered);
});

test("the bash script is of valid syntax", async () => {
  const child = Bun.spawn(["bash", "-n", "-c", await script("bash")], { stderr: "pipe" });
  expect(await new Response(child.stderr).text()).toBe("");
  expect(await child.exited).toBe(0);
});

test("each script knows commands, flags, and whom to ask for names", async () => {
  for (const shell of ["bash", "zsh", "fish"]) {
    const text = await script(shell);
    expect(text).toContain(`made by "tydfs completion ${shell}"`);
    for (const word of ["put", "mkdir", "show", "replicas", "recursive", "always"]) {
      expect(text).toContain(word);
    }
    expect(text).toContain("__complete");
    expect(text).not.toContain("undefined");
  }
});

test("completion refuses other shells, and says which there are", async () => {
  const output = new FakeOutput();
  expect(await runCli(["completion", "bsh"], {}, output)).toBe(2);
  expect(output.messages).toEqual([
    'tydfs: Cannot use "bsh" for SHELL: it must be one of bash, zsh, fish; ' +
    'did you mean "bash"?; see tydfs completion --help',
  ]);
});
