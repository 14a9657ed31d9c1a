/**
 * What of a tree is taken: `--include` and `--exclude` in the order in which they were given; the
 * first that matches decides. What matches none is taken, unless there are only includes (the rule
 * of rclone). Pure.
 */

/** One `--include` or `--exclude`. */
export interface FilterRule {
  kind: "include" | "exclude";
  /**
   * Without a slash inside it is of names at any depth, else of paths below the tree's root; one
   * that ends with a slash is of directories only.
   */
  pattern: string;
}

/** Decides about entries by their path below the root, `a/b.mp4`. */
export interface TreeFilter {
  /** Whether a file is taken. */
  takesFile(path: string): boolean;
  /** Whether a directory is looked into. */
  entersDirectory(path: string): boolean;
  /**
   * Whether a directory counts by itself. Where only includes decide, it comes with what is taken
   * from it.
   */
  keepsEmpty: boolean;
}

/** A filter that takes everything. */
export const TAKE_ALL: TreeFilter = {
  takesFile: () => true,
  entersDirectory: () => true,
  keepsEmpty: true,
};

interface CompiledRule {
  kind: "include" | "exclude";
  directoriesOnly: boolean;
  matches: (path: string) => boolean;
}

/** Makes a filter of rules. */
export function makeFilter(rules: readonly FilterRule[]): TreeFilter {
  if (rules.length === 0) return TAKE_ALL;
  const compiled = rules.map(compileRule);
  const onlyIncludes = compiled.every(({ kind }) => kind === "include");
  const above = (path: string) => {
    const parts = path.split("/");
    return parts.slice(0, -1).map((_, index) => parts.slice(0, index + 1).join("/"));
  };
  return {
    takesFile(path) {
      for (const rule of compiled) {
        // A rule about a directory is about all that is below it.
        const own = !rule.directoriesOnly && rule.matches(path);
        if (own || above(path).some(rule.matches)) return rule.kind === "include";
      }
      return !onlyIncludes;
    },
    entersDirectory(path) {
      const first = compiled.find((rule) => rule.matches(path));
      // One that no rule excludes may still hold what a rule includes.
      return first?.kind !== "exclude";
    },
    keepsEmpty: !onlyIncludes,
  };
}

function compileRule({ kind, pattern }: FilterRule): CompiledRule {
  const directoriesOnly = pattern.endsWith("/");
  const bare = directoriesOnly ? pattern.slice(0, -1) : pattern;
  const anchored = bare.includes("/");
  const glob = new Bun.Glob(bare.startsWith("/") ? bare.slice(1) : bare);
  const matches = anchored
    ? (path: string) => glob.match(path)
    : (path: string) => glob.match(path.slice(path.lastIndexOf("/") + 1));
  return { kind, directoriesOnly, matches };
}
