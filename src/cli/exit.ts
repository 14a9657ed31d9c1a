/**
 * How a command ends: any error becomes one line on stderr and the exit status that scripts may
 * rely on.
 */
import { AssertionError } from "../base/assert.ts";
import { describeError } from "../base/log.ts";
import { ConfigError } from "../config/load.ts";
import { ERROR_CODES, TydfsError } from "../wire/errors.ts";
import type { Output } from "./output.ts";
import { printable } from "./output.ts";

/** What each exit status means, for the help. */
export const EXIT_STATUSES: readonly [number, string][] = [
  [0, "done"],
  [1, "failed"],
  [2, "wrong usage"],
  [3, "not found"],
  [4, "exists, or in conflict with something else"],
  [5, "no master, or no answer in time"],
  [6, "no room: all ports busy, too few keepers, no space"],
  [7, "integrity: no good copy, or bytes do not match their sums"],
  [8, "denied"],
  [130, "interrupted"],
];

const USAGE_STATUS = 2;
const FAILED_STATUS = 1;
const LINE_CHARS_MAX = 2_000;

/** The exit status of an error. */
export function exitStatusOf(error: unknown): number {
  if (error instanceof TydfsError) return ERROR_CODES[error.code].exit;
  if (error instanceof ConfigError) return USAGE_STATUS;
  return FAILED_STATUS;
}

/**
 * Tells the user of an error in one line, and returns its exit status. With `debug` causes and
 * stack follow.
 */
export function reportFailure(error: unknown, output: Output, debug: boolean): number {
  output.message(`${output.messagePaint("bad", "tydfs:")} ${oneLine(failureWords(error))}`);
  if (debug && error instanceof Error) {
    output.message(describeError(error));
    output.message(error.stack ?? "");
  }
  return exitStatusOf(error);
}

/** What a person is told of an error. */
export function failureWords(error: unknown): string {
  if (error instanceof TydfsError || error instanceof ConfigError) return error.message;
  if (error instanceof AssertionError) return `Internal error: ${error.message}`;
  const words = error instanceof Error ? error.message : String(error);
  return `Internal error: ${words}; set TYDFS_DEBUG=1 to see where`;
}

/** A message as one line that moves no cursor, and that ends: words of the user's may be long. */
export function oneLine(text: string): string {
  const line = printable(text.trim().replace(/\s*\n\s*/g, " "));
  if (line.length <= LINE_CHARS_MAX) return line;
  return `${line.slice(0, LINE_CHARS_MAX / 2)} … ${line.slice(-LINE_CHARS_MAX / 2)}`;
}
