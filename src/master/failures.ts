/**
 * What happens to errors that no caller waits for: the expected are noted, faults are logged,
 * broken invariants end the thread.
 */
import { dieOfBrokenInvariant } from "../base/assert.ts";
import type { Log, LogFields } from "../base/log.ts";
import { TydfsError } from "../wire/errors.ts";

/** Logs a failure by its kind: errors that a peer or user has caused at debug, others as errors. */
export function noteFailure(
  log: Log,
  message: string,
  error: unknown,
  fields: LogFields = {},
): void {
  if (dieOfBrokenInvariant(error)) return;
  const expected = error instanceof TydfsError && error.code !== "internal";
  if (expected) log.debug(message, { ...fields, code: error.code, error });
  else log.error(message, { ...fields, error });
}
