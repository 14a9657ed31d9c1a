/** What lies in the trash as people read it, and as `--json` prints it. */
import { formatSize } from "../../base/bytes.ts";
import type { TrashEntry } from "../../client/operator.ts";
import type { Output } from "../output.ts";
import { printable } from "../output.ts";
import { alignColumns, formatMoment } from "./format.ts";

/** Lines of a long list are aligned in groups of this many, so that the first appear at once. */
const GROUP_MAX = 1000;
const HEADINGS = ["REMOVED", "GOES", "SIZE", "VERSION", "WHY", "OWNER", "PATH"];

/** Prints entries in aligned groups, or as one JSON array. */
export class TrashPrinter {
  readonly #output: Output;
  readonly #json: boolean;
  readonly #long: boolean;
  #group: TrashEntry[] = [];
  #printed = 0;

  constructor(output: Output, { json, long }: { json: boolean; long: boolean }) {
    this.#output = output;
    this.#json = json;
    this.#long = long;
  }

  add(entry: TrashEntry): void {
    this.#group.push(entry);
    if (this.#group.length >= GROUP_MAX) this.#flush();
  }

  /** Prints the rest, and ends the array. Returns how many entries there were. */
  end(): number {
    this.#flush();
    if (this.#json) this.#output.line(this.#printed === 0 ? "[]" : "]");
    return this.#printed;
  }

  #flush(): void {
    const first = this.#printed === 0;
    this.#printed += this.#group.length;
    const lines = this.#json
      ? this.#group.map((entry, index) =>
        `${first && index === 0 ? "[" : ","}${JSON.stringify(entry)}`
      )
      : formatTrash(this.#group, { long: this.#long, heading: first });
    for (const line of lines) this.#output.line(line);
    this.#group = [];
  }
}

/** Lines of a list, aligned among themselves; the heading is of a long one. */
export function formatTrash(
  entries: readonly TrashEntry[],
  { long, heading }: { long: boolean; heading: boolean },
): string[] {
  if (entries.length === 0) return [];
  if (!long) {
    const rows = entries.map(({ path, size, removedMs, replaced, version }) => {
      const why = replaced ? `  (replaced; version ${version})` : "";
      return [formatMoment(removedMs), formatSize(size), printable(path) + why];
    });
    return alignColumns(rows, [1]);
  }
  const rows = entries.map((entry) => [
    formatMoment(entry.removedMs),
    formatMoment(entry.purgeMs),
    formatSize(entry.size),
    String(entry.version),
    entry.replaced ? "replaced" : "removed",
    printable(entry.owner === "" ? "-" : entry.owner),
    printable(entry.path),
  ]);
  return alignColumns(heading ? [HEADINGS, ...rows] : rows, [2, 3]);
}
