/**
 * The log: one line per event on stderr, readable on a terminal, JSON otherwise. Not for users'
 * output.
 */

import { systemClock } from "./clock.ts";

export type LogLevel = "debug" | "info" | "warn" | "error";
export type LogFormat = "text" | "json";

/** Where something happened, and the facts that go with it. */
export type LogFields = Record<string, unknown>;

const RANK: Record<LogLevel, number> = { debug: 0, info: 1, warn: 2, error: 3 };

export interface LogOptions {
  level: LogLevel;
  format: LogFormat;
  /** Wall time in ms. */
  nowMs: () => number;
  /** Takes one whole line, without its line feed. */
  write: (line: string) => void;
}

/** A logger that knows its role; `child` narrows it. */
export class Log {
  readonly #options: LogOptions;
  readonly #role: string;

  constructor(role: string, options: LogOptions) {
    this.#role = role;
    this.#options = options;
  }

  /** A logger of the same output for a part of this role, named `role/part`. */
  child(part: string): Log {
    return new Log(`${this.#role}/${part}`, this.#options);
  }

  debug(message: string, fields: LogFields = {}): void {
    this.#line("debug", message, fields);
  }

  info(message: string, fields: LogFields = {}): void {
    this.#line("info", message, fields);
  }

  warn(message: string, fields: LogFields = {}): void {
    this.#line("warn", message, fields);
  }

  error(message: string, fields: LogFields = {}): void {
    this.#line("error", message, fields);
  }

  #line(level: LogLevel, message: string, fields: LogFields): void {
    if (RANK[level] < RANK[this.#options.level]) return;
    const time = new Date(this.#options.nowMs()).toISOString();
    if (this.#options.format === "json") {
      const line = { time, level, role: this.#role, message, ...plain(fields) };
      return this.#options.write(JSON.stringify(line));
    }
    const facts = Object.entries(plain(fields)).map(([key, value]) =>
      ` ${key}=${typeof value === "string" ? quoted(value) : JSON.stringify(value)}`
    );
    const tag = level.toUpperCase().padEnd(5);
    this.#options.write(`${time} ${tag} ${this.#role}: ${message}${facts.join("")}`);
  }
}

/** A logger that writes to stderr. */
export function stderrLog(role: string, options: Pick<LogOptions, "level" | "format">): Log {
  return new Log(role, {
    ...options,
    nowMs: () => systemClock.wallMs(),
    write: (line) => process.stderr.write(line + "\n"),
  });
}

/** A logger that says nothing; for tests. */
export const silentLog: Log = new Log("silent", {
  level: "error",
  format: "text",
  nowMs: () => 0,
  write: () => {},
});

/** What a log line shows of any error: its own words, with the causes behind it. */
export function describeError(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const own = error.message === "" ? error.name : error.message;
  return error.cause === undefined ? own : `${own} (${describeError(error.cause)})`;
}

function quoted(text: string): string {
  return /^[\w./:@-]+$/.test(text) ? text : JSON.stringify(text);
}

function plain(fields: LogFields): LogFields {
  return Object.fromEntries(
    Object.entries(fields)
      .filter(([, value]) => value !== undefined)
      .map(([key, value]) => [key, value instanceof Error ? describeError(value) : value]),
  );
}
