/** Files in danger as people and scripts are told of them, on fixed pages. */
import { expect, test } from "bun:test";
import type { FileAtRisk } from "../../../src/client/operator.ts";
import { formatIfLost, formatRisks, ifLostJson, RiskBook } from "../../../src/cli/format/risk.ts";

const GIB = 2 ** 30;

function file(path: string, danger: FileAtRisk["danger"], more: Partial<FileAtRisk> = {}) {
  const copies = { lost: 0, endangered: 1, short: 2 }[danger];
  const facts = { chunks: 1, chunksTotal: 4, copies, goal: 3, trashed: false };
  return { path, size: GIB, danger, ...facts, ...more };
}

function bookOf(...pages: FileAtRisk[][]): RiskBook {
  const book = new RiskBook();
  for (const files of pages) book.add({ files, chunks: 100 });
  return book;
}

test("RiskBook keeps a file once, in the worst state that a page has told of", () => {
  const book = bookOf(
    [file("/a", "short", { chunks: 2 }), file("/b", "endangered")],
    [file("/a", "lost"), file("/b", "endangered", { chunks: 2 }), file("/b", "short")],
    [file("/a", "lost", { chunks: 2 }), file("/a", "lost", { trashed: true })],
  );
  expect(
    book.list().map(({ path, danger, chunks, copies, trashed }) => {
      return [path, danger, chunks, copies, trashed];
    }),
  ).toEqual([
    ["/a", "lost", 3, 0, false],
    ["/a", "lost", 1, 0, true],
    ["/b", "endangered", 3, 1, false],
  ]);
  expect(book.totals("lost")).toEqual({ files: 1, bytes: GIB });
  expect(book.totals("lost", true)).toEqual({ files: 1, bytes: GIB });
  expect(book.list(["endangered"]).map(({ path }) => path)).toEqual(["/b"]);
});

test("formatRisks names the worst first, ten of them unless all are wanted", () => {
  const many = Array.from({ length: 11 }, (_, n) => file(`/s${n + 10}`, "short"));
  const book = bookOf([file("/z \x1b[2J", "endangered"), file("/y", "lost"), ...many]);
  const lines = formatRisks(book.list(), { all: false });
  expect(lines.slice(0, 3)).toEqual([
    "  lost         0 of 3 copies  1 of 4 chunks  1 GiB  /y",
    "  1 copy left  1 of 3 copies  1 of 4 chunks  1 GiB  /z \\u001b[2J",
    "  short        2 of 3 copies  1 of 4 chunks  1 GiB  /s10",
  ]);
  expect(lines).toHaveLength(11);
  expect(lines.at(-1)).toBe("  … and 3 more: --all shows them");
  expect(formatRisks(book.list(), { all: true })).toHaveLength(13);
});

test("formatIfLost tells sums first, then files; ifLostJson is one value of both", () => {
  const book = bookOf([
    ...[file("/a", "lost"), file("/b", "lost"), file("/c", "short"), file("/e", "endangered")],
    file("/t", "lost", { trashed: true }),
  ]);
  expect(formatIfLost(book, ["k1", "k2"], { all: false })).toEqual([
    "Without k1 and k2:",
    "  2 files, 2 GiB, would be lost: a part has no other copy in reach",
    "  1 file, 1 GiB, would have one copy left",
    "  1 file, 1 GiB, would have fewer copies than they should",
    "  and of the trash 1 version",
    "",
    "  lost         0 of 3 copies  1 of 4 chunks  1 GiB  /a",
    "  lost         0 of 3 copies  1 of 4 chunks  1 GiB  /b",
    "  lost         0 of 3 copies  1 of 4 chunks  1 GiB  /t  (in the trash)",
    "  1 copy left  1 of 3 copies  1 of 4 chunks  1 GiB  /e",
    "  short        2 of 3 copies  1 of 4 chunks  1 GiB  /c",
  ]);
  expect(ifLostJson(book, ["k1", "k2"])).toMatchObject({
    without: ["k1", "k2"],
    lost: { files: 2, bytes: 2 * GIB },
    endangered: { files: 1, bytes: GIB },
    short: { files: 1, bytes: GIB },
    untold: 0,
    files: [{ path: "/a" }, { path: "/b" }, { path: "/t" }, { path: "/e" }, { path: "/c" }],
  });
  expect(formatIfLost(bookOf([]), ["k1"], { all: true })).toEqual([
    "Without k1 every file would keep all its copies",
  ]);
  const onlyTrash = bookOf([file("/t", "lost", { trashed: true })]);
  expect(formatIfLost(onlyTrash, ["k1"], { all: true }).slice(0, 3)).toEqual([
    "Without k1:",
    "  every file would keep all its copies",
    "  and of the trash 1 version",
  ]);
});

test("RiskBook counts what it can't keep", () => {
  const book = new RiskBook();
  for (let page = 0; page < 401; page++) {
    const files = Array.from({ length: 250 }, (_, n) => file(`/${page}/${n}`, "short"));
    book.add({ files, chunks: 250 });
  }
  expect([book.list().length, book.untold]).toEqual([100_000, 250]);
});
