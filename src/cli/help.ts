/**
 * How help looks: commands grouped by what they are for, widths, colours, and the exit statuses
 * that matter to each. The texts themselves stand with the commands.
 */
import type { Command, CommandUnknownOpts } from "@commander-js/extra-typings";
import type { Paint } from "./color.ts";
import { EXIT_STATUSES } from "./exit.ts";
import type { Output } from "./output.ts";

/** Text is as wide as the terminal, within these. */
const WIDTH_MIN = 60;
const WIDTH_MAX = 100;
const WIDTH_DEFAULT = 80;

/** The one place that says which group a command belongs to, and in which order they are told. */
export const GROUPS: readonly { title: string; commands: readonly string[] }[] = [
  {
    title: "Files",
    commands: [
      ...["put", "get", "cat", "head", "tail", "ls", "find", "stat", "du"],
      ...["cp", "mv", "rm", "mkdir", "undelete", "trash"],
    ],
  },
  { title: "Trees and changes", commands: ["sync", "watch", "events", "on"] },
  { title: "Cluster", commands: ["status", "top", "rule", "bench"] },
  { title: "Care", commands: ["drain", "rebalance", "scrub", "fsck", "rescue"] },
  { title: "Roles", commands: ["master", "keeper", "service"] },
  { title: "Connections and settings", commands: ["login", "logout", "config"] },
  { title: "Using tydfs", commands: ["shell", "completion", "help", "version"] },
];

const CHANGES = [3, 4];
const TRANSFERS = [3, 4, 6, 7];

/** Exit statuses beyond 0, 1 and 2 that scripts may want to tell apart, by command. */
const STATUSES: Readonly<Record<string, readonly number[]>> = {
  drain: [3, 6],
  put: [4, 5, 6],
  get: [3, 5, 7],
  cat: [3, 5, 7],
  head: [3, 5, 7],
  tail: [3, 5, 7],
  ls: [3, 5],
  find: [3, 5],
  stat: [3, 5],
  du: [3, 5],
  cp: CHANGES,
  mv: CHANGES,
  rm: CHANGES,
  undelete: CHANGES,
  mkdir: CHANGES,
  sync: TRANSFERS,
  fsck: [1, 5, 7],
  rescue: [1, 4, 7],
  scrub: [3, 5, 6, 7],
  login: [5, 8],
};

/**
 * Sets up the help of a program and of all commands that are added to it later: call it before
 * they are.
 */
export function shapeHelp(program: Command, output: Output): void {
  const width = helpWidth(output);
  program.configureOutput({
    writeOut: (text) => output.line(paintHelp(text.trimEnd(), output.paint)),
    writeErr: (text) => output.message(paintHelp(text.trimEnd(), output.messagePaint)),
    getOutHelpWidth: () => width,
    getErrHelpWidth: () => width,
  });
  program.configureHelp({
    helpWidth: width,
    subcommandTerm: (command) => {
      if (command.parent?.parent === null || command.parent === null) return command.name();
      return `${command.name()} ${command.usage().replace("[options] ", "")}`;
    },
  });
}

/** Puts the commands of a finished tree in order, by group, and adds statuses to their help. */
export function groupCommands(program: Command): void {
  const order = GROUPS.flatMap(({ commands }) => commands);
  const place = (command: CommandUnknownOpts) => order.indexOf(command.name()) + 1 || Infinity;
  const commands = program.commands as CommandUnknownOpts[];
  commands.sort((left, right) => place(left) - place(right) || 0);
  for (const command of commands) {
    const group = GROUPS.find(({ commands }) => commands.includes(command.name()));
    if (group !== undefined) command.helpGroup(`${group.title}:`);
    const statuses = STATUSES[command.name()];
    if (statuses !== undefined) command.addHelpText("after", `\n${statusText(statuses)}`);
  }
}

/** All exit statuses, or those given, as the end of a help text. */
export function statusText(statuses?: readonly number[]): string {
  const rows = EXIT_STATUSES.filter(([status]) => statuses?.includes(status) ?? true)
    .map(([status, words]) => `  ${String(status).padEnd(4)} ${words}`);
  const heading = statuses === undefined ? "Exit status:" : "Exit status (all: tydfs help):";
  return `${heading}\n${rows.join("\n")}\n`;
}

/** Headings stand out. */
export function paintHelp(text: string, paint: Paint): string {
  return text.replace(
    /^(Usage:)|^([A-Z][^\n]*:)$/gm,
    (_all, usage: string | undefined, heading: string | undefined) =>
      paint("heading", usage ?? heading ?? ""),
  );
}

function helpWidth({ columns, messagesOnTerminal, resultsOnTerminal }: Output): number {
  if (!messagesOnTerminal && !resultsOnTerminal) return WIDTH_DEFAULT;
  return Math.max(WIDTH_MIN, Math.min(WIDTH_MAX, columns));
}
