/**
 * Prints entries as `ls` and `find` do: in aligned groups, or as one JSON array over all that is
 * printed.
 */
import type { Entry } from "../../client/client.ts";
import type { EntriesFormat } from "../format/format.ts";
import { entryJson, formatEntries } from "../format/format.ts";
import type { Output } from "../output.ts";

/** Lines of a long list are aligned in groups of this many, so that the first appear at once. */
const GROUP_MAX = 1000;

export class EntryPrinter {
  readonly #output: Output;
  readonly #json: boolean;
  #format: EntriesFormat;
  #group: Entry[] = [];
  #printed = 0;

  constructor(output: Output, format: EntriesFormat & { json: boolean }) {
    this.#output = output;
    this.#json = format.json;
    this.#format = format;
  }

  /** Prints what is gathered, then a title, and from now on names relative to `directory`. */
  begin(directory: string | undefined, title?: string): void {
    this.#flush();
    this.#format = { ...this.#format, directory };
    if (title !== undefined && !this.#json) this.#output.line(title);
  }

  add(entry: Entry): void {
    this.#group.push(entry);
    if (this.#group.length >= GROUP_MAX) this.#flush();
  }

  /** Prints the rest, and ends the array. */
  end(): void {
    this.#flush();
    if (this.#json) this.#output.line(this.#printed === 0 ? "[]" : "]");
  }

  #flush(): void {
    const lines = this.#json
      ? this.#group.map((entry) => JSON.stringify(entryJson(entry)))
      : formatEntries(this.#group, this.#format);
    for (const line of lines) {
      this.#output.line(this.#json ? `${this.#printed === 0 ? "[" : ","}${line}` : line);
      this.#printed++;
    }
    this.#group = [];
  }
}
