/** Decides what can stand at the end of a command line that is being typed. Looks at nothing. */
import type { CommandFacts, FlagFacts, Place } from "../tree.ts";
import { argumentAt, endsOf, placeAt } from "../tree.ts";

/** What fits in place of the word that is being typed. */
export type CompletionPlan =
  /** One of these words. */
  | { kind: "words"; words: readonly string[] }
  /** A name that lies there, behind `prefix`, which is part of the word: `--config=`. */
  | { kind: "place"; place: Place; prefix: string; directories: boolean };

/** A command line taken apart. */
export interface LineFacts {
  command: CommandFacts;
  /** The words that are neither commands nor flags nor values of flags. */
  operands: string[];
  /** The flag at the end that still wants its value. */
  pending: FlagFacts | undefined;
  /** `--` was there: no flags follow. */
  literal: boolean;
}

/** Takes apart the whole words of a line, without the program's name. */
export function readWords(root: CommandFacts, words: readonly string[]): LineFacts {
  const line: LineFacts = { command: root, operands: [], pending: undefined, literal: false };
  for (const word of words) {
    if (line.pending !== undefined) {
      line.pending = undefined;
      continue;
    }
    if (!line.literal && word === "--") {
      line.literal = true;
      continue;
    }
    if (!line.literal && word.length > 1 && word.startsWith("-")) {
      const flag = flagOf(line.command, word);
      if (flag?.value !== undefined && !word.includes("=")) line.pending = flag;
      continue;
    }
    const next = line.operands.length > 0
      ? undefined
      : line.command.commands.find(({ path }) => path.at(-1) === word);
    if (next !== undefined) line.command = next;
    else line.operands.push(word);
  }
  return line;
}

/** Decides what fits in place of `current`, behind the whole words of a line. */
export function planCompletion(
  root: CommandFacts,
  words: readonly string[],
  current: string,
): CompletionPlan {
  const { command, operands, pending, literal } = readWords(root, words);
  if (pending !== undefined) return planValue(pending, "");
  const equals = /^(--[\w-]+)=/.exec(current);
  const flag = equals === null || literal ? undefined : flagOf(command, equals[1] ?? "");
  if (flag?.value !== undefined) return planValue(flag, equals?.[0] ?? "");
  if (!literal && current.startsWith("-")) {
    return { kind: "words", words: command.flags.map(({ long }) => long) };
  }
  if (command.commands.length > 0 && operands.length === 0) {
    return { kind: "words", words: command.commands.map(({ path }) => path.at(-1) ?? "") };
  }
  const argument = argumentAt(command, operands.length);
  const place = placeAt(command, operands.length);
  if (argument === undefined && endsOf(command) === undefined) return { kind: "words", words: [] };
  if (argument !== undefined && argument.choices.length > 0) {
    return { kind: "words", words: argument.choices };
  }
  if (place === "side") return planSide(current);
  const directories = /^dir/i.test(argument?.name ?? "");
  return { kind: "place", place, prefix: "", directories };
}

/** A colon tells the cluster's side. */
function planSide(current: string): CompletionPlan {
  const prefix = current.startsWith(":") ? ":" : "";
  const place = prefix === "" ? "local" : "remote";
  return { kind: "place", place, prefix, directories: false };
}

function planValue({ value }: FlagFacts, prefix: string): CompletionPlan {
  if (value !== undefined && value.choices.length > 0) {
    return { kind: "words", words: value.choices.map((choice) => prefix + choice) };
  }
  return { kind: "place", place: value?.place ?? "word", prefix, directories: false };
}

function flagOf(command: CommandFacts, word: string): FlagFacts | undefined {
  const name = word.split("=")[0] ?? "";
  // Of short flags in one word only the last can have a value.
  const short = /^-[A-Za-z]+$/.test(name) ? `-${name.at(-1)}` : undefined;
  return command.flags.find((flag) =>
    flag.long === name || (short !== undefined && flag.short === short)
  );
}
