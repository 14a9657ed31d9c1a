/**
 * `tydfs __complete`: names for the completion of other shells. It is called at each Tab: fast,
 * bounded, and silent whatever fails.
 */
import type { Command } from "@commander-js/extra-typings";
import type { TydfsClient } from "../client/client.ts";
import type { Session } from "./session.ts";
import { ownConnection } from "./session.ts";
import { addGlobals, addSettings, clientSettingsOf } from "./settings_flags.ts";

/** Nobody waits longer for a Tab. */
const PATIENCE_MS = 1_500;

const TEXT = `
Called by the scripts of tydfs completion; prints one name a line, directories
with a slash at the end.

Examples:
  tydfs __complete remote /vid
  tydfs __complete --quoted remote '/my\\ vid'
`;

/** Declares the command. */
export function addComplete(program: Command, session: Session): void {
  const command = program.command("__complete", { hidden: true })
    .description("Print names for the completion of a shell")
    .argument("<KIND>", "remote, keeper, or saved")
    .argument("[TEXT]", "What is typed so far", "")
    .option("--quoted", "It is quoted as on a command line")
    .addHelpText("after", TEXT)
    .action(async (kind, text, flags, self) => {
      try {
        const typed = flags.quoted === true ? await unquote(text) : text;
        const names = kind === "saved" ? await savedNames(session) : await askCluster(
          session,
          self,
          kind === "keeper" ? keepersStarting : pathsStarting,
          typed,
        );
        names.forEach((name) => session.output.line(name));
      } catch {
        // Silence is this command's contract: a message would land in the line that is typed.
      }
    });
  addSettings(command, "client", true);
  addGlobals(command, true);
}

/** Names that begin with `text`. */
type Look = (client: TydfsClient, text: string, signal: AbortSignal) => Promise<string[]>;

async function askCluster(
  session: Session,
  command: Parameters<typeof clientSettingsOf>[0],
  look: Look,
  text: string,
): Promise<string[]> {
  const settings = session.joinSettings(clientSettingsOf(command, session.env), true);
  const signal = AbortSignal.timeout(PATIENCE_MS);
  const client = await orAbort(ownConnection.join(settings), signal);
  try {
    return await look(client, text, signal);
  } finally {
    await ownConnection.leave(client);
  }
}

async function pathsStarting(...[client, text, signal]: Parameters<Look>): Promise<string[]> {
  const { remoteNames, splitTyped } = await import("./completion/names.ts");
  const typed = splitTyped(text);
  const names = await remoteNames(client, typed, signal);
  return names.map((name) => typed.directory + name);
}

async function keepersStarting(...[client, text, signal]: Parameters<Look>): Promise<string[]> {
  const { keeperNames } = await import("./completion/names.ts");
  return await keeperNames(client, text, signal);
}

async function savedNames(session: Session): Promise<string[]> {
  const { readSaved, savedPath } = await import("../config/saved.ts");
  return [...readSaved(savedPath(session.env)).urlByName.keys()];
}

/** The word at the end of a line, without its quotes. */
async function unquote(raw: string): Promise<string> {
  const { parseLine } = await import("./shell/words.ts");
  const { commands, endsInWord } = parseLine(raw);
  return endsInWord ? commands.at(-1)?.at(-1)?.text ?? "" : "";
}

function orAbort<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    signal.addEventListener("abort", () => reject(signal.reason), { once: true });
    promise.then(resolve, reject);
  });
}
