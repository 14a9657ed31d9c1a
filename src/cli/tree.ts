/**
 * The command tree as plain facts, for help, completion and the shell: which commands there are,
 * which flags each has, and where each argument lies. Reads commander's tree, runs nothing.
 */
import type { CommandUnknownOpts } from "@commander-js/extra-typings";
import { OPTIONS } from "../config/options.ts";

/**
 * Where the thing lies that an argument names: in the cluster, on this machine, in either, in the
 * one with a colon in front and else in the other (`side`), among the saved connections, the
 * commands or the keepers; a `subject` is a keeper, or remote when a slash is in front; `word` is
 * none of these.
 */
export type Place =
  | "remote"
  | "local"
  | "either"
  | "side"
  | "saved"
  | "keeper"
  | "subject"
  | "command"
  | "word";

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

/** Where the first and the last word of a command lie. */
export interface Ends {
  first: Place;
  last: Place;
  /** There must be a last one. */
  required: boolean;
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
  source: "side",
  target: "side",
  connection: "saved",
  keeper: "keeper",
  keeper_dir: "local",
  what: "subject",
  command: "command",
};

/** Where the name alone does not say it: a command, the argument's name, and the place. */
const EXCEPTIONS: Readonly<Record<string, Place>> = {
  "on command": "word",
  "cd directory": "remote",
};

/** Words that an argument may be, where the command says it only when it runs. */
const CHOICES: Readonly<Record<string, readonly string[]>> = {
  "config show KEY": Object.keys(OPTIONS),
};

/** Commands whose last word, when there are several, is where the others go. */
const ENDS: Readonly<Record<string, Ends>> = {
  put: { first: "local", last: "remote", required: false },
  get: { first: "remote", last: "local", required: false },
  cp: { first: "remote", last: "remote", required: true },
  mv: { first: "remote", last: "remote", required: true },
};

/** Flags whose value is something else than its name says. */
const FLAG_PLACES: Readonly<Record<string, Place>> = {
  "--cluster": "saved",
  "--data": "local",
  "--if-lost": "keeper",
};

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
      choices: argument.argChoices ?? CHOICES[`${path.join(" ")} ${argument.name()}`] ?? [],
    })),
    flags: flagsOf(command).map(readFlag),
    commands: helper.visibleCommands(command).map(readTree),
  };
}

/** The root takes flags of settings for its commands, which its help need not repeat. */
function flagsOf(command: CommandUnknownOpts): Flag[] {
  const visible = command.createHelp().visibleOptions(command);
  const hidden = command.options.filter((option) => option.hidden);
  return command.parent === null ? [...visible, ...hidden] : visible;
}

/** Where the argument of this name lies. */
export function placeOf(path: readonly string[], name: string): Place {
  const word = name.toLowerCase();
  return EXCEPTIONS[`${path.join(" ")} ${word}`] ?? PLACES[word] ?? "word";
}

/**
 * Where each of the words lies that stand as a command's arguments, when no further one follows.
 */
export function placesOfWords(command: CommandFacts, count: number): Place[] {
  const ends = endsOf(command);
  return Array.from({ length: count }, (_, index) => {
    if (ends === undefined) return argumentAt(command, index)?.place ?? "word";
    return index > 0 && index === count - 1 ? ends.last : ends.first;
  });
}

/** Where the word at a place may lie, when it is not known how many follow. */
export function placeAt(command: CommandFacts, index: number): Place {
  const ends = endsOf(command);
  if (ends === undefined) return argumentAt(command, index)?.place ?? "word";
  return index === 0 || ends.first === ends.last ? ends.first : "either";
}

/** Where the ends lie of a command whose last word is where the others go. */
export function endsOf({ path }: CommandFacts): Ends | undefined {
  return ENDS[path.join(" ")];
}

/** The declared argument that stands at a place; the last one may stand for all that follow. */
export function argumentAt(command: CommandFacts, index: number): ArgumentFacts | undefined {
  const last = command.arguments.at(-1);
  return command.arguments[index] ?? (last?.variadic === true ? last : undefined);
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
