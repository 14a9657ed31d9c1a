/** What fsck tells of pages, and how it ends. */
import { expect, test } from "bun:test";
import { FsckReport } from "../../src/cli/fsck.ts";
import type { FileAtRisk, FsckPage } from "../../src/client/operator.ts";
import { FakeOutput } from "./fake_output.ts";

const CHUNK = "ab".repeat(16);

function risk(more: Partial<FileAtRisk>): FileAtRisk {
  return {
    ...{ path: "/f", size: 10, danger: "lost", chunks: 1, chunksTotal: 1 },
    ...{ copies: 0, goal: 3, trashed: false },
    ...more,
  };
}

function told(pages: Partial<FsckPage>[], { all = false, json = false } = {}) {
  const output = new FakeOutput();
  const report = new FsckReport({ output, json, quiet: true }, all);
  for (const page of pages) {
    report.take({ findings: [], files: [], chunks: 5, chunksTotal: 9, ...page });
  }
  return { status: report.end(), lines: output.lines };
}

const missing = { kind: "missing", chunk: CHUNK, keeper: "k1", detail: "gone" } as const;

test("FsckReport of a sound cluster is one line and status 0", () => {
  expect(told([{}, {}])).toEqual({
    status: 0,
    lines: ["Checked the catalog and 10 chunks: every copy on record is there"],
  });
});

test("FsckReport tells findings, and ends with 1 unless they were mended", () => {
  const { status, lines } = told([{ findings: [{ ...missing, repaired: false }] }]);
  expect(status).toBe(1);
  expect(lines).toEqual([
    `missing     chunk ${CHUNK} on k1: gone`,
    "Checked the catalog and 5 chunks: 1 copy is missing",
  ]);
  const mended = told([{ findings: [{ ...missing, repaired: true }] }]);
  expect(mended.status).toBe(0);
  expect(mended.lines.at(-1)).toStartWith("1 record corrected");
});

test("FsckReport tells a file once, and ends with 7 when one is lost", () => {
  const { status, lines } = told([
    { files: [risk({}), risk({ path: "/g", danger: "endangered", copies: 1, chunksTotal: 4 })] },
    { files: [risk({}), risk({ path: "/s", danger: "short", copies: 2 })] },
  ]);
  expect(status).toBe(7);
  expect(lines).toEqual([
    'lost        "/f" · 10 B · no good copy',
    'endangered  "/g" · 10 B · 1 of 3 copies of 1 of its 4 chunks',
    "Checked the catalog and 10 chunks: every copy on record is there",
    "1 file is lost, 1 file has one copy left, 1 file has fewer copies than it should",
  ]);
});

test("FsckReport leaves out what is no damage, unless all is asked for", () => {
  const page: Partial<FsckPage> = {
    findings: [{ kind: "orphan", chunk: CHUNK, detail: "x", copies: 2, repaired: false }],
    files: [risk({ trashed: true }), risk({ path: "/s", danger: "short", copies: 2 })],
  };
  expect(told([page]).status).toBe(0);
  expect(told([page]).lines).toHaveLength(3);
  expect(told([page], { all: true }).lines.slice(0, 3)).toEqual([
    `orphan      chunk ${CHUNK}: x (2 copies)`,
    'lost        "/f" · 10 B · no good copy, in the trash',
    'short       "/s" · 10 B · 2 of 3 copies',
  ]);
});

test("FsckReport names a keeper that could not be asked once, with all its copies", () => {
  const silent = { kind: "unreachable", keeper: "k2", detail: "it is away" } as const;
  const page = { findings: [{ ...silent, copies: 3, repaired: false }] };
  const { status, lines } = told([page, page]);
  expect(status).toBe(1);
  expect(lines[0]).toBe("unreachable on k2: it could not be asked (6 copies)");
  expect(lines[1]).toEndWith("6 copies could not be looked at");
});

test("FsckReport prints one JSON value, its summary last", () => {
  const page = { findings: [{ ...missing, repaired: false }], files: [risk({})] };
  const { lines } = told([page], { json: true });
  const items = JSON.parse(lines.join("\n")) as { what: string }[];
  expect(items.map(({ what }) => what)).toEqual(["missing", "lost", "summary"]);
  expect(items.at(-1)).toMatchObject({ chunks: 5, lost: 1, findings: { missing: 1 } });
});
