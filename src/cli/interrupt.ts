/** Ctrl-C: the first one stops the command in good order, the second one at once. */
import { TydfsError } from "../wire/errors.ts";

const INTERRUPTED_STATUS = 130;
/** A command that has not come to its end by then is stuck in a system call. */
const PATIENCE_MS = 5_000;

/** Runs `work` with a signal that aborts on SIGINT and SIGTERM. */
export async function untilInterrupted<T>(work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const interrupted = new AbortController();
  const onSignal = () => {
    if (interrupted.signal.aborted) process.exit(INTERRUPTED_STATUS);
    interrupted.abort(new TydfsError("interrupted", "Interrupted"));
    setTimeout(() => process.exit(INTERRUPTED_STATUS), PATIENCE_MS).unref();
  };
  process.on("SIGINT", onSignal);
  process.on("SIGTERM", onSignal);
  try {
    return await work(interrupted.signal);
  } finally {
    process.off("SIGINT", onSignal);
    process.off("SIGTERM", onSignal);
  }
}
