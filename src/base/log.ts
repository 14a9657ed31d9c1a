/**
 * The log: one line per event on stderr, whatever is in it; readable on a terminal, in local time,
 * and else one JSON object with time, level, name, message and fields. Not for users' output.
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

/** Names are padded to this many characters, so that messages stand below each other. */
const NAME_CHARS = 17;

/** A logger with a name, which is that of a role; `child` narrows it. */
export class Log {
  readonly #options: LogOptions;
  readonly #name: string;

  constructor(name: string, options: LogOptions) {
    this.#name = name;
    this.#options = options;
  }

  /** Whether lines are read by programs. */
  get isJson(): boolean {
    return this.#options.format === "json";
  }

  /** A logger of the same output for a part of this role, named `role/part`. */
  child(part: string): Log {
    return new Log(`${this.#name}/${part}`, this.#options);
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
    const nowMs = this.#options.nowMs();
    const known = plain(fields);
    if (this.#options.format === "json") {
      const time = new Date(nowMs).toISOString();
      // Fields have a place of their own: one that is called "name" or "time" hides nothing.
      const line = { time, level, name: this.#name, message, fields: known };
      return this.#options.write(toJson(line));
    }
    const facts = Object.entries(known).map(([key, value]) =>
      ` ${key}=${typeof value === "string" ? quoted(value) : toJson(value)}`
    );
    const tag = level.toUpperCase().padEnd(5);
    const name = this.#name.padEnd(NAME_CHARS);
    this.#options.write(
      `${localTime(nowMs)} ${tag} ${name} ${oneLine(message)}${facts.join("")}`,
    );
  }
}

/** A logger that writes to stderr. */
export function stderrLog(name: string, options: Pick<LogOptions, "level" | "format">): Log {
  return new Log(name, {
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

/** JSON of anything: a line must come out whatever it is to tell. */
function toJson(value: unknown): string {
  try {
    return JSON.stringify(value, (_key, part: unknown) => {
      if (typeof part === "bigint") return String(part);
      return part instanceof Error ? describeError(part) : part;
    }) ?? "null";
  } catch {
    // It holds itself, or throws when it is looked at.
    return typeof value === "object" && value !== null
      ? toJson(Object.fromEntries(Object.entries(value).map(([key, part]) => [key, flat(part)])))
      : JSON.stringify(String(value));
  }
}

function flat(value: unknown): unknown {
  try {
    return JSON.stringify(value) === undefined ? String(value) : value;
  } catch {
    return Bun.inspect(value, { depth: 1 });
  }
}

/** `2026-05-01 12:30:05.120`, where the reader is. */
function localTime(ms: number): string {
  const date = new Date(ms);
  const two = (value: number) => String(value).padStart(2, "0");
  const day = `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`;
  const time = [date.getHours(), date.getMinutes(), date.getSeconds()].map(two).join(":");
  return `${day} ${time}.${String(date.getMilliseconds()).padStart(3, "0")}`;
}

/** What others say may hold line feeds and worse. */
function oneLine(text: string): string {
  // deno-lint-ignore no-control-regex
  return text.replace(/[\x00-\x1f\x7f-\x9f]/g, (character) => {
    if (character === "\n") return " ";
    return `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`;
  });
}
