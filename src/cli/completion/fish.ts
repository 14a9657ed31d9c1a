/** The completion script for fish: one line a command and flag, and names asked of the program. */
import type { ArgumentFacts, CommandFacts, FlagFacts, Place } from "../tree.ts";
import { endsOf, placeAt } from "../tree.ts";
import body from "./body.fish" with { type: "text" };
import { allCommands, brief } from "./walk.ts";

const HEADER = `# fish completion of tydfs, made by "tydfs completion fish".\n`;

/** The script for a command tree. */
export function fishScript(root: CommandFacts): string {
  return [HEADER + body.trimEnd(), ...allCommands(root).flatMap(linesOf)].join("\n");
}

function linesOf(command: CommandFacts): string[] {
  const { path, commands, flags } = command;
  const words = path.join(" ");
  const at = path.length === 0 ? "__tydfs_next" : `__tydfs_at ${words}`;
  const next = `__tydfs_next ${words}`.trim();
  return [
    ...commands.map((each) => line(next, `-a ${each.path.at(-1)} -d ${quote(brief(each.about))}`)),
    ...flags.map((flag) => line(at, flagWords(flag))),
    ...(commands.length > 0 ? [] : argumentLines(command).map((words) => line(at, words))),
  ];
}

function line(condition: string, words: string): string {
  return `complete -c tydfs -n ${quote(condition)} ${words}`;
}

function flagWords({ short, long, about, value }: FlagFacts): string {
  const names = [
    ...(short === undefined ? [] : [`-s ${short.slice(1)}`]),
    ...(long.startsWith("--") ? [`-l ${long.slice(2)}`] : []),
  ];
  const takes = value === undefined ? [] : ["-r", sourceOf([value])];
  return [...names, ...takes, `-d ${quote(brief(about))}`].filter((word) => word !== "").join(" ");
}

/** fish does not count arguments: what fits one of them is offered for each. */
function argumentLines(command: CommandFacts): string[] {
  const all: Pick<ArgumentFacts, "place" | "choices">[] = endsOf(command) === undefined
    ? [...command.arguments]
    : [{ place: placeAt(command, 1), choices: [] }];
  const words = sourceOf(all);
  return words === "" ? [] : [words];
}

/** Where names come from: `-f` none of this machine's files, `-F` those too. */
function sourceOf(targets: readonly { place: Place; choices: readonly string[] }[]): string {
  const sources = targets.flatMap(({ place, choices }) => {
    if (choices.length > 0) return [choices.join(" ")];
    if (place === "remote" || place === "either") return ["(__tydfs_remote)"];
    if (place === "side") return ["(__tydfs_side)"];
    if (place === "keeper") return ["(__tydfs_keeper)"];
    if (place === "subject") return ["(__tydfs_subject)"];
    return place === "saved" ? ["(__tydfs_saved)"] : [];
  });
  const files = targets.some(({ place }) => ["local", "either", "side"].includes(place));
  const offered = sources.length === 0 ? "" : `-a ${quote([...new Set(sources)].join(" "))}`;
  if (targets.length === 0) return "";
  return [files ? "-F" : "-f", offered].filter((word) => word !== "").join(" ");
}

function quote(text: string): string {
  return `'${text.replace(/[\\']/g, "\\$&")}'`;
}
