/** The scrubs of keepers, and what was found in files, as people read it. */
import { expect, test } from "bun:test";
import { plain } from "../../../src/cli/color.ts";
import {
  formatFindings,
  formatScrubs,
  formatTotals,
  NO_TOTALS,
  scrubJson,
} from "../../../src/cli/format/scrub.ts";
import { STATUS } from "../some_status.ts";

const NOW_MS = 1_800_000_000_000;
const HOUR_MS = 3_600_000;

const KEEPERS = STATUS.keepers.map((keeper, index) => ({
  ...keeper,
  state: index === 0 ? "ALIVE" as const : "DEAD" as const,
  aside: 2 * index,
  scrub: {
    running: index === 0,
    doneBytes: 2 ** 38,
    totalBytes: 2 ** 39,
    bad: index,
    passedMs: index === 0 ? 0 : NOW_MS - 50 * HOUR_MS,
    beganMs: NOW_MS - 3 * HOUR_MS,
    dueMs: NOW_MS - HOUR_MS,
  },
}));

test("formatScrubs tells how far each keeper is, and what is overdue", () => {
  expect(formatScrubs(KEEPERS, NOW_MS, plain)).toEqual([
    "KEEPER  LAST DONE    THIS PASS                       READ  BAD  ASIDE",
    "barn-1  never        began 3 h 0 min ago  50 % of 512 GiB    0      0  overdue by 1 h 0 min",
    "k2      2 d 2 h ago  -                                  -    1      2  DEAD",
  ]);
  expect(KEEPERS.map((keeper) => scrubJson(keeper, NOW_MS)["overdueMs"]))
    .toEqual([HOUR_MS, HOUR_MS]);
});

test("formatFindings names file, chunk and keeper; formatTotals sums up", () => {
  const page = {
    ...{ inode: 7, copies: 3, bytes: 30 },
    bad: [
      { chunk: "ab", keeper: "barn-1", state: "corrupt" },
      { chunk: "cd", keeper: "", state: "lost" },
    ],
    unread: [{ chunk: "ef", keeper: "k2", reason: "the keeper is DEAD" }],
  };
  expect(formatFindings("/a b", page)).toEqual([
    '"/a b": chunk ab on barn-1 is corrupt',
    '"/a b": chunk cd has no copy on record',
    '"/a b": chunk ef on k2 was not read: the keeper is DEAD',
  ]);
  expect(formatTotals({ ...NO_TOTALS, files: 1, copies: 3, bytes: 2048 }))
    .toBe("read 1 file · 3 copies, 2 KiB · all good");
  expect(formatTotals({ files: 2, copies: 6, bytes: 7, bad: 1, unread: 2 }))
    .toBe("read 2 files · 6 copies, 7 B · 1 bad, to be copied anew from good ones · 2 not read");
});
