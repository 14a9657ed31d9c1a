/**
 * The one list of error codes: what each means to scripts (exit status), to HTTP, and to retries.
 * A `TydfsError` survives the wire with its code, message and data.
 */
import { AssertionError } from "../base/assert.ts";

export interface ErrorCodeFacts {
  /** The exit status of a command that fails with it (DESIGN.md §9). */
  exit: number;
  /** The HTTP status with which a keeper says it. */
  http: number;
  /**
   * `never`: the same request fails again. `later`: it may pass. `unknown`: it may have been done.
   */
  retry: "never" | "later" | "unknown";
  /** What it means, for the documentation. */
  sentence: string;
}

export const ERROR_CODES = {
  "usage": { exit: 2, http: 400, retry: "never", sentence: "The command line is wrong" },
  "invalid": { exit: 1, http: 400, retry: "never", sentence: "The request is malformed" },
  "not-found": { exit: 3, http: 404, retry: "never", sentence: "There is no such thing" },
  "exists": { exit: 4, http: 409, retry: "never", sentence: "Something else is there already" },
  "conflict": { exit: 4, http: 409, retry: "never", sentence: "Someone else changed it meanwhile" },
  "changed": {
    exit: 4,
    http: 409,
    retry: "never",
    sentence: "The source changed while it was read",
  },
  "is-directory": {
    exit: 4,
    http: 409,
    retry: "never",
    sentence: "A directory is where a file is meant",
  },
  "not-directory": {
    exit: 4,
    http: 409,
    retry: "never",
    sentence: "A file is where a directory is meant",
  },
  "not-empty": { exit: 4, http: 409, retry: "never", sentence: "The directory has entries" },
  "no-master": { exit: 5, http: 503, retry: "later", sentence: "No master answers" },
  "timeout": { exit: 5, http: 504, retry: "unknown", sentence: "There was no answer in time" },
  "busy": { exit: 6, http: 503, retry: "later", sentence: "All ports are busy" },
  "no-keepers": { exit: 6, http: 503, retry: "later", sentence: "Too few keepers are alive" },
  "no-space": { exit: 6, http: 507, retry: "never", sentence: "There is no room left" },
  "corrupt": { exit: 7, http: 422, retry: "never", sentence: "The bytes do not match their sums" },
  "lost": { exit: 7, http: 410, retry: "later", sentence: "No good copy can be reached" },
  "denied": { exit: 8, http: 403, retry: "never", sentence: "The caller may not do this" },
  "expired": { exit: 8, http: 401, retry: "never", sentence: "The ticket has run out" },
  "stale-epoch": { exit: 1, http: 409, retry: "never", sentence: "A newer one has taken over" },
  "limit": { exit: 1, http: 413, retry: "never", sentence: "A limit is exceeded" },
  "local": { exit: 1, http: 500, retry: "never", sentence: "A local file can't be used" },
  "unavailable": { exit: 5, http: 503, retry: "later", sentence: "The peer can't answer now" },
  "interrupted": { exit: 130, http: 499, retry: "never", sentence: "The user stopped it" },
  "internal": { exit: 1, http: 500, retry: "unknown", sentence: "A fault inside tydfs" },
} as const satisfies Record<string, ErrorCodeFacts>;

export type ErrorCode = keyof typeof ERROR_CODES;

/** Facts that go with an error: plain values only, so that they survive the wire. */
export type ErrorData = Record<string, string | number | boolean | string[]>;

export interface TydfsErrorOptions {
  data?: ErrorData;
  cause?: unknown;
}

/** An operating error: expected, typed, and worded for the person who reads it. */
export class TydfsError extends Error {
  override name = "TydfsError";
  readonly code: ErrorCode;
  readonly data: ErrorData;

  constructor(code: ErrorCode, message: string, options: TydfsErrorOptions = {}) {
    super(message, options.cause === undefined ? {} : { cause: options.cause });
    this.code = code;
    this.data = options.data ?? {};
  }
}

/** The part of an error that travels. */
export interface ErrorReply {
  ok: false;
  code: string;
  message: string;
  data?: ErrorData | undefined;
}

/** Puts any error into the form that travels. What is not a `TydfsError` is `internal`. */
export function encodeError(error: unknown): ErrorReply {
  const known = wrapError(error);
  return { ok: false, code: known.code, message: known.message, data: known.data };
}

/**
 * Makes the error that a peer has said. A code that this version does not know becomes `internal`.
 */
export function decodeError(reply: ErrorReply): TydfsError {
  const code = reply.code in ERROR_CODES ? reply.code as ErrorCode : "internal";
  return new TydfsError(code, reply.message, reply.data === undefined ? {} : { data: reply.data });
}

/**
 * A `TydfsError` as it is; anything else wrapped as `internal`. Assertions are never wrapped: they
 * end the process.
 */
export function wrapError(error: unknown): TydfsError {
  if (error instanceof TydfsError) return error;
  if (error instanceof AssertionError) throw error;
  const words = error instanceof Error ? error.message : String(error);
  return new TydfsError("internal", `Internal error: ${words}`, { cause: error });
}

/** Whether `error` carries this code. */
export function hasCode(error: unknown, ...codes: ErrorCode[]): error is TydfsError {
  return error instanceof TydfsError && codes.includes(error.code);
}

/** Whether nobody has answered: the next request would fare no better. */
export function isUnanswered(error: unknown): error is TydfsError {
  return hasCode(error, "no-master", "timeout", "unavailable");
}

/** Whether the same request may succeed later. */
export function mayPass(error: unknown): boolean {
  return error instanceof TydfsError && ERROR_CODES[error.code].retry !== "never";
}
