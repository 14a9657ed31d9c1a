/**
 * The command tree. Commands are declared here and in their files; what they stand on (NATS,
 * schemas, the client) is loaded only when one runs, since the start of the process is most of the
 * time of a small command.
 */
import { Command, CommanderError } from "@commander-js/extra-typings";
import { addBench } from "./bench.ts";
import { addCat } from "./cat.ts";
import { addCp } from "./cp.ts";
import { addDrain } from "./drain.ts";
import { addDu } from "./du.ts";
import { addEvents } from "./events.ts";
import { addFind } from "./find.ts";
import { addFsck } from "./fsck.ts";
import { addGet } from "./get.ts";
import { spellOut } from "./habits.ts";
import { addHead } from "./head.ts";
import { addKeeper } from "./keeper.ts";
import { addLs } from "./ls.ts";
import { addMaster } from "./master.ts";
import { addMkdir } from "./mkdir.ts";
import { addMv } from "./mv.ts";
import { addOn } from "./on.ts";
import { addPut } from "./put.ts";
import { addRescue } from "./rescue.ts";
import { addRebalance } from "./rebalance.ts";
import { addRm } from "./rm.ts";
import { addRule } from "./rule.ts";
import { addScrub } from "./scrub.ts";
import { addService } from "./service.ts";
import { addStat } from "./stat.ts";
import { addStatus } from "./status.ts";
import { addSync } from "./sync.ts";
import { addTail } from "./tail.ts";
import { addTop } from "./top.ts";
import { addTrash } from "./trash.ts";
import { addUndelete } from "./undelete.ts";
import { addVersion } from "./version.ts";
import { addWatch } from "./watch.ts";
import { addComplete } from "./complete.ts";
import { addCompletion } from "./completion.ts";
import { addConfig } from "./config.ts";
import { addHelp } from "./help_command.ts";
import { addLogin } from "./login.ts";
import { addLogout } from "./logout.ts";
import { addShell } from "./shell.ts";
import { colorChoiceOf } from "./color.ts";
import { oneLine, reportFailure } from "./exit.ts";
import { groupCommands, shapeHelp, statusText } from "./help.ts";
import type { Output } from "./output.ts";
import { consoleOutput } from "./output.ts";
import type { Environment } from "./session.ts";
import { Session } from "./session.ts";
import { addGlobals, addSettings } from "./settings_flags.ts";
import { readTree } from "./tree.ts";
import { commandOf, formatUsageError } from "./usage.ts";

const USAGE_STATUS = 2;

/** All commands, by the word that calls them. */
const COMMANDS: Readonly<Record<string, (program: Command, session: Session) => void>> = {
  master: addMaster,
  keeper: addKeeper,
  put: addPut,
  get: addGet,
  sync: addSync,
  watch: addWatch,
  events: addEvents,
  on: addOn,
  cat: addCat,
  head: addHead,
  tail: addTail,
  ls: addLs,
  find: addFind,
  du: addDu,
  stat: addStat,
  cp: addCp,
  mv: addMv,
  rm: addRm,
  undelete: addUndelete,
  trash: addTrash,
  mkdir: addMkdir,
  status: addStatus,
  rule: addRule,
  scrub: addScrub,
  drain: addDrain,
  rebalance: addRebalance,
  top: addTop,
  fsck: addFsck,
  rescue: addRescue,
  bench: addBench,
  service: addService,
  login: addLogin,
  logout: addLogout,
  config: addConfig,
  shell: (program, session) => addShell(program, session, runProgram),
  completion: addCompletion,
  __complete: addComplete,
  help: addHelp,
  version: addVersion,
};

/** They tell of all commands, or run them. */
const NEED_ALL = ["help", "completion", "shell"];

/** They have a --version of their own, which the root would take for its. */
const OWN_VERSION = ["undelete"];

const TEXT = `
Each command has flags of its own, and those of settings: tydfs help COMMAND.
A setting is a flag, else an environment variable (TYDFS_URL), else a key of
tydfs.toml, else its default: tydfs config show tells which. The cluster is
named by --url, --cluster, TYDFS_URL, TYDFS_CLUSTER, tydfs.toml, or a saved
connection (tydfs login), the first of these that is there.

Examples:
  tydfs master --data ./master
  tydfs keeper --url tydfs://keeper:SECRET@127.0.0.1:4222 --data ./keeper-1
  tydfs login tydfs://client:SECRET@127.0.0.1:4222 --name home
  tydfs put video.mp4 /videos/
  tydfs get /videos/video.mp4

${statusText()}`;

/** Runs one command line; returns the exit status. Never throws. */
export async function runCli(
  argv: string[],
  env: Environment,
  output: Output = consoleOutput(colorChoiceOf(argv), env),
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

/** Runs one command line in a session, with commands and hooks of the caller's (`prepare`). */
export async function runProgram(
  argv: string[],
  session: Session,
  prepare: (program: Command) => void = () => {},
): Promise<number> {
  const words = argv[0] === "--version" || argv[0] === "-V"
    ? ["version", ...argv.slice(1)]
    : spellOut(argv);
  try {
    const program = makeProgram(session, words);
    prepare(program);
    await program.parseAsync(words, { from: "user" });
    return session.exitStatus;
  } catch (error) {
    // commander has already told the user.
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : USAGE_STATUS;
    return reportFailure(error, session.output, session.debug);
  }
}

/**
 * The whole tree, or what `words`, the line that is to be parsed, needs of it. Client and common
 * flags are taken before and after the command's name.
 */
export function makeProgram(session: Session, words: readonly string[] = []): Command {
  const { output } = session;
  const program = new Command("tydfs")
    .description("A distributed file system: a master keeps the names, keepers keep the bytes")
    .usage("COMMAND [options]")
    .helpOption("-h, --help", "Show this help")
    .helpCommand(false)
    .exitOverride()
    .configureOutput({
      outputError: (text, _write) => {
        const line = formatUsageError(text, commandOf(readTree(program), words));
        output.message(`${output.messagePaint("bad", "tydfs:")} ${oneLine(line)}`);
      },
    });
  shapeHelp(program, output);
  program.addHelpText("after", TEXT);
  if (!words.some((word) => OWN_VERSION.includes(word))) {
    program.option("-V, --version", "Show the versions of tydfs and of its parts");
  }
  addSettings(program, "client", true);
  addGlobals(program, true);
  program.hook("preAction", (_root, command) => refuseForeignFlags(program, command));
  program.hook("preAction", (_root, command) => session.warnOfEnvironment(command));
  for (const add of commandsFor(words)) add(program, session);
  groupCommands(program);
  return program;
}

/**
 * Declaring a command costs a part of a millisecond, and most lines call one by their first word:
 * then the others are left out.
 */
function commandsFor(words: readonly string[]) {
  const [first = ""] = words;
  const only = Object.hasOwn(COMMANDS, first) ? COMMANDS[first] : undefined;
  return only === undefined || NEED_ALL.includes(first) ? Object.values(COMMANDS) : [only];
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
