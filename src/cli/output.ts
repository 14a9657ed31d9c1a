/**
 * The only console: results go to stdout, messages to stderr, and a reader that has gone away ends
 * it quietly.
 */
import { TydfsError } from "../wire/errors.ts";
import { Board } from "./board.ts";
import type { ColorChoice, Paint } from "./color.ts";
import { choosePaint } from "./color.ts";

export interface Output {
  /** Whether results go to a terminal. */
  readonly resultsOnTerminal: boolean;
  /** Colours results, where that is wanted. */
  readonly paint: Paint;
  /** Colours messages, where that is wanted. */
  readonly messagePaint: Paint;
  /** Whether messages go to a terminal: progress is shown only there. */
  readonly messagesOnTerminal: boolean;
  /** Width and height of that terminal, as they are now. */
  readonly columns: number;
  readonly rows: number;
  /** One line of a result, on stdout. */
  line(text: string): void;
  /** One line of a message, on stderr. */
  message(text: string): void;
  /** Text for the terminal behind stderr, as it is: progress and screens. */
  draw(text: string): void;
  /**
   * Lines at the bottom of that terminal, in place of those before; none takes them away. Other
   * output goes above them.
   */
  board(lines: readonly string[]): void;
  /**
   * Bytes of a result; resolves when they are taken, with false when nobody reads them any more.
   */
  bytes(bytes: Uint8Array): Promise<boolean>;
  /** Resolves when all results are taken. */
  flush(): Promise<void>;
}

/** Lines are gathered until there are this many characters, or the event loop turns. */
const GATHER_CHARS = 64 * 1024;

/** The process's own streams. */
export function consoleOutput(
  color: ColorChoice = "auto",
  env: Record<string, string | undefined> = {},
): Output {
  const { stderr, stdout } = process;
  const columns = () => stderr.columns ?? 80;
  const board = new Board((text) => void stderr.write(text), columns);
  const resultsOnTerminal = stdout.isTTY === true;
  const messagesOnTerminal = stderr.isTTY === true;
  const results = new Results(stdout, resultsOnTerminal ? board : undefined);
  return {
    resultsOnTerminal,
    messagesOnTerminal,
    paint: choosePaint(color, { terminal: resultsOnTerminal, env }),
    messagePaint: choosePaint(color, { terminal: messagesOnTerminal, env }),
    get columns() {
      return columns();
    },
    get rows() {
      return stderr.rows ?? 24;
    },
    line: (text) => results.line(text),
    message: (text) => {
      board.above(() => void stderr.write(text + "\n"));
      board.restore();
    },
    draw: (text) => void stderr.write(text),
    board: (lines) => board.show(lines),
    bytes: (bytes) => results.write(bytes),
    flush: () => results.flush(),
  };
}

/** The same output with colours as `color` says; the streams stay what they are. */
export function recolored(
  output: Output,
  color: ColorChoice,
  env: Record<string, string | undefined>,
): Output {
  const paints = {
    paint: { value: choosePaint(color, { terminal: output.resultsOnTerminal, env }) },
    messagePaint: { value: choosePaint(color, { terminal: output.messagesOnTerminal, env }) },
  };
  return Object.create(output, paints) as Output;
}

/**
 * Standard output: in order, never cut off by the end of the process, quiet when its reader is
 * gone.
 */
class Results {
  readonly #stream: NodeJS.WriteStream;
  /** What stays at the bottom of the same terminal. */
  readonly #board: Board | undefined;
  #gathered = "";
  #lastWrite: Promise<boolean> = Promise.resolve(true);
  #readerGone = false;
  /** Why lines could not be written; `flush` tells it, once. */
  #untold: Error | undefined;

  constructor(stream: NodeJS.WriteStream, board: Board | undefined) {
    this.#stream = stream;
    this.#board = board;
    // Each write hears of its failure itself; without a listener it would be thrown as well.
    stream.on("error", () => {});
  }

  line(text: string): void {
    if (this.#gathered === "") setImmediate(() => this.#writeGathered());
    this.#gathered += text + "\n";
    if (this.#gathered.length >= GATHER_CHARS) this.#writeGathered();
  }

  /**
   * Resolves when the bytes are taken, with false when nobody reads them any more. A failure is
   * told here, and not once more by `flush`.
   */
  write(bytes: Uint8Array): Promise<boolean> {
    this.#writeGathered();
    const sent = this.#send(bytes);
    this.#lastWrite = sent.catch(() => false);
    return sent;
  }

  async flush(): Promise<void> {
    this.#writeGathered();
    await this.#lastWrite;
    const untold = this.#untold;
    this.#untold = undefined;
    if (untold !== undefined) throw untold;
  }

  #writeGathered(): void {
    if (this.#gathered === "") return;
    this.#lastWrite = this.#send(this.#gathered).catch((error) => {
      this.#untold ??= error;
      return false;
    });
    this.#gathered = "";
  }

  #send(data: Uint8Array | string): Promise<boolean> {
    return new Promise((resolve, reject) => {
      if (this.#readerGone) return resolve(false);
      const taken = (error?: Error | null) => {
        this.#board?.restore();
        if (error === null || error === undefined) return resolve(true);
        const { code, message } = error as Error & { code?: string };
        // What follows would fail in the same way: it is said once.
        this.#readerGone = true;
        if (code === "EPIPE") return resolve(false);
        const reason = code === "ENOSPC" ? "no space is left on the device" : message;
        reject(new TydfsError("local", `Cannot write to standard output: ${reason}`));
      };
      const write = () => void this.#stream.write(data, taken);
      if (this.#board === undefined) write();
      else this.#board.above(write);
    });
  }
}

/**
 * Text from elsewhere (names, above all) with control characters escaped, so that it can't move the
 * cursor.
 */
export function printable(text: string): string {
  // deno-lint-ignore no-control-regex
  return text.replace(/[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]/g, (character) => {
    const code = character.codePointAt(0) ?? 0;
    return `\\u${code.toString(16).padStart(4, "0")}`;
  });
}
