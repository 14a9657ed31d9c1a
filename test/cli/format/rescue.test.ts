/** What a rescue says. */
import { expect, test } from "bun:test";
import { formatOutcome, formatRescue, isNoteworthy } from "../../../src/cli/format/rescue.ts";
import type { FileOutcome, RescueSummary } from "../../../src/rescue/rescue.ts";

const whole = { kind: "whole", certain: true, joined: false, older: false, mtimeMs: 7 } as const;
const at = { path: "/a", sizeBytes: 10 };

const LINES: [FileOutcome, string][] = [
  [{ ...at, ...whole }, 'whole       "/a" · 10 B'],
  [
    { ...at, ...whole, certain: false },
    'whole       "/a" · 10 B · its end may be missing: it was put as a stream',
  ],
  [
    { ...at, kind: "incomplete", missing: [{ start: 3, end: 5 }], hasOlder: true },
    'incomplete  "/a" · 10 B · bytes 3–4 missing · an older version is whole: --older',
  ],
  [
    {
      path: "/a",
      sizeBytes: undefined,
      kind: "incomplete",
      missing: [{ start: 3, end: undefined }],
      hasOlder: false,
    },
    'incomplete  "/a" · from byte 3 on missing',
  ],
  [
    { ...at, kind: "hidden", by: "/a/b" },
    'hidden      "/a" · 10 B · "/a/b" is newer, and both can\'t be',
  ],
  [{ ...at, kind: "failed", reason: "no\nroom" }, 'failed      "/a" · 10 B · no\\u000aroom'],
];

test.each(LINES)("formatOutcome of %j", (outcome, line) => {
  expect(formatOutcome(outcome)).toBe(line);
});

test("isNoteworthy leaves out what is simply well", () => {
  expect(isNoteworthy({ ...at, ...whole })).toBe(false);
  expect(isNoteworthy({ ...at, kind: "present" })).toBe(false);
  expect(isNoteworthy({ ...at, ...whole, joined: true })).toBe(true);
  expect(isNoteworthy({ ...at, kind: "in-the-way" })).toBe(true);
});

test("formatRescue sums up", () => {
  const summary: RescueSummary = {
    ...{ chunks: 9, sidecars: 20, unreadable: 1, nameless: 0, bare: 0 },
    outcomes: {
      ...{ "whole": 2, "incomplete": 1, "damaged": 0, "present": 0 },
      ...{ "in-the-way": 0, "hidden": 0, "failed": 0 },
    },
    ...{ bytes: 2048, uncertain: 0, older: 0, mendedBlocks: 3 },
  };
  expect(formatRescue(summary, { listed: false, directories: 2 })).toEqual([
    "Rescued 2 files (2 KiB) from 2 directories; every block matched its sum",
    "1 file is incomplete",
    "3 blocks were taken from second copies, 1 sidecar can't be read",
  ]);
  const listed = formatRescue(summary, { listed: true, directories: 1 });
  expect(listed[0]).toBe("2 files (2 KiB) can be rescued from 1 directory");
});
