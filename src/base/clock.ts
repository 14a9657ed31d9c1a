/**
 * The one door to time. Code takes a `Clock` as a constructor argument, so that tests and the
 * simulated cluster can run on virtual time. Wall time is for people and records; every lease,
 * time-out and death is measured in monotonic time, on which all threads of a process agree.
 */

/** A running timer; `stop` is idempotent. */
export interface Timer {
  stop(): void;
}

export interface Clock {
  /** Wall time in ms since the epoch. It may jump. */
  wallMs(): number;
  /** Monotonic time in ms (fractional), equal in all threads of this process. */
  monotonicMs(): number;
  /** Resolves after `ms`; rejects with the signal's reason as soon as the signal aborts. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
  /** Calls `callback` once after `ms`. The timer does not keep the process alive. */
  after(ms: number, callback: () => void): Timer;
  /** Calls `callback` each `ms`. The timer does not keep the process alive. */
  every(ms: number, callback: () => void): Timer;
}

/** The machine's own clock. */
export const systemClock: Clock = {
  wallMs: () => Date.now(),
  // Bun counts hrtime() and performance.now() from each thread's own start; with the origin added
  // they agree. Threads start together, so that a step of the wall clock, which sets the origins,
  // does not come between them.
  monotonicMs: () => performance.timeOrigin + performance.now(),
  sleep(ms, signal) {
    return new Promise((resolve, reject) => {
      if (signal?.aborted) return reject(signal.reason);
      const timer = setTimeout(() => {
        signal?.removeEventListener("abort", onAbort);
        resolve();
      }, ms);
      function onAbort() {
        clearTimeout(timer);
        reject(signal?.reason);
      }
      signal?.addEventListener("abort", onAbort, { once: true });
    });
  },
  after(ms, callback) {
    const timer = setTimeout(callback, ms);
    timer.unref();
    return { stop: () => clearTimeout(timer) };
  },
  every(ms, callback) {
    const timer = setInterval(callback, ms);
    timer.unref();
    return { stop: () => clearInterval(timer) };
  },
};

/**
 * Waits for `promise`, but no longer than `ms`; then rejects with what `onTimeout` makes.
 * The promise itself goes on: its owner must be able to bear a late settlement.
 */
export function withTimeout<T>(
  clock: Clock,
  promise: Promise<T>,
  ms: number,
  onTimeout: () => Error,
): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = clock.after(ms, () => reject(onTimeout()));
    promise.then(resolve, reject).finally(() => timer.stop());
  });
}
