/**
 * The terminal as a whole: a second screen in place of the lines, keys as they are pressed, its
 * size. What was there before comes back however the process ends.
 */
import { throwUncaught } from "../../base/assert.ts";

/**
 * Keys by name (`up`, `down`, `page-up`, `page-down`, `home`, `end`, `quit`) where they have one;
 * else the character that the terminal sent.
 */
export type Key = string;

export interface TerminalSize {
  columns: number;
  rows: number;
}

/** A terminal on which pictures can be shown; `FakeTerminal` of the tests is another. */
export interface Terminal {
  readonly size: TerminalSize;
  /** Shows a picture: one line each, as wide and as many as fit. */
  show(lines: readonly string[]): void;
  /** Hears each key, and each change of size. */
  onKey(listener: (key: Key) => void): void;
  onResize(listener: () => void): void;
  /** Puts everything back; safe to call again. */
  close(): void;
}

const ENTER = "\x1b[?1049h\x1b[?25l\x1b[?7l";
const LEAVE = "\x1b[?7h\x1b[?25h\x1b[?1049l";
const HOME = "\x1b[H";
const CLEAR_LINE = "\x1b[K";
const CLEAR_BELOW = "\x1b[J";
const SIZE_DEFAULT: TerminalSize = { columns: 80, rows: 24 };

const KEYS: Record<string, Key> = {
  "\x1b[A": "up",
  "\x1bOA": "up",
  "\x1b[B": "down",
  "\x1bOB": "down",
  "\x1b[5~": "page-up",
  "\x1b[6~": "page-down",
  "\x1b[H": "home",
  "\x1bOH": "home",
  "\x1b[1~": "home",
  "\x1b[F": "end",
  "\x1bOF": "end",
  "\x1b[4~": "end",
  // In raw mode Ctrl-C, Ctrl-D and Ctrl-\ are keys like others.
  "\x03": "quit",
  "\x04": "quit",
  "\x1c": "quit",
  "q": "quit",
  "Q": "quit",
};
const SUSPEND_KEY = "\x1a";
/** Signals that end the process without a word, and their numbers. */
const DEADLY: readonly [NodeJS.Signals, number][] = [["SIGHUP", 1], ["SIGQUIT", 3]];

/** Whether both results and keys have a terminal. */
export function isOnTerminal(): boolean {
  return process.stdout.isTTY === true && process.stdin.isTTY === true;
}

/** Takes the process's terminal over. There must be one: see `isOnTerminal`. */
export function openTerminal(): Terminal {
  return new SystemTerminal();
}

/** Parts what the terminal sent into keys: several may come at once. */
export function parseKeys(text: string): Key[] {
  // deno-lint-ignore no-control-regex
  const tokens = text.match(/\x1b(?:\[[0-9;]*[A-Za-z~]|O[A-Za-z])|[\s\S]/gu) ?? [];
  return tokens.map((token) => KEYS[token] ?? token);
}

class SystemTerminal implements Terminal {
  readonly #out = process.stdout;
  readonly #in = process.stdin;
  readonly #onKey: ((key: Key) => void)[] = [];
  readonly #onResize: (() => void)[] = [];
  readonly #deadly = DEADLY.map(([signal, number]) => {
    return { signal, die: () => process.exit(128 + number) };
  });
  #open = false;

  constructor() {
    // Whatever ends the process passes here, also an error that nobody caught; only SIGKILL does
    // not.
    process.on("exit", this.#leave);
    process.on("uncaughtException", this.#crashed).on("unhandledRejection", this.#crashed);
    process.on("SIGWINCH", this.#resized);
    process.on("SIGCONT", this.#continued);
    for (const { signal, die } of this.#deadly) process.on(signal, die);
    this.#in.on("data", this.#typed);
    this.#enter();
  }

  get size(): TerminalSize {
    const { columns, rows } = this.#out;
    return { columns: columns || SIZE_DEFAULT.columns, rows: rows || SIZE_DEFAULT.rows };
  }

  show(lines: readonly string[]): void {
    if (!this.#open) return;
    const { rows } = this.size;
    // Cleared before it is written: after the last column, clearing would take that one away.
    const picture = lines.slice(0, rows).map((line) => CLEAR_LINE + line).join("\r\n");
    this.#out.write(HOME + picture + (lines.length < rows ? `\r\n${CLEAR_BELOW}` : ""));
  }

  onKey(listener: (key: Key) => void): void {
    this.#onKey.push(listener);
  }

  onResize(listener: () => void): void {
    this.#onResize.push(listener);
  }

  close(): void {
    process.off("exit", this.#leave);
    process.off("uncaughtException", this.#crashed).off("unhandledRejection", this.#crashed);
    process.off("SIGWINCH", this.#resized);
    process.off("SIGCONT", this.#continued);
    for (const { signal, die } of this.#deadly) process.off(signal, die);
    this.#in.off("data", this.#typed);
    this.#leave();
    this.#in.pause();
  }

  #enter(): void {
    this.#open = true;
    this.#in.setRawMode(true);
    this.#in.resume();
    this.#out.write(ENTER);
  }

  readonly #leave = (): void => {
    if (!this.#open) return;
    this.#open = false;
    this.#out.write(LEAVE);
    this.#in.setRawMode(false);
  };

  /** What is said of a crash is to be seen, not to go with the second screen. */
  readonly #crashed = (error: unknown): void => {
    this.close();
    throwUncaught(error);
  };

  readonly #typed = (bytes: Uint8Array): void => {
    for (const key of parseKeys(new TextDecoder().decode(bytes))) {
      if (key === SUSPEND_KEY) {
        this.#leave();
        process.kill(process.pid, "SIGSTOP");
      } else {
        for (const listener of this.#onKey) listener(key);
      }
    }
  };

  /** The shell has brought the process back to the foreground. */
  readonly #continued = (): void => {
    if (this.#open) return;
    this.#enter();
    this.#resized();
  };

  readonly #resized = (): void => {
    for (const listener of this.#onResize) listener();
  };
}
