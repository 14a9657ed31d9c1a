/**
 * Lines that stay at the bottom of a terminal while other output goes above them. It remembers what
 * it has drawn, so that it can take that away again, also after the window was resized.
 */

export class Board {
  readonly #write: (text: string) => void;
  readonly #columns: () => number;
  #lines: readonly string[] = [];
  #drawn: readonly string[] = [];

  constructor(write: (text: string) => void, columns: () => number) {
    this.#write = write;
    this.#columns = columns;
  }

  /** Shows these lines in place of those before; none takes them away. */
  show(lines: readonly string[]): void {
    this.#lines = lines;
    this.#write(this.#erasing() + lines.join("\n"));
    this.#drawn = lines;
  }

  /** Takes the lines away for something else that is about to be written, and back after it. */
  above(write: () => void): void {
    if (this.#drawn.length > 0) {
      this.#write(this.#erasing());
      this.#drawn = [];
    }
    write();
  }

  /** Shows the lines again. */
  restore(): void {
    if (this.#drawn.length === 0 && this.#lines.length > 0) this.show(this.#lines);
  }

  #erasing(): string {
    if (this.#drawn.length === 0) return "";
    const columns = Math.max(1, this.#columns());
    // A window that has become narrower has broken lines in two.
    const rows = this.#drawn.reduce((total, line) => {
      return total + Math.max(1, Math.ceil(Bun.stringWidth(line) / columns));
    }, 0);
    return `\r${rows > 1 ? `\x1b[${rows - 1}A` : ""}\x1b[J`;
  }
}
