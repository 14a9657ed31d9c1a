/** The command tree as the generators of completion scripts need it. */
import type { CommandFacts, FlagFacts } from "../tree.ts";

/** A command and all below it, the command first. */
export function allCommands(root: CommandFacts): CommandFacts[] {
  return [root, ...root.commands.flatMap(allCommands)];
}

/** Where an argument lies, or its words: `=a b` for a list of words. */
export function targetOf(
  { place, choices }: { place: string; choices: readonly string[] },
): string {
  return choices.length > 0 ? `=${choices.join(" ")}` : place;
}

/** All names of a flag. */
export function namesOf({ short, long }: FlagFacts): string[] {
  return short === undefined || short === long ? [long] : [short, long];
}

/** The first sentence of a text, short enough for a list. */
export function brief(text: string): string {
  const first = text.split(/ \(|; |\. /)[0] ?? "";
  return first.length <= 72 ? first : `${first.slice(0, 71)}…`;
}

/** Text within single quotes of a shell. */
export function singleQuoted(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}
