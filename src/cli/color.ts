/**
 * Colours: whether there are any, and what each means. Text is painted by what it says (`good`,
 * `directory`), never by a colour's name.
 */

export const COLOR_CHOICES = ["auto", "always", "never"] as const;
export type ColorChoice = (typeof COLOR_CHOICES)[number];

/** What a piece of text says. */
export type Tone = "heading" | "good" | "doubtful" | "bad" | "directory" | "faint";

/** Gives text the colour of its tone, or leaves it as it is. */
export type Paint = (tone: Tone, text: string) => string;

/** On and off, as terminals know them since ECMA-48. */
const CODES: Record<Tone, [on: string, off: string]> = {
  heading: ["1", "22"],
  good: ["32", "39"],
  doubtful: ["33", "39"],
  bad: ["1;31", "22;39"],
  directory: ["1;34", "22;39"],
  faint: ["2", "22"],
};

/** Leaves all text as it is. */
export function plain(_tone: Tone, text: string): string {
  return text;
}

/** Colours all text that is not empty. */
export function colored(tone: Tone, text: string): string {
  const [on, off] = CODES[tone];
  return text === "" ? "" : `\x1b[${on}m${text}\x1b[${off}m`;
}

/** Decides: what was asked for, else a terminal that is not dumb, unless NO_COLOR is set. */
export function choosePaint(
  choice: ColorChoice,
  where: { terminal: boolean; env: Record<string, string | undefined> },
): Paint {
  if (choice !== "auto") return choice === "always" ? colored : plain;
  const { terminal, env } = where;
  const refused = (env["NO_COLOR"] ?? "") !== "" || env["TERM"] === "dumb";
  return terminal && !refused ? colored : plain;
}

/**
 * What `--color` says on a command line, read before the line is parsed, since errors of parsing
 * have colours too; `auto` where it says nothing that is known.
 */
export function colorChoiceOf(argv: readonly string[]): ColorChoice {
  const words = argv.includes("--") ? argv.slice(0, argv.indexOf("--")) : argv;
  const at = words.findLastIndex((word) => word === "--color" || word.startsWith("--color="));
  const word = words[at] ?? "";
  const value = word === "--color" ? words[at + 1] : word.slice("--color=".length);
  return COLOR_CHOICES.find((choice) => choice === value) ?? "auto";
}
