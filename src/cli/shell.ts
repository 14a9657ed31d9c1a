/** `tydfs shell`: commands one after the other, over one connection. */
import type { Command } from "@commander-js/extra-typings";
import { ConfigError } from "../config/load.ts";
import { stateHome } from "../config/home.ts";
import type { Session } from "./session.ts";
import { commonFlags } from "./session.ts";
import { addGlobals, addSettings, clientSettingsOf, givenFlags } from "./settings_flags.ts";
import type { RunProgram } from "./shell/loop.ts";

const LINE_CHARS_MAX = 64 * 1024;

const TEXT = `
On a terminal it asks for one command after the other. Each is written as
behind tydfs on the command line, with the same flags. Remote names that do not
begin with / are looked for in the remote directory (cd, pwd), local ones in the
local directory (lcd, lpwd). Tab completes commands, flags and names on both
sides; what a command needs and was not given is asked for; lines are kept in
~/.local/state/tydfs/shell_history. Ctrl-C ends the command that runs, Ctrl-D or
exit leaves. A line that begins with ! is run by your own shell.

Words are quoted as in sh; ; parts commands, and # begins a comment. Local
patterns (*.mp4) are expanded for commands that take several names.

Without a terminal the lines of standard input are run, or with -c those given,
up to the first failure, whose status is the shell's.

Examples:
  tydfs shell
  tydfs shell --cluster home
  tydfs shell -c 'cd /videos; ls -l; du'
  tydfs shell --keep-going < nightly.tydfs
`;

/** Declares the command; `run` runs one line of it. */
export function addShell(program: Command, session: Session, run: RunProgram): void {
  const command = program.command("shell")
    .description("Run commands one after the other, interactively or from a script")
    .option("-c, --command <line>", "Run these commands, and leave")
    .option("--keep-going", "Go on after a failure; the first one's status is the shell's")
    .addHelpText("after", TEXT)
    .action(async (flags, self) => {
      const settings = clientSettingsOf(self, session.env);
      const { quiet } = commonFlags(self);
      const join = session.joinSettings(settings, quiet);
      const { Shell } = await import("./shell/loop.ts");
      const { KeptConnection } = await import("./shell/kept_connection.ts");
      const { canAsk } = await import("./line_reader.ts");
      const interactive = flags.command === undefined && canAsk();
      const keepGoing = flags.keepGoing === true;
      const connection = new KeptConnection();
      const inherited = givenFlags(self);
      const shell = new Shell(program, { session, run, connection, join, inherited, interactive });
      try {
        // A cluster that can't be reached is told at once, and not by the first command.
        await connection.join(join);
        if (!interactive) {
          const lines = flags.command?.split("\n") ?? linesOfInput();
          session.exitStatus = await shell.runScript(lines, { keepGoing });
          return;
        }
        if (!quiet) session.output.message("Type help for the commands; exit or Ctrl-D leaves.");
        await shell.interact(await openHistory(session));
      } finally {
        await connection.close();
      }
    });
  addSettings(command, "client", false);
  addGlobals(command, false);
}

async function openHistory({ env, output }: Session) {
  const { History } = await import("./shell/history.ts");
  const home = stateHome(env);
  const path = home === undefined ? undefined : `${home}/shell_history`;
  return new History(path, (reason) => {
    output.message(`tydfs: Cannot keep the history in "${path}": ${reason}`);
  });
}

/** The lines of standard input, as they come. */
async function* linesOfInput(): AsyncGenerator<string> {
  const { standardInput } = await import("../client/local_files.ts");
  const decoder = new TextDecoder();
  let rest = "";
  for await (const bytes of standardInput()) {
    const lines = (rest + decoder.decode(bytes, { stream: true })).split("\n");
    rest = lines.pop() ?? "";
    if (rest.length > LINE_CHARS_MAX) {
      throw new ConfigError(`Cannot read the script: a line has over ${LINE_CHARS_MAX} characters`);
    }
    yield* lines;
  }
  if (rest !== "") yield rest;
}
