/** A console that keeps what is written to it. */
import { plain } from "../../src/cli/color.ts";
import type { Output } from "../../src/cli/output.ts";

export class FakeOutput implements Output {
  readonly columns = 100;
  readonly rows = 40;
  /** What the board has shown, the latest last. */
  readonly boards: (readonly string[])[] = [];
  readonly resultsOnTerminal = false;
  paint = plain;
  messagePaint = plain;
  readonly lines: string[] = [];
  readonly messages: string[] = [];
  drawn = "";
  readonly messagesOnTerminal: boolean;

  constructor(messagesOnTerminal = false) {
    this.messagesOnTerminal = messagesOnTerminal;
  }

  line(text: string): void {
    this.lines.push(text);
  }

  message(text: string): void {
    this.messages.push(text);
  }

  draw(text: string): void {
    this.drawn += text;
  }

  board(lines: readonly string[]): void {
    this.boards.push(lines);
  }

  bytes(): Promise<boolean> {
    return Promise.resolve(true);
  }

  flush(): Promise<void> {
    return Promise.resolve();
  }
}
