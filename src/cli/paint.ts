/** Colours of screens: what a piece of text says becomes a colour, or nothing. */

/** What a piece of text says. */
export type Tone = "heading" | "good" | "doubtful" | "bad" | "faint";

/** Gives text the colour of its tone, or leaves it as it is. */
export type Paint = (tone: Tone, text: string) => string;

const CODES: Record<Tone, [on: string, off: string]> = {
  heading: ["1", "22"],
  good: ["32", "39"],
  doubtful: ["33", "39"],
  bad: ["1;31", "22;39"],
  faint: ["2", "22"],
};

/** Leaves all text as it is. */
export function plainPaint(_tone: Tone, text: string): string {
  return text;
}

/** Colours where there is a terminal, unless NO_COLOR is set. */
export function paintFor(
  onTerminal: boolean,
  env: Record<string, string | undefined>,
): Paint {
  const refused = (env["NO_COLOR"] ?? "") !== "" || env["TERM"] === "dumb";
  if (!onTerminal || refused) return plainPaint;
  return (tone, text) => {
    const [on, off] = CODES[tone];
    return text === "" ? "" : `\x1b[${on}m${text}\x1b[${off}m`;
  };
}
