/** `tydfs help`: the help of the program, or of a command. */
import type { Command, CommandUnknownOpts } from "@commander-js/extra-typings";
import { didYouMean } from "../base/similar.ts";
import { ConfigError } from "../config/load.ts";

const EXAMPLES = `
The same as tydfs COMMAND --help.

Examples:
  tydfs help
  tydfs help put
  tydfs help config show
`;

/** Declares the command. */
export function addHelp(program: Command): void {
  program.command("help")
    .description("Show the help of a command")
    .argument("[COMMAND...]", "The command; all of them unless given")
    .addHelpText("after", EXAMPLES)
    .action((words) => findCommand(program, words).outputHelp());
}

/** The command that the words call. Throws `ConfigError` when there is none. */
export function findCommand(program: Command, words: readonly string[]): CommandUnknownOpts {
  let command = program as CommandUnknownOpts;
  for (const word of words) {
    const next = command.commands.find((each) => each.name() === word);
    if (next === undefined) {
      const similar = didYouMean(word, command.commands.map((each) => each.name()));
      throw new ConfigError(
        `Cannot show the help of "${words.join(" ")}": there is no such command` +
          (similar || "; tydfs help lists them"),
      );
    }
    command = next;
  }
  return command;
}
