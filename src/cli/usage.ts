/** Wrong usage in one line: commander's words as ours, with what may have been meant. */
import { didYouMean } from "../base/similar.ts";
import type { CommandFacts } from "./tree.ts";

const CHOICE = /^option '([^']*)' argument '(.*)' is invalid\. Allowed choices are (.*)\.$/s;
/** As `find` of other systems takes them, and Go programs. */
const ONE_DASH = /^unknown option '(-[a-z][a-z-]+)'$/;
const ARGUMENT_CHOICE =
  /^command-argument value '(.*)' is invalid for argument '(.*)'\. Allowed choices are (.*)\.$/s;

const TOO_MANY = /^Too many arguments(?: for '[^']*')?\. Expected (\d+) arguments? but got (\d+)/i;

/**
 * The line for what commander says of a wrong command line (`error: unknown option …\n(Did you
 * mean …?)`) to the command `facts`, whose help tells more.
 */
export function formatUsageError(text: string, facts: CommandFacts): string {
  const words = text.replace(/^error: /, "").trim();
  const twoDashes = `-${ONE_DASH.exec(words)?.[1] ?? ""}`;
  const meant = facts.flags.some(({ long }) => long === twoDashes)
    ? ` (Did you mean ${twoDashes}?)`
    : "";
  return `${reworded(words)}${meant}; see ${["tydfs", ...facts.path, "--help"].join(" ")}`;
}

/** The command that a wrong line is meant for: the deepest one it names. */
export function commandOf(root: CommandFacts, words: readonly string[]): CommandFacts {
  let facts = root;
  for (const word of words) {
    const next = facts.commands.find(({ path }) => path.at(-1) === word);
    if (next !== undefined) facts = next;
  }
  return facts;
}

function reworded(words: string): string {
  const surplus = TOO_MANY.exec(words);
  if (surplus !== null) return `Too many arguments: ${surplus[1]} expected, ${surplus[2]} given`;
  const choice = CHOICE.exec(words);
  if (choice !== null) {
    const flag = /--[a-z-]+/.exec(choice[1] ?? "")?.[0] ?? choice[1];
    return wrongChoice(choice[2], flag, choice[3]);
  }
  const argument = ARGUMENT_CHOICE.exec(words);
  if (argument !== null) return wrongChoice(argument[1], argument[2], argument[3]);
  const line = words.replace(/\s*\n\s*/g, " ");
  return line.charAt(0).toUpperCase() + line.slice(1);
}

function wrongChoice(value = "", name = "", list = ""): string {
  const next = didYouMean(value, list.split(", "));
  return `Cannot use "${value}" for ${name}: it must be one of ${list}${next}`;
}
