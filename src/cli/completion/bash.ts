/**
 * The completion script for bash 4.4 and later, which needs nothing but bash: what is known of the
 * tree stands in it, names are asked of the program.
 */
import type { CommandFacts } from "../tree.ts";
import { endsOf, placeAt } from "../tree.ts";
import body from "./body.bash" with { type: "text" };
import { allCommands, namesOf, singleQuoted, targetOf } from "./walk.ts";

const HEADER = `# bash completion of tydfs, made by "tydfs completion bash".

# What is known of a command: its commands, its flags, where their values and its arguments lie.`;

/** The script for a command tree. */
export function bashScript(root: CommandFacts): string {
  const facts = allCommands(root).map(factsCase).join("\n");
  return `${HEADER}\n_tydfs_facts() {\n  case $1 in\n${facts}\n  esac\n}\n\n${body.trimEnd()}`;
}

function factsCase(command: CommandFacts): string {
  const { path, commands, flags } = command;
  const values = flags.flatMap((flag) => {
    const { value } = flag;
    if (value === undefined) return [];
    return namesOf(flag).map((name) => singleQuoted(`${name}:${targetOf(value)}`));
  });
  const names = commands.map((each) => each.path.at(-1)).join(" ");
  return [
    `    ${singleQuoted(path.join(" "))})`,
    `      commands=${singleQuoted(names)}`,
    `      flags=${singleQuoted(flags.map(({ long }) => long).join(" "))}`,
    `      values=(${values.join(" ")})`,
    `      places=(${placesOf(command).map(singleQuoted).join(" ")})`,
    "      ;;",
  ].join("\n");
}

/** Where the words of a command lie; with `+` in front for all that follow, too. */
function placesOf(command: CommandFacts): string[] {
  const ends = endsOf(command);
  if (ends !== undefined) return [ends.first, `+${placeAt(command, 1)}`];
  return command.arguments.map((argument) => (argument.variadic ? "+" : "") + targetOf(argument));
}
