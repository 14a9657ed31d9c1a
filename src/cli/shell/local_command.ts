/** Runs a command of this machine within the shell: it has the terminal, and its Ctrl-C. */
import { TydfsError } from "../../wire/errors.ts";

/**
 * Runs to the end; returns the exit status. Only with `keyboard` it has the shell's input, which a
 * script is read from otherwise. Throws `local` when it can't be started.
 */
export async function runLocal(argv: string[], keyboard: boolean): Promise<number> {
  // Ctrl-C goes to all that have the terminal: it is meant for the command.
  const ignore = () => {};
  process.on("SIGINT", ignore);
  try {
    const child = Bun.spawn(argv, {
      stdio: [keyboard ? "inherit" : "ignore", "inherit", "inherit"],
    });
    return await child.exited;
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new TydfsError("local", `Cannot run "${argv[0]}": ${reason}`, { cause });
  } finally {
    process.off("SIGINT", ignore);
  }
}

/** The command that runs a line in the user's own shell. */
export function shellCommand(line: string, env: Record<string, string | undefined>): string[] {
  const shell = env["SHELL"] ?? "";
  return [shell === "" ? "/bin/sh" : shell, "-c", line];
}
