/**
 * The command tree as plain facts, for help, completion and the shell: which commands there are,
 * which flags each has, and where each argument lies. Reads commander's tree, runs nothing.
 */
import type { CommandUnknownOpts } from "@commander-js/extra-typings";

/**
 * Where the thing lies that an argument names: in the cluster, on this machine, in either, among
 * the saved connections, the settings' keys or the commands; `word` is none of these.
 */
export type Place = "remote" | "local" | "either" | "saved" | "setting" | "command" | "word";

export interface ArgumentFacts {
  /** As the help shows it. */
  name: string;
  about: string;
  place: Place;
  required: boolean;
  variadic: boolean;
  /** The words that are allowed, when there is a list. */
  choices: readonly string[];
}

export interface FlagFacts {
  short: string | undefined;
  /** `--json`; for a flag that has only a short name, that. */
  long: string;
  about: string;
  /** What follows it; undefined when nothing does. */
  value: { name: string; place: Place; choices: readonly string[] } | undefined;
}

export interface CommandFacts {
  /** The words that call it, without the program's name: `["rule", "add"]`. */
  path: readonly string[];
  about: string;
  arguments: readonly ArgumentFacts[];
  flags: readonly FlagFacts[];
  commands: readonly CommandFacts[];
}

/** Names of arguments and of flags' values that say where the thing lies. */
const PLACES: Readonly<Record<string, Place>> = {
  remote: "remote",
  path: "remote",
  from: "remote",
  to: "remote",
  local: "local",
  file: "local",
  dir: "local",
  directory: "local",
  connection: "saved",
  key: "setting",
  command: "command",
};

/** Where the name alone does not say it: a command, the argument's name, and the place. */
const EXCEPTIONS: Readonly<Record<string, Place>> = {
  "on command": "word",
  "cd directory": "remote",
};

/** Flags whose value is something else than its name says. */
const FLAG_PLACES: Readonly<Record<string, Place>> = { "--cluster": "saved", "--data": "local" };

/** The facts of a command and of all below it; what is hidden from the help is left out. */
export function readTree(command: CommandUnknownOpts): CommandFacts {
  const path = pathOf(command);
  const helper = command.createHelp();
  return {
    path,
    about: command.summary() || command.description(),
    arguments: command.registeredArguments.map((argument) => ({
      name: argument.name(),
      about: argument.description,
      place: placeOf(path, argument.name()),
      required: argument.required,
      variadic: argument.variadic,
      choices: argument.argChoices ?? [],
    })),
    flags: helper.visibleOptions(command).map(readFlag),
    commands: helper.visibleCommands(command).map(readTree),
  };
}

/** Where the argument of this name lies. */
export function placeOf(path: readonly string[], name: string): Place {
  const word = name.toLowerCase();
  return EXCEPTIONS[`${path.join(" ")} ${word}`] ?? PLACES[word] ?? "word";
}

/**
 * Where each of the words lies that stand as a command's arguments; `complete` when no further word
 * follows. `put` is the one whose last word differs from what its arguments say.
 */
export function placesOfWords(
  { path, arguments: declared }: Pick<CommandFacts, "path" | "arguments">,
  count: number,
  complete: boolean,
): Place[] {
  return Array.from({ length: count }, (_, index) => {
    const argument = declared[index] ?? (declared.at(-1)?.variadic ? declared.at(-1) : undefined);
    if (path.join(" ") !== "put") return argument?.place ?? "word";
    if (index === 0) return "local";
    if (!complete) return "either";
    return index === count - 1 ? "remote" : "local";
  });
}

/** The words that call a command, without the program's name. */
export function pathOf(command: CommandUnknownOpts): string[] {
  return command.parent === null ? [] : [...pathOf(command.parent), command.name()];
}

interface Flag {
  short?: string | undefined;
  long?: string | undefined;
  flags: string;
  description: string;
  required: boolean;
  optional: boolean;
  argChoices?: readonly string[] | undefined;
}

function readFlag(option: Flag): FlagFacts {
  const { short, long = short ?? "", flags, description, required, optional } = option;
  const name = /[<[]([^>\]]+?)(?:\.\.\.)?[>\]]/.exec(flags)?.[1] ?? "";
  const words = name.includes("|") ? name.split("|") : [];
  const choices = option.argChoices ?? words;
  const place = FLAG_PLACES[long] ?? (choices.length > 0 ? "word" : PLACES[name] ?? "word");
  return {
    short,
    long,
    about: description,
    value: required || optional ? { name, place, choices } : undefined,
  };
}
