/**
 * Command lines as hands are used to type them: `head -5`, `ls -la`, `du -sh`, `cp -R`. What means
 * the same here is spelled as here, and what is so anyway is left out. Pure.
 */

/** One-letter flags in one word, such as `-la`. */
const LETTERS = /^-[a-zA-Z1]+$/;

/** Letters of other systems: the letter here, or none where it changes nothing. */
const LETTERS_OF: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  // Nothing is hidden, each name has its line, and sizes are for people.
  ls: { a: "", A: "", h: "", 1: "" },
  du: { h: "" },
  cp: { R: "r", a: "r", f: "" },
  // A file that is there is replaced.
  mv: { f: "" },
  rm: { R: "r" },
  put: { R: "r" },
  get: { R: "r" },
};

/** The words of a command line, as commander takes them. */
export function spellOut(words: readonly string[]): string[] {
  const [command = "", first = "", ...rest] = words;
  if (command === "head" || command === "tail") {
    const count = /^-(\d+)$/.exec(first)?.[1];
    return count === undefined ? [...words] : [command, "--lines", count, ...rest];
  }
  const letters = Object.hasOwn(LETTERS_OF, command) ? LETTERS_OF[command] : undefined;
  if (letters === undefined) return [...words];
  const ends = words.indexOf("--");
  return words.flatMap((word, index) => {
    // By itself -h asks for help, everywhere.
    if (index === 0 || (ends !== -1 && index > ends) || word === "-h") return [word];
    if (!LETTERS.test(word)) return [word];
    const spelled = [...word.slice(1)].map((letter) => letters[letter] ?? letter);
    const told = [...new Set(spelled)].join("");
    return told === "" ? [] : [`-${told}`];
  });
}
