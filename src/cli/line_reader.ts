/**
 * Asks on the terminal for one line at a time, with editing, history and completion
 * (node:readline). Between two lines the terminal is as it was: a command that runs has Ctrl-C and
 * the keyboard.
 */
import { createInterface } from "node:readline";
import { Writable } from "node:stream";
import { isatty } from "node:tty";

/** What came of asking. */
export type LineRead =
  | { kind: "line"; text: string }
  /** Ctrl-C: the line is given up. */
  | { kind: "interrupted" }
  /** Ctrl-D, or the terminal is gone. */
  | { kind: "end" };

/**
 * What can stand in place of the end of a line: `hits` begin like the last `tail.length` letters.
 */
export interface Completions {
  hits: string[];
  tail: string;
}

export interface ReadLineOptions {
  prompt: string;
  /** Lines that can be fetched back, the newest first. */
  history?: readonly string[];
  /** Called with the line up to the cursor when Tab is pressed; must not throw. */
  complete?: (line: string) => Promise<Completions>;
  /** Nothing that is typed is shown. */
  hidden?: boolean;
}

/** Whether somebody sits there who can be asked. */
export function canAsk(): boolean {
  return isatty(0) && isatty(2);
}

/** Shows the prompt on stderr and reads one line of the terminal. */
export function readLine(options: ReadLineOptions): Promise<LineRead> {
  const { prompt, history = [], complete, hidden = false } = options;
  return new Promise((resolve) => {
    let read: LineRead = { kind: "end" };
    let closed = false;
    const { stderr } = process;
    if (hidden) stderr.write(prompt);
    const reader = createInterface({
      input: process.stdin,
      output: hidden ? silence() : stderr,
      terminal: true,
      prompt: hidden ? "" : prompt,
      history: [...history],
      historySize: Math.max(history.length, 1),
      ...(complete === undefined ? {} : { completer: completerOf(complete, () => closed) }),
    });
    const end = (outcome: LineRead) => {
      read = outcome;
      reader.close();
    };
    reader.on("SIGINT", () => {
      stderr.write("^C\n");
      end({ kind: "interrupted" });
    });
    reader.on("line", (text) => {
      if (hidden) stderr.write("\n");
      end({ kind: "line", text });
    });
    reader.on("close", () => {
      closed = true;
      if (read.kind === "end") stderr.write("\n");
      resolve(read);
    });
    reader.prompt();
  });
}

type Completer = (
  line: string,
  answer: (error: null, result: [string[], string]) => void,
) => void;

function completerOf(
  complete: (line: string) => Promise<Completions>,
  isClosed: () => boolean,
): Completer {
  return (line, answer) => {
    complete(line).then(({ hits, tail }) => {
      // A line that was pasted may have been ended before its Tab was answered.
      if (!isClosed()) answer(null, [hits, tail]);
    });
  };
}

/** Takes the echo of what is typed. */
function silence(): Writable {
  return new Writable({ write: (_chunk, _encoding, done) => done() });
}
