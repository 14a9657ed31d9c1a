/** The shell's own commands: directories on both sides, and the way out. */
import type { Command } from "@commander-js/extra-typings";
import { TydfsError } from "../../wire/errors.ts";
import { parsePath, quotePath } from "../../wire/names.ts";
import type { Session } from "../session.ts";
import { addSettings } from "../settings_flags.ts";
import { runLocal } from "./local_command.ts";
import type { WorkingPlace } from "./place.ts";
import { expandHome } from "./place.ts";

export interface ShellState {
  place: WorkingPlace;
  /** Somebody types the lines. */
  readonly interactive: boolean;
  /** No further line is read. */
  leaving: boolean;
}

const GROUP = "The shell's own:";

const CD_TEXT = `
Without DIRECTORY it is the root; - is the one before. Remote names that do
not begin with / are looked for there.

Examples:
  cd /videos
  cd ../music
  cd -
`;
const PWD_TEXT = "\nExamples:\n  pwd\n  cd /videos; pwd\n";
const LCD_TEXT = `
Without DIRECTORY it is your home. Local names that do not begin with / are
looked for there.

Examples:
  lcd ~/films
  lcd ..
`;
const LPWD_TEXT = "\nExamples:\n  lpwd\n  lcd ~; lpwd\n";
const LLS_TEXT = `
The same as !ls. A line that begins with ! is run by your own shell.

Examples:
  lls
  lls -l ~/films
  !df -h .
`;
const EXIT_TEXT = "\nCtrl-D does the same.\n\nExamples:\n  exit\n  ls /; exit\n";

/** Declares the shell's own commands in a tree that is made for one line. */
export function addBuiltins(program: Command, session: Session, state: ShellState): void {
  const { output } = session;
  const { place } = state;
  addCd(program, session, place);
  program.command("pwd").helpGroup(GROUP)
    .description("Show the remote directory")
    .addHelpText("after", PWD_TEXT)
    .action(() => output.line(place.remote));
  program.command("lcd").helpGroup(GROUP)
    .description("Change the local directory")
    .argument("[DIRECTORY]", "A directory on this machine", "~")
    .addHelpText("after", LCD_TEXT)
    .action((directory) => enterLocal(expandHome(directory)));
  program.command("lpwd").helpGroup(GROUP)
    .description("Show the local directory")
    .addHelpText("after", LPWD_TEXT)
    .action(() => output.line(process.cwd()));
  program.command("lls").helpGroup(GROUP)
    .description("List a local directory, as ls does it on this machine")
    .argument("[LOCAL...]", "What ls takes")
    .allowUnknownOption()
    .helpOption(false)
    .addHelpText("after", LLS_TEXT)
    .action(async (words) => {
      await output.flush();
      session.exitStatus = await runLocal(["ls", ...words], state.interactive);
    });
  program.command("exit").alias("quit").helpGroup(GROUP)
    .description("Leave the shell")
    .addHelpText("after", EXIT_TEXT)
    .action(() => {
      state.leaving = true;
    });
}

function addCd(program: Command, session: Session, place: WorkingPlace): void {
  const command = program.command("cd").helpGroup(GROUP)
    .description("Change the remote directory")
    .argument("[DIRECTORY]", "A directory of the cluster", "/")
    .addHelpText("after", CD_TEXT)
    .action(async (text, _flags, self) => {
      const back = text === "-";
      const directory = parsePath(back ? place.before : place.resolve(text));
      await session.withClient(self, async ({ client, signal }) => {
        if (directory === "/") return;
        const { entry } = await client.stat(directory, { signal });
        if (entry.kind === "directory") return;
        throw new TydfsError(
          "not-directory",
          `Cannot change to ${quotePath(directory)}: it is a file`,
        );
      });
      place.enter(directory);
      if (back) session.output.line(directory);
    });
  addSettings(command, "client", true);
}

function enterLocal(directory: string): void {
  try {
    process.chdir(directory);
  } catch (cause) {
    const { code, message } = cause as Error & { code?: string };
    const reason = code === "ENOENT"
      ? "there is no such directory"
      : code === "ENOTDIR"
      ? "it is no directory"
      : message;
    throw new TydfsError("local", `Cannot change to ${quotePath(directory)}: ${reason}`, { cause });
  }
}
