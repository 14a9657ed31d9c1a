/**
 * A crew: several members that work on one task, where the first failure sends all of them home.
 */

/**
 * Runs `size` members at once. The signal that they get aborts with `signal`, or as soon as one of
 * them fails. Waits for all of them, then throws the first failure (the signal's reason when it was
 * aborted).
 */
export async function runCrew(
  size: number,
  signal: AbortSignal,
  member: (signal: AbortSignal) => Promise<void>,
): Promise<void> {
  const failed = new AbortController();
  const joint = AbortSignal.any([signal, failed.signal]);
  let failure: { error: unknown } | undefined;
  await Promise.all(Array.from({ length: size }, async () => {
    try {
      await member(joint);
    } catch (error) {
      failure ??= { error };
      failed.abort(error);
    }
  }));
  signal.throwIfAborted();
  if (failure !== undefined) throw failure.error;
}

/** Settles as `promise` does, or rejects with the signal's reason when that comes first. */
export function orAbort<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  if (signal.aborted) {
    promise.catch(() => {});
    return Promise.reject(signal.reason);
  }
  return new Promise((resolve, reject) => {
    const onAbort = () => reject(signal.reason);
    signal.addEventListener("abort", onAbort, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener("abort", onAbort));
  });
}
