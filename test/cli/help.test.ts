/**
 * The help of every command there is: what it must have, how wide it may be, and that each example
 * in it is a command line that the tree takes.
 */
import { expect, test } from "bun:test";
import type { CommandUnknownOpts } from "@commander-js/extra-typings";
import { CommanderError } from "@commander-js/extra-typings";
import { colored } from "../../src/cli/color.ts";
import { GROUPS, paintHelp } from "../../src/cli/help.ts";
import { makeProgram, runCli } from "../../src/cli/program.ts";
import { Session } from "../../src/cli/session.ts";
import { addBuiltins } from "../../src/cli/shell/builtins.ts";
import { WorkingPlace } from "../../src/cli/shell/place.ts";
import { pathOf } from "../../src/cli/tree.ts";
import { FakeOutput } from "./fake_output.ts";

const COLUMNS = 80;
const EXAMPLE_COLUMNS = 100;
const EXAMPLES_MIN = 2;

/** The tree, with commands that do nothing but remember that they were called. */
function idleProgram(): { program: CommandUnknownOpts; called: string[]; output: FakeOutput } {
  const output = new FakeOutput();
  const session = new Session(output, {});
  const program = makeProgram(session);
  const called: string[] = [];
  for (const command of allCommands(program)) {
    // A keeper is run by the word that its subcommands stand behind.
    if (command.commands.length > 0 && nameOf(command) !== "tydfs keeper") continue;
    command.action(() => void called.push(nameOf(command)));
  }
  return { program, called, output };
}

function allCommands(command: CommandUnknownOpts): CommandUnknownOpts[] {
  return [command, ...command.commands.flatMap(allCommands)];
}

function nameOf(command: CommandUnknownOpts): string {
  return ["tydfs", ...pathOf(command)].join(" ");
}

/** The help as `--help` prints it, with what follows the flags. */
async function helpOf(command: CommandUnknownOpts): Promise<string> {
  const output = new FakeOutput();
  expect(await runCli([...pathOf(command), "--help"], {}, output)).toBe(0);
  return output.lines.join("\n");
}

/** The lines of examples that call the program. */
function examplesIn(help: string): string[] {
  const start = help.indexOf("\nExamples:\n");
  if (start < 0) return [];
  const lines = help.slice(start + "\nExamples:\n".length).split("\n");
  const end = lines.findIndex((line) => line !== "" && !line.startsWith("  "));
  return lines.slice(0, end < 0 ? undefined : end).filter((line) => line.includes("tydfs "));
}

/** The words of the program's own part of an example, without what is said about it. */
function wordsOf(line: string): string[] {
  const part = line.replace(/^.*?\btydfs /, "");
  const words: string[] = [];
  const token = /\s+|'([^']*)'|"([^"]*)"|[|<>;](?=\s|$)|[^\s'"]+|<\(/g;
  for (const [text, single, double] of part.matchAll(token)) {
    if (/^\s{3,}$/.test(text) || /^([|<>;]|<\()$/.test(text)) break;
    if (/^\s+$/.test(text)) words.push("");
    else words.push(`${words.pop() ?? ""}${single ?? double ?? text}`);
  }
  return words.filter((word) => word !== "");
}

const commands = allCommands(idleProgram().program)
  .filter((command) => command.name() !== "__complete");

test.each(commands.map((command) => [nameOf(command), command] as const))(
  "help of %s is whole",
  async (_name, command) => {
    const help = await helpOf(command);
    expect(command.description()).toMatch(/^[A-Z].*[^.]$/);
    const examples = examplesIn(help);
    expect(examples.length).toBeGreaterThanOrEqual(EXAMPLES_MIN);
    for (const line of help.split("\n")) {
      expect({ line, fits: line.length <= (examples.includes(line) ? EXAMPLE_COLUMNS : COLUMNS) })
        .toEqual({ line, fits: true });
    }
    for (const option of command.options) {
      expect({ flag: option.flags, about: /^[A-Z]/.test(option.description) })
        .toEqual({ flag: option.flags, about: true });
    }
  },
);

test.each(
  await Promise.all(commands.map(async (command) =>
    [
      nameOf(command),
      examplesIn(await helpOf(command)),
    ] as const
  )),
)("each example of %s is a command line", async (_name, examples) => {
  for (const line of examples) {
    const { program, called, output } = idleProgram();
    const words = wordsOf(line);
    try {
      await program.parseAsync(words, { from: "user" });
    } catch (error) {
      if (!(error instanceof CommanderError)) throw error;
    }
    expect({ line, told: output.messages }).toEqual({ line, told: [] });
    expect({ line, called: called.length }).toEqual({ line, called: 1 });
  }
});

test("each command is in a group, and the root's help tells them in that order", async () => {
  const { program } = idleProgram();
  const grouped = GROUPS.flatMap((group) => group.commands);
  const names = program.commands.map((command) => command.name())
    .filter((name) => name !== "__complete");
  expect(names.filter((name) => !grouped.includes(name))).toEqual([]);
  expect(names).toEqual(grouped.filter((name) => names.includes(name)));
  const help = await helpOf(program);
  for (const { title, commands } of GROUPS) {
    if (commands.some((name) => names.includes(name))) expect(help).toContain(`\n${title}:\n`);
  }
});

test("the shell's own commands have help, too", () => {
  const { program, output } = idleProgram();
  const session = new Session(output, {});
  const state = { place: new WorkingPlace(), interactive: true, leaving: false };
  addBuiltins(program as Parameters<typeof addBuiltins>[0], session, state);
  const own = program.commands.slice(-6);
  expect(own.map((command) => command.name())).toEqual([
    ...["cd", "pwd", "lcd", "lpwd", "lls", "exit"],
  ]);
  for (const command of own) expect(command.description()).not.toBe("");
});

test("help is shown by help, --help and -h alike", async () => {
  const texts = [];
  for (const words of [["help", "config", "show"], ["config", "show", "--help"]]) {
    const output = new FakeOutput();
    expect(await runCli(words, {}, output)).toBe(0);
    texts.push(output.lines.join("\n"));
  }
  expect(texts[0]).toBe(texts[1] ?? "");
  expect(texts[0]).toContain("Usage: tydfs config show [options] [KEY...]");
});

test("paintHelp makes headings stand out, and changes no letter", async () => {
  const help = await helpOf(idleProgram().program);
  const painted = paintHelp(help, colored);
  expect(Bun.stripANSI(painted)).toBe(help);
  expect(painted).toContain(`${colored("heading", "Usage:")} tydfs COMMAND`);
  expect(painted).toContain(colored("heading", "Exit status:"));
});
