/** A program on a pseudo-terminal (of Bun's): what it has written, and keys for it. */
import { until } from "./harness.ts";

export class Screen {
  text = "";
  readonly #child: Bun.Subprocess;

  constructor(
    argv: string[],
    { cwd, env }: { cwd: string; env: Record<string, string | undefined> },
  ) {
    this.#child = Bun.spawn(argv, {
      cwd,
      env: { ...process.env, NO_COLOR: "1", TERM: "xterm", ...env },
      terminal: {
        cols: 100,
        rows: 40,
        data: (_terminal, data) => {
          this.text += new TextDecoder().decode(data);
        },
      },
    });
  }

  /** Waits until the text after the last `type` holds this. */
  async shows(words: string): Promise<void> {
    await until(
      `the screen shows ${words}; it has ${JSON.stringify(this.text.slice(-600))}`,
      () => this.#since().includes(words),
      20_000,
    );
  }

  type(keys: string): void {
    this.#from = this.text.length;
    this.#child.terminal?.write(keys);
  }

  async exit(): Promise<number> {
    return await this.#child.exited;
  }

  close(): void {
    this.#child.kill("SIGKILL");
    this.#child.terminal?.close();
  }

  #from = 0;

  #since(): string {
    // What readline draws between letters is of no interest.
    // deno-lint-ignore no-control-regex
    return this.text.slice(this.#from).replace(/\x1b\[[0-9;?]*[A-Za-z]/g, "");
  }
}
