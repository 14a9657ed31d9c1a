/**
 * Shell patterns of paths: `*` and `?` within a part, `**` over parts, `[a-z]`, `{a,b}`; a
 * backslash takes a character's meaning away.
 */

/** Characters of a pattern, at most. */
export const PATTERN_MAX = 1024;

/**
 * A test of absolute paths: a pattern without a slash is of names, at any depth; another one of
 * whole paths.
 */
export function matcherOf(pattern: string): (path: string) => boolean {
  if (!pattern.includes("/")) {
    const glob = new Bun.Glob(pattern);
    return (path) => glob.match(path.slice(path.lastIndexOf("/") + 1));
  }
  const glob = new Bun.Glob(pattern.startsWith("/") ? pattern : `/${pattern}`);
  return (path) => glob.match(path);
}

/** Why a pattern can match nothing, or not what its writer means; undefined for a good one. */
export function whyNotPattern(pattern: string): string | undefined {
  if (pattern === "") return "it is empty";
  if (pattern.length > PATTERN_MAX) return `it is over ${PATTERN_MAX} characters`;
  if (!pattern.isWellFormed() || pattern.includes("\0")) return "it can't be a name";
  if (pattern.endsWith("/")) return `it ends with a slash; "${pattern}**" is all that is below`;
  const parts = pattern.replace(/^\//, "").split("/");
  if (parts.includes("")) return "a part of it is empty";
  const dots = parts.find((part) => part === "." || part === "..");
  if (dots !== undefined) return `"${dots}" is not a name`;
  return whyUnbalanced(pattern);
}

/** Bun takes a bracket without its end for the character itself: most likely a slip. */
function whyUnbalanced(pattern: string): string | undefined {
  let braces = 0;
  for (let at = 0; at < pattern.length; at++) {
    const character = pattern[at];
    if (character === "\\") {
      at++;
      if (at === pattern.length) return "it ends with a backslash";
    } else if (character === "{") braces++;
    else if (character === "}") braces = Math.max(0, braces - 1);
    else if (character === "[") {
      // The first character of a class may be its own end: []a] is of "]" and "a".
      const first = at + (/^[!^]/.test(pattern.slice(at + 1)) ? 2 : 1);
      const end = pattern.indexOf("]", first + 1);
      if (end === -1) return '"[" is not closed; write "\\[" for the character';
      at = end;
    }
  }
  return braces > 0 ? '"{" is not closed; write "\\{" for the character' : undefined;
}
