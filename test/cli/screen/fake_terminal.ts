/** A terminal that keeps the pictures it was shown, and keys that the test presses. */
import type { Key, Terminal, TerminalSize } from "../../../src/cli/screen/terminal.ts";

export class FakeTerminal implements Terminal {
  size: TerminalSize = { columns: 80, rows: 24 };
  readonly pictures: string[][] = [];
  closed = false;
  readonly #onKey: ((key: Key) => void)[] = [];
  readonly #onResize: (() => void)[] = [];

  /** The last picture as one text. */
  get screen(): string {
    return this.pictures.at(-1)?.join("\n") ?? "";
  }

  show(lines: readonly string[]): void {
    this.pictures.push([...lines]);
  }

  onKey(listener: (key: Key) => void): void {
    this.#onKey.push(listener);
  }

  onResize(listener: () => void): void {
    this.#onResize.push(listener);
  }

  press(key: Key): void {
    for (const listener of this.#onKey) listener(key);
  }

  resize(columns: number, rows: number): void {
    this.size = { columns, rows };
    for (const listener of this.#onResize) listener();
  }

  close(): void {
    this.closed = true;
  }
}
