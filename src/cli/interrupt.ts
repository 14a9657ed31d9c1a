/** Ctrl-C: the first one stops the command in good order, the second one at once. */
import { TydfsError } from "../wire/errors.ts";

const INTERRUPTED_STATUS = 130;
/** A command that has not come to its end by then is stuck in a system call. */
const PATIENCE_MS = 5_000;

/**
 * Runs `work` with a signal that aborts on SIGINT and SIGTERM. When the program `stays` (the
 * shell), a second Ctrl-C is only impatience, and the time that was given ends with the work.
 */
export async function untilInterrupted<T>(
  work: (signal: AbortSignal) => Promise<T>,
  { stays = false }: { stays?: boolean } = {},
): Promise<T> {
  const interrupted = new AbortController();
  let patience: ReturnType<typeof setTimeout> | undefined;
  const onSignal = (name: NodeJS.Signals) => {
    if (interrupted.signal.aborted) {
      if (stays && name === "SIGINT") return;
      process.exit(INTERRUPTED_STATUS);
    }
    interrupted.abort(new TydfsError("interrupted", "Interrupted"));
    patience = setTimeout(() => process.exit(INTERRUPTED_STATUS), PATIENCE_MS);
    patience.unref();
  };
  process.on("SIGINT", onSignal);
  process.on("SIGTERM", onSignal);
  try {
    return await work(interrupted.signal);
  } finally {
    if (stays) clearTimeout(patience);
    process.off("SIGINT", onSignal);
    process.off("SIGTERM", onSignal);
  }
}
