/** Files in danger: gathered from pages, summed up, and told in plain words. Pure. */
import { formatSize } from "../../base/bytes.ts";
import type { FileAtRisk, RiskPage } from "../../client/operator.ts";
import { printable } from "../output.ts";
import { alignColumns, formatCount } from "./format.ts";
import { nameKeepers } from "./health.ts";

/** Files that are kept in memory; beyond that they are counted only, and maybe twice. */
const FILES_MAX = 100_000;
/** Files that are named unless all are asked for. */
export const NAMED_FILES = 10;

/** The worst first. */
const DANGERS = ["lost", "endangered", "short"] as const;
type Danger = (typeof DANGERS)[number];

export interface RiskTotals {
  files: number;
  bytes: number;
}

/** What pages have told so far, each file once. */
export class RiskBook {
  readonly #files = new Map<string, FileAtRisk>();
  #untold = 0;

  add({ files }: RiskPage): void {
    for (const file of files) {
      // A version in the trash is another file than the one that has its path now.
      const key = `${file.trashed ? "t" : "f"}${file.path}`;
      const known = this.#files.get(key);
      if (known !== undefined) this.#files.set(key, merge(known, file));
      else if (this.#files.size < FILES_MAX) this.#files.set(key, file);
      else this.#untold++;
    }
  }

  /** Files that were too many to be kept. */
  get untold(): number {
    return this.#untold;
  }

  /** Files of these dangers, the worst first, then in the order of their paths. */
  list(dangers: readonly Danger[] = DANGERS): FileAtRisk[] {
    const rank = ({ danger }: FileAtRisk) => DANGERS.indexOf(danger);
    return [...this.#files.values()].filter(({ danger }) => dangers.includes(danger))
      .sort((a, b) => rank(a) - rank(b) || (a.path < b.path ? -1 : a.path > b.path ? 1 : 0));
  }

  /** Files and bytes of a danger; what lies in the trash counts by itself. */
  totals(danger: Danger, trashed = false): RiskTotals {
    const files = this.list([danger]).filter((file) => file.trashed === trashed);
    return { files: files.length, bytes: files.reduce((sum, { size }) => sum + size, 0) };
  }
}

/** The lines of files, aligned; `all` of them, or the first ten. */
export function formatRisks(files: readonly FileAtRisk[], { all }: { all: boolean }): string[] {
  const shown = all ? files : files.slice(0, NAMED_FILES);
  const rows = shown.map(({ path, size, danger, chunks, chunksTotal, copies, goal, trashed }) => [
    `  ${danger === "lost" ? "lost" : danger === "endangered" ? "1 copy left" : "short"}`,
    `${copies} of ${goal} copies`,
    `${chunks} of ${formatCount(chunksTotal, "chunk")}`,
    formatSize(size),
    printable(path) + (trashed ? "  (in the trash)" : ""),
  ]);
  const left = files.length - shown.length;
  const rest = left > 0 ? [`  … and ${left} more: --all shows them`] : [];
  return [...alignColumns(rows, [3]), ...rest];
}

/** What `status --if-lost` prints: the sums first, then the files. */
export function formatIfLost(
  book: RiskBook,
  without: readonly string[],
  { all }: { all: boolean },
): string[] {
  const words: Readonly<Record<Danger, string>> = {
    lost: "would be lost: a part has no other copy in reach",
    endangered: "would have one copy left",
    short: "would have fewer copies than they should",
  };
  const sums = DANGERS.flatMap((danger) => {
    const { files, bytes } = book.totals(danger);
    if (files === 0) return [];
    return [`  ${formatCount(files, "file")}, ${formatSize(bytes)}, ${words[danger]}`];
  });
  const trashed = DANGERS.reduce((sum, danger) => sum + book.totals(danger, true).files, 0);
  const names = nameKeepers(without.map((name) => ({ name })));
  const files = book.list();
  if (files.length === 0) return [`Without ${names} every file would keep all its copies`];
  return [
    `Without ${names}:`,
    ...sums,
    ...(sums.length === 0 ? ["  every file would keep all its copies"] : []),
    ...(trashed > 0 ? [`  and of the trash ${formatCount(trashed, "version")}`] : []),
    ...(book.untold > 0 ? [`  and ${book.untold} more that were not looked at singly`] : []),
    "",
    ...formatRisks(files, { all }),
  ];
}

/** What `status --if-lost --json` prints. */
export function ifLostJson(book: RiskBook, without: readonly string[]): Record<string, unknown> {
  const [lost, endangered, short] = DANGERS.map((danger) => book.totals(danger));
  return { without, lost, endangered, short, untold: book.untold, files: book.list() };
}

/** One file as two pages tell of it: chunks in the worse state count. */
function merge(left: FileAtRisk, right: FileAtRisk): FileAtRisk {
  const [worse, better] = DANGERS.indexOf(left.danger) <= DANGERS.indexOf(right.danger)
    ? [left, right]
    : [right, left];
  const same = worse.danger === better.danger;
  return {
    ...worse,
    chunks: worse.chunks + (same ? better.chunks : 0),
    copies: Math.min(left.copies, right.copies),
  };
}
