/**
 * Assertions. They stay on in production: a broken invariant stops the process instead of
 * spreading. Assertions are for programmer errors only; bad input and operating faults are
 * `TydfsError`s.
 */

/**
 * Thrown by a failed assertion; nothing catches it, so the process dies and says which invariant
 * broke.
 */
export class AssertionError extends Error {
  override name = "AssertionError";
}

/** Asserts an invariant. Throws `AssertionError` naming the invariant when `condition` is false. */
export function assert(condition: unknown, invariant: string): asserts condition {
  if (!condition) throw new AssertionError(`Invariant broken: ${invariant}`);
}

/**
 * Lets a broken invariant end the thread, and with it the process, from where errors are otherwise
 * turned into answers. Whether it was one; does nothing with any other error.
 */
export function dieOfBrokenInvariant(error: unknown): boolean {
  if (!(error instanceof AssertionError)) return false;
  throwUncaught(error);
  return true;
}

/** Throws where nothing catches it: the thread ends, and the process with it. */
export function throwUncaught(error: unknown): void {
  queueMicrotask(() => {
    throw error;
  });
}

/** Returns `value`, asserting that it is there. `what` names the value in the failure. */
export function must<T>(value: T | undefined | null, what: string): T {
  if (value === undefined || value === null) throw new AssertionError(`Missing ${what}`);
  return value;
}

/** Marks a branch that the types rule out. */
export function unreachable(value: never): never {
  throw new AssertionError(`Unreachable value ${JSON.stringify(value)}`);
}
