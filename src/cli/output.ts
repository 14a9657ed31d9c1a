/** The only console: results go to stdout, messages to stderr, and a reader that has gone away ends it quietly. */

export interface Output {
  /** Whether messages go to a terminal: progress is shown only there. */
  readonly messagesOnTerminal: boolean;
  /** Width of that terminal. */
  readonly columns: number;
  /** One line of a result, on stdout. */
  line(text: string): void;
  /** One line of a message, on stderr. */
  message(text: string): void;
  /** Text for the terminal behind stderr, as it is: progress and screens. */
  draw(text: string): void;
  /** Bytes of a result; resolves when they are taken, with false when nobody reads them any more. */
  bytes(bytes: Uint8Array): Promise<boolean>;
  /** Resolves when all results are taken. */
  flush(): Promise<void>;
}

/** The process's own streams. */
export function consoleOutput(): Output {
  const { stdout, stderr } = process;
  let readerGone = false;
  stdout.on("error", (error: Error & { code?: string }) => {
    if (error.code !== "EPIPE") throw error;
    readerGone = true;
  });
  const bytes = (data: Uint8Array) =>
    new Promise<boolean>((resolve, reject) => {
      if (readerGone) return resolve(false);
      stdout.write(data, (error) => {
        if (error === null || error === undefined) return resolve(!readerGone);
        if ((error as { code?: string }).code !== "EPIPE") return reject(error);
        readerGone = true;
        resolve(false);
      });
    });
  return {
    messagesOnTerminal: stderr.isTTY === true,
    columns: stderr.columns ?? 80,
    line: (text) => {
      if (!readerGone) stdout.write(text + "\n");
    },
    message: (text) => void stderr.write(text + "\n"),
    draw: (text) => void stderr.write(text),
    bytes,
    flush: async () => {
      await bytes(new Uint8Array());
    },
  };
}

/** Text from elsewhere (names, above all) with control characters escaped, so that it can't move the cursor. */
export function printable(text: string): string {
  // deno-lint-ignore no-control-regex
  return text.replace(/[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]/g, (character) => {
    const code = character.codePointAt(0) ?? 0;
    return `\\u${code.toString(16).padStart(4, "0")}`;
  });
}
