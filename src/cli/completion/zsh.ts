/** The completion script for zsh: a function for each command, and names asked of the program. */
import type { CommandFacts, FlagFacts, Place } from "../tree.ts";
import { endsOf, placeAt } from "../tree.ts";
import body from "./body.zsh" with { type: "text" };
import { allCommands, brief, namesOf, singleQuoted } from "./walk.ts";

const HEADER = `#compdef tydfs
# zsh completion of tydfs, made by "tydfs completion zsh".`;

const ACTIONS: Readonly<Record<Place, string>> = {
  remote: "_tydfs_remote",
  local: "_files",
  either: "_tydfs_either",
  side: "_tydfs_side",
  saved: "_tydfs_saved",
  keeper: "_tydfs_keeper",
  subject: "_tydfs_subject",
  command: "_tydfs_commands",
  word: " ",
};

/** The script for a command tree. */
export function zshScript(root: CommandFacts): string {
  const functions = allCommands(root).map(functionOf);
  return [HEADER, listFunction("_tydfs_commands", root), ...functions, body.trimEnd()].join("\n\n");
}

function functionOf(command: CommandFacts): string {
  const flags = command.flags.map(flagSpec);
  if (command.commands.length === 0) {
    const specs = [...flags, ...argumentSpecs(command)];
    return `${nameOf(command)}() {\n  _arguments -s -S ${specs.join(" \\\n    ")}\n}`;
  }
  const list = `${nameOf(command)}_list`;
  const cases = command.commands.map((each) => `    (${each.path.at(-1)}) ${nameOf(each)} ;;`);
  return `${listFunction(list, command)}

${nameOf(command)}() {
  local context state state_descr line
  typeset -A opt_args
  _arguments -C -S ${[...flags, `'1:command:${list}'`, "'*::argument:->command'"].join(" \\\n    ")}
  [[ $state == command ]] || return
  case $line[1] in
${cases.join("\n")}
  esac
}`;
}

/** A function that offers the commands below one. */
function listFunction(name: string, { commands }: CommandFacts): string {
  const rows = commands.map(({ path, about }) =>
    `    ${singleQuoted(`${path.at(-1)}:${brief(about).replaceAll(":", "\\:")}`)}`
  );
  return `${name}() {\n  local -a commands\n  commands=(\n${rows.join("\n")}\n  )\n` +
    `  _describe command commands\n}`;
}

function nameOf({ path }: CommandFacts): string {
  return path.length === 0 ? "_tydfs_root" : `_tydfs__${path.join("_").replaceAll("-", "_")}`;
}

function flagSpec(flag: FlagFacts): string {
  const { short, long, about, value } = flag;
  const text = `[${escapeSpec(brief(about))}]`;
  const tail = value === undefined ? "" : `:${escapeSpec(value.name)}:${actionOf(value)}`;
  const names = namesOf(flag);
  const eq = value !== undefined && long.startsWith("--") ? "=" : "";
  if (short === undefined || names.length === 1) return singleQuoted(`${long}${eq}${text}${tail}`);
  const plus = value === undefined ? "" : "+";
  return `'(${names.join(" ")})'{${short}${plus},${long}${eq}}${singleQuoted(text + tail)}`;
}

function argumentSpecs(command: CommandFacts): string[] {
  const ends = endsOf(command);
  if (ends !== undefined) {
    return [
      `'1:${ends.first} name:${ACTIONS[ends.first]}'`,
      `'*:name:${ACTIONS[placeAt(command, 1)]}'`,
    ];
  }
  return command.arguments.map((argument, index) => {
    const position = argument.variadic ? "*" : String(index + 1);
    const optional = argument.required || argument.variadic ? ":" : "::";
    const name = escapeSpec(argument.name.toLowerCase());
    return singleQuoted(`${position}${optional}${name}:${actionOf(argument)}`);
  });
}

function actionOf({ place, choices }: { place: Place; choices: readonly string[] }): string {
  return choices.length > 0 ? `(${choices.join(" ")})` : ACTIONS[place];
}

function escapeSpec(text: string): string {
  return text.replace(/[\\[\]:]/g, "\\$&");
}
