/** Runs a command for an event: as it is, without a shell, and ended when the user wants that. */
import type { Clock } from "../base/clock.ts";
import { TydfsError } from "../wire/errors.ts";

/** A command that does not end when it is asked to is killed before tydfs itself ends. */
const END_MS = 4_000;
/** Ctrl-C reaches the command and tydfs at once; the command's end may be seen first. */
const SIGNAL_MS = 200;

export interface CommandRun {
  argv: string[];
  env: Record<string, string | undefined>;
  /** Where its standard output goes. */
  stdout: "stdout" | "stderr";
  clock: Clock;
  signal: AbortSignal;
}

/** How a command ended. */
export interface CommandEnd {
  /** Its exit status; undefined when a signal ended it. */
  exit: number | undefined;
  signalName: string | undefined;
}

/**
 * Runs a command to its end. Throws `local` when it can't be started, and the signal's reason when
 * that aborts: the command gets SIGTERM then, and is waited for.
 */
export async function runCommand(run: CommandRun): Promise<CommandEnd> {
  const { argv, env, clock, signal } = run;
  signal.throwIfAborted();
  const child = startChild(argv, env, run.stdout);
  const onAbort = () => {
    child.kill("SIGTERM");
    clock.after(END_MS, () => child.kill("SIGKILL"));
  };
  signal.addEventListener("abort", onAbort, { once: true });
  try {
    await child.exited;
  } finally {
    signal.removeEventListener("abort", onAbort);
  }
  if (child.signalCode !== null) await clock.sleep(SIGNAL_MS, signal);
  signal.throwIfAborted();
  const { exitCode, signalCode } = child;
  return {
    exit: exitCode ?? undefined,
    signalName: signalCode === null ? undefined : String(signalCode),
  };
}

function startChild(
  argv: string[],
  env: Record<string, string | undefined>,
  stdout: "stdout" | "stderr",
) {
  try {
    return Bun.spawn(argv, {
      env,
      stdin: "ignore",
      stdout: stdout === "stdout" ? "inherit" : 2,
      stderr: "inherit",
    });
  } catch (cause) {
    const code = (cause as { code?: unknown } | undefined)?.code;
    const words = cause instanceof Error ? cause.message : String(cause);
    const reason = code === "ENOENT" ? "there is no such command" : words;
    throw new TydfsError("local", `Cannot run "${argv[0]}": ${reason}`, { cause });
  }
}
