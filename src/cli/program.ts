/**
 * The command tree. Commands are declared here and in their files; what they stand on (NATS,
 * schemas, the client) is loaded only when one runs, since the start of the process is most of the
 * time of a small command.
 */
import { Command, CommanderError } from "@commander-js/extra-typings";
import { addCat } from "./cat.ts";
import { addCp } from "./cp.ts";
import { addDu } from "./du.ts";
import { addEvents } from "./events.ts";
import { addFind } from "./find.ts";
import { addGet } from "./get.ts";
import { addHead } from "./head.ts";
import { addKeeper } from "./keeper.ts";
import { addLs } from "./ls.ts";
import { addMaster } from "./master.ts";
import { addMkdir } from "./mkdir.ts";
import { addMv } from "./mv.ts";
import { addOn } from "./on.ts";
import { addPut } from "./put.ts";
import { addRm } from "./rm.ts";
import { addRule } from "./rule.ts";
import { addStat } from "./stat.ts";
import { addStatus } from "./status.ts";
import { addSync } from "./sync.ts";
import { addTail } from "./tail.ts";
import { addVersion } from "./version.ts";
import { addWatch } from "./watch.ts";
import { EXIT_STATUSES, reportFailure } from "./exit.ts";
import type { Output } from "./output.ts";
import { consoleOutput } from "./output.ts";
import type { Environment } from "./session.ts";
import { Session } from "./session.ts";
import { addGlobals, addSettings } from "./settings_flags.ts";

const USAGE_STATUS = 2;

const EXAMPLES = `
Examples:
  tydfs master --data ./master
  tydfs keeper --url tydfs://keeper:SECRET@127.0.0.1:4222 --data ./keeper-1
  tydfs put video.mp4 /videos/
  tydfs get /videos/video.mp4

Exit status:
${EXIT_STATUSES.map(([status, words]) => `  ${String(status).padEnd(4)} ${words}`).join("\n")}
`;

/** Runs one command line; returns the exit status. Never throws. */
export async function runCli(
  argv: string[],
  env: Environment,
  output: Output = consoleOutput(),
): Promise<number> {
  const session = new Session(output, env);
  const status = await runProgram(argv, session);
  try {
    await output.flush();
    return status;
  } catch (error) {
    return reportFailure(error, output, session.debug);
  }
}

async function runProgram(argv: string[], session: Session): Promise<number> {
  const words = argv[0] === "--version" || argv[0] === "-V" ? ["version", ...argv.slice(1)] : argv;
  try {
    await makeProgram(session).parseAsync(words, { from: "user" });
    return session.exitStatus;
  } catch (error) {
    // commander has already told the user.
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : USAGE_STATUS;
    return reportFailure(error, session.output, session.debug);
  }
}

/** The whole tree. Client and common flags are taken before and after the command's name. */
export function makeProgram(session: Session): Command {
  const program = new Command("tydfs")
    .description("A distributed file system: a master keeps the names, keepers keep the bytes")
    .usage("COMMAND [options]")
    .helpOption("-h, --help", "Show this help")
    .helpCommand("help [command]", "Show the help of a command")
    .exitOverride()
    .configureOutput({
      writeOut: (text) => session.output.line(text.trimEnd()),
      writeErr: (text) => session.output.message(text.trimEnd()),
      outputError: (text, write) => write(usageError(text)),
    })
    .addHelpText("after", EXAMPLES);
  program.option("-V, --version", "Show the versions of tydfs and of its parts");
  addSettings(program, "client", true);
  addGlobals(program, true);
  program.hook("preAction", (_root, command) => refuseForeignFlags(program, command));
  addMaster(program, session);
  addKeeper(program, session);
  addPut(program, session);
  addGet(program, session);
  addSync(program, session);
  addCat(program, session);
  addHead(program, session);
  addTail(program, session);
  addLs(program, session);
  addFind(program, session);
  addDu(program, session);
  addStat(program, session);
  addCp(program, session);
  addMv(program, session);
  addRm(program, session);
  addMkdir(program, session);
  addWatch(program, session);
  addEvents(program, session);
  addOn(program, session);
  addStatus(program, session);
  addRule(program, session);
  addVersion(program, session);
  return program;
}

/**
 * The root takes its flags wherever they stand; a command that has no such flag must still refuse
 * it.
 */
function refuseForeignFlags(
  program: Command,
  command: { options: readonly { attributeName(): string }[]; error(message: string): never },
): void {
  const own = new Set(command.options.map((option) => option.attributeName()));
  for (const option of program.options) {
    const name = option.attributeName();
    const given = program.getOptionValueSource(name as never) === "cli";
    if (given && !own.has(name)) command.error(`error: unknown option '${option.long ?? name}'`);
  }
}

/** commander's "error: unknown …\n(Did you mean …?)" as one line of ours. */
function usageError(text: string): string {
  const words = text.replace(/^error: /, "").trim().replace(/\s*\n\s*/g, " ");
  return `tydfs: ${words.charAt(0).toUpperCase()}${words.slice(1)}; see tydfs --help`;
}
