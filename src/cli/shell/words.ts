/**
 * Parts a line of the shell into commands and words, with the quoting that sh has: backslash,
 * single and double quotes, `;` between commands, `#` before a comment. There is no expansion of
 * variables, and no pipes: what would mean these must be quoted.
 */
import { ConfigError } from "../../config/load.ts";

/** The quote that is open; a backslash when the line ends with one. */
export type OpenQuote = "" | "'" | '"' | "\\";

export interface Word {
  /** Without quotes. */
  text: string;
  /** It has `*`, `?`, `[` or `{` outside quotes. */
  isPattern: boolean;
  /** It begins with `~` outside quotes. */
  isHome: boolean;
  /** Where in the line it begins, and where what follows its last slash does. */
  start: number;
  tailStart: number;
}

export interface ParsedLine {
  commands: Word[][];
  /** What was not closed at the end. */
  open: OpenQuote;
  /** The line ends within or right behind its last word. */
  endsInWord: boolean;
}

const BLANK = /\s/;
const REFUSED = /[|&<>]/;
const MAGIC = /[*?[{]/;
const QUOTED_ESCAPES = /["\\$`]/;
/** What a completed name may hold unquoted. */
const PLAIN = /[^A-Za-z0-9_@%+=:,./~^-]/gu;

/** Parts a line. Throws `ConfigError` on what another shell would have a meaning for. */
export function parseLine(line: string): ParsedLine {
  const commands: Word[][] = [[]];
  let word: Word | undefined;
  let open: OpenQuote = "";
  const inWord = (at: number): Word =>
    word ??= { text: "", isPattern: false, isHome: false, start: at, tailStart: at };
  const take = (character: string, at: number, next: number) => {
    const current = inWord(at);
    current.text += character;
    if (character === "/") current.tailStart = next;
  };
  const end = () => {
    if (word !== undefined) commands.at(-1)?.push(word);
    word = undefined;
  };
  for (let at = 0; at < line.length; at++) {
    const character = line.charAt(at);
    const next = line.charAt(at + 1);
    if (open === "'" || open === '"') {
      if (character === open) open = "";
      else if (open === '"' && character === "\\" && QUOTED_ESCAPES.test(next)) {
        take(next, at, at + 2);
        at++;
      } else take(character, at, at + 1);
    } else if (character === "\\") {
      inWord(at);
      if (next === "") open = "\\";
      else take(next, at, at + 2);
      at++;
    } else if (character === "'" || character === '"') {
      inWord(at);
      open = character;
    } else if (BLANK.test(character)) end();
    else if (character === ";") {
      end();
      commands.push([]);
    } else if (character === "#" && word === undefined) break;
    else if (REFUSED.test(character)) throw refusal(character);
    else {
      const current = inWord(at);
      if (MAGIC.test(character)) current.isPattern = true;
      if (character === "~" && at === current.start) current.isHome = true;
      take(character, at, at + 1);
    }
  }
  const endsInWord = word !== undefined;
  end();
  return { commands, open, endsInWord };
}

/** Parts a line that must be whole. Throws `ConfigError` on an open quote. */
export function parseCommands(line: string): Word[][] {
  const { commands, open } = parseLine(line);
  if (open === "\\") throw new ConfigError("Cannot read the line: it ends with a backslash");
  if (open !== "") throw new ConfigError(`Cannot read the line: the quote ${open} is not closed`);
  return commands.filter((words) => words.length > 0);
}

/** Text as it is written behind an open quote (none: with backslashes), the quote not closed. */
export function escapeWord(text: string, open: OpenQuote): string {
  if (open === "'") return text.replaceAll("'", `'\\''`);
  if (open === '"') return text.replace(/["\\$`]/g, "\\$&");
  return text.replace(PLAIN, (character) => isLetter(character) ? character : `\\${character}`);
}

function isLetter(character: string): boolean {
  return /[\p{L}\p{N}\p{M}]/u.test(character);
}

function refusal(character: string): ConfigError {
  return new ConfigError(
    `Cannot read the line: this shell has no "${character}"; quote it where it is part of a name, ` +
      "or run tydfs from your own shell",
  );
}
