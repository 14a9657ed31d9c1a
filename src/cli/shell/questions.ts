/** What the shell asks for when a command is typed without all that it needs. Decides only. */
import { readWords } from "../completion/plan.ts";
import { endsOf } from "../tree.ts";
import type { ArgumentFacts, CommandFacts, Ends, Place } from "../tree.ts";

export interface Question {
  /** `Local file`; the prompt without its colon. */
  label: string;
  place: Place;
  required: boolean;
  /** Several words may be answered. */
  variadic: boolean;
}

/**
 * The questions for the words of a command: none when nothing that it needs is missing, else one
 * for each argument that is, those that may be left out too.
 */
export function missingQuestions(root: CommandFacts, words: readonly string[]): Question[] {
  const { command, operands, pending } = readWords(root, words);
  const wantsHelp = words.includes("--help") || words.includes("-h");
  const ends = endsOf(command);
  const declared = command.arguments.filter((argument) => argument.required).length;
  const required = ends?.required === true ? 2 : declared;
  if (pending !== undefined || wantsHelp || operands.length >= required) return [];
  const questions = command.arguments.slice(operands.length).map(questionOf);
  if (ends === undefined || command.arguments.length > 1) return questions;
  return [...questions, lastQuestion(ends)];
}

/** Where it goes: the directory in which the shell stands, unless told. */
function lastQuestion({ first, last: place, required }: Ends): Question {
  const name = first === place ? "to" : place;
  const otherwise = required ? "" : ` (or Enter: the ${place} directory)`;
  return { label: labelOf(name, place) + otherwise, place, required, variadic: false };
}

function questionOf({ name, place, required, variadic }: ArgumentFacts): Question {
  return {
    label: labelOf(name, place) + (required ? "" : " (or Enter)"),
    place,
    required,
    variadic,
  };
}

function labelOf(name: string, place: Place): string {
  const word = name.toLowerCase();
  const title = word.charAt(0).toUpperCase() + word.slice(1);
  if (place === "remote") {
    return word === "path" || word === "remote" ? "Remote path" : `${title} (remote)`;
  }
  if (place === "local") return word === "local" ? "Local path" : `${title} (local)`;
  return title;
}
