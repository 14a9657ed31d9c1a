/** The flags that put, get and sync share where they work on trees. */
import type { CommandUnknownOpts } from "@commander-js/extra-typings";
import { Option } from "@commander-js/extra-typings";
import type { FilterRule, TreeFilter } from "../../client/trees/filter.ts";
import type { LinkRule } from "../../client/trees/local_tree.ts";
import { ConfigError } from "../../config/load.ts";

/** What the user of an interrupted tree reads. */
export const GO_ON = "What is there stays; the same command goes on from there";

/** What the flags said. */
export interface TreeFlags {
  recursive: boolean;
  dryRun: boolean;
  verbose: boolean;
  /** Copy also what is there with the same size and time. */
  ignoreTimes: boolean;
  links: LinkRule;
  rules: FilterRule[];
}

/** Adds the flags to a command; `links` are the rules that it knows, its default first. */
export function addTreeFlags(command: CommandUnknownOpts, links: readonly LinkRule[]): void {
  addFilterFlags(command, links);
  command
    .option("-n, --dry-run", "Say what would be done, and change nothing")
    .option("-v, --verbose", "One line for each file");
}

/** Adds those of them that say what is taken of a tree. */
export function addFilterFlags(command: CommandUnknownOpts, links: readonly LinkRule[]): void {
  // One list for both, since the first rule that matches decides.
  const add = (kind: FilterRule["kind"]) => (pattern: string, rules?: FilterRule[]) => {
    const all = rulesOf.get(command) ?? [];
    rulesOf.set(command, [...all, { kind, pattern }]);
    return [...rules ?? [], { kind, pattern }];
  };
  const follow = links.includes("follow") ? ", take what they lead to" : "";
  command
    .addOption(
      new Option(
        "--exclude <pattern>",
        "Leave these out; may be given again, the first match counts",
      )
        .argParser(add("exclude")),
    )
    .addOption(
      new Option("--include <pattern>", "Take these; alone it leaves out all others")
        .argParser(add("include")),
    )
    .addOption(
      new Option(
        "--links <rule>",
        `Symbolic links in trees: keep them as links${follow}, or skip them`,
      )
        .choices(links).default(links[0]),
    );
}

/** Rules in the order in which they were given, over both flags. */
const rulesOf = new WeakMap<CommandUnknownOpts, FilterRule[]>();

/** The flags as parsed. Throws `ConfigError` where they don't go together. */
export function treeFlags(command: CommandUnknownOpts): TreeFlags {
  const flags: Record<string, unknown> = command.opts();
  const rules = rulesOf.get(command) ?? [];
  rulesOf.delete(command);
  return {
    recursive: flags["recursive"] === true,
    dryRun: flags["dryRun"] === true,
    verbose: flags["verbose"] === true,
    ignoreTimes: flags["ignoreTimes"] === true,
    links: flags["links"] as LinkRule,
    rules,
  };
}

/** The filter of the rules. Throws `ConfigError` on rules without a tree. */
export async function filterOf({ rules, recursive }: TreeFlags): Promise<TreeFilter> {
  if (rules.length > 0 && !recursive) {
    throw new ConfigError("Cannot use --include and --exclude without a tree: give -r, too");
  }
  const { makeFilter } = await import("../../client/trees/filter.ts");
  return makeFilter(rules);
}
