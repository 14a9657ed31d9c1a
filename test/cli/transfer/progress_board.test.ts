/** Progress as people see it: widths, shortened names, totals that still grow, rates. */
import { expect, test } from "bun:test";
import fc from "fast-check";
import { GIB, MIB } from "../../../src/base/bytes.ts";
import {
  formatBoard,
  formatTotal,
  grouped,
  shorten,
} from "../../../src/cli/transfer/progress_board.ts";
import { Rate, Tally } from "../../../src/cli/transfer/tally.ts";
import type { Job } from "../../../src/client/trees/job_runner.ts";
import { TydfsError } from "../../../src/wire/errors.ts";

function job(from: string, sizeBytes: number, kind: Job["kind"] = "file"): Job {
  return { kind, path: `/r/${from}`, from, sizeBytes, run: () => Promise.resolve() };
}

/** A tally with transfers that have run for `seconds` at a steady rate. */
function tallyWith(names: string[], seconds: number): Tally {
  const tally = new Tally(0);
  const jobs = names.map((name) => job(name, GIB));
  for (const one of jobs) tally.found(one);
  for (const one of jobs) tally.started(one, 0);
  for (let at = 500; at <= seconds * 1000; at += 500) {
    for (const one of jobs) {
      tally.progressed(one, { doneBytes: at * MIB / 10, totalBytes: GIB }, at);
    }
  }
  return tally;
}

for (const columns of [40, 80, 160]) {
  test(`formatBoard fits ${columns} columns`, () => {
    const names = ["short.mp4", "a very long name of a holiday video that nobody can read.mp4"];
    const lines = formatBoard(tallyWith(names, 10), { columns, rows: 24, nowMs: 10_000 });
    expect(lines).toHaveLength(3);
    for (const line of lines) expect(Bun.stringWidth(line)).toBeLessThan(columns);
    expect(lines[0]?.includes("█")).toBe(columns >= 80);
    expect(lines[2]).toStartWith("0 of 2+ files · 2.0 GiB of 2 GiB+");
  });
}

test("formatBoard shows per cent, rate and time left of each transfer", () => {
  const [line = ""] = formatBoard(tallyWith(["a.mp4"], 5), { columns: 80, rows: 24, nowMs: 5_000 });
  expect(line).toMatch(/^a\.mp4 +█+░+ +48 % +100 MiB\/s +5 s left$/);
});

test("formatBoard leaves out what is small or new, and counts what has no room", () => {
  const tally = tallyWith(Array.from({ length: 20 }, (_, index) => `f${index}`), 10);
  tally.started(job("small", 5), 0);
  tally.started(job("new", GIB), 9_900);
  const lines = formatBoard(tally, { columns: 80, rows: 24, nowMs: 10_000 });
  expect(lines).toHaveLength(10);
  expect(lines[8]).toBe("… and 12 more");
  expect(formatBoard(tally, { columns: 80, rows: 6, nowMs: 10_000 })).toHaveLength(5);
});

test("formatBoard escapes what could move the cursor", () => {
  const tally = tallyWith(["\x1b[2J.mp4"], 5);
  const lines = formatBoard(tally, { columns: 80, rows: 24, nowMs: 5_000 });
  expect(lines.join("\n")).not.toContain("\x1b");
});

test("formatTotal marks totals that still grow, and tells the time only when they are known", () => {
  const tally = tallyWith(["a"], 5);
  expect(formatTotal(tally, 5_000)).toBe("0 of 1+ files · 500 MiB of 1 GiB+ · 100 MiB/s");
  tally.foundAll = true;
  expect(formatTotal(tally, 5_000)).toBe("0 of 1 files · 500 MiB of 1 GiB · 100 MiB/s · 5 s left");
  tally.fail("/x", new TydfsError("local", "Cannot read"));
  expect(formatTotal(tally, 5_000)).toEndWith("· 1 failed");
});

test("formatTotal tells no silly time after small files, with large ones to come", () => {
  const tally = new Tally(0);
  const small = Array.from({ length: 300 }, (_, index) => job(`s${index}`, 4096));
  const large = Array.from({ length: 8 }, (_, index) => job(`l${index}`, GIB / 4));
  for (const one of [...small, ...large]) tally.found(one);
  tally.foundAll = true;
  const done = (jobs: Job[], fromMs: number, eachMs: number) => {
    for (const [index, one] of jobs.entries()) {
      tally.started(one, fromMs + index * eachMs);
      tally.done(one, one, 0, fromMs + (index + 1) * eachMs);
    }
  };
  done(small.slice(0, 150), 0, 10);
  expect(formatTotal(tally, 1_500)).toMatch(/KiB\/s$/);
  done(small.slice(150), 1_500, 10);

  expect(formatTotal(tally, 3_000)).toMatch(/· 1 min \d+ s left$/);
  done(large.slice(0, 4), 3_000, 2_500);
  expect(formatTotal(tally, 13_000)).toMatch(/· (8|9|10) s left$/);
});

test("shorten keeps beginning and end, and counts cells of wide characters", () => {
  expect(shorten("holiday.mp4", 20)).toBe("holiday.mp4");
  expect(shorten("a long name of a video.mp4", 13)).toBe("a lo…ideo.mp4");
  fc.assert(fc.property(
    fc.string({ unit: "grapheme" }),
    fc.integer({ min: 3, max: 30 }),
    (text, cells) => expect(Bun.stringWidth(shorten(text, cells))).toBeLessThanOrEqual(cells),
  ));
  expect(Bun.stringWidth(shorten("日本語の長い名前.mp4", 10))).toBeLessThanOrEqual(10);
});

test("grouped parts thousands", () => {
  expect([0, 999, 1000, 1234567].map(grouped)).toEqual(["0", "999", "1,000", "1,234,567"]);
});

test("Tally counts a try that begins anew once", () => {
  const tally = new Tally(0);
  const one = job("a", 100);
  tally.found(one);
  tally.started(one, 0);
  tally.progressed(one, { doneBytes: 80, totalBytes: 100 }, 10);
  tally.progressed(one, { doneBytes: 0, totalBytes: 100 }, 20);
  tally.progressed(one, { doneBytes: 30, totalBytes: 100 }, 30);
  expect(tally.bytesDone).toBe(30);
  expect(tally.bytesWhole).toBe(0);
  tally.done(one, one, 0, 40);
  expect(tally).toMatchObject({ bytesDone: 100, bytesWhole: 100, filesDone: 1 });
});

test("Tally takes what was needless or failed out of the totals", () => {
  const tally = new Tally(0);
  const jobs = ["a", "b", "c"].map((name) => job(name, 100));
  for (const one of jobs) tally.found(one);
  const [a, b, c] = jobs as [Job, Job, Job];
  for (const one of jobs) tally.started(one, 0);
  tally.progressed(c, { doneBytes: 50, totalBytes: 100 }, 1);
  tally.needless(a, 1);
  tally.done(b, { ...b, kind: "facts" }, 0, 1);
  tally.failedAt(c, new TydfsError("local", "Cannot"), 1);
  expect(tally).toMatchObject({ filesFound: 0, bytesFound: 0, bytesDone: 0, filesDone: 0 });
  expect(tally).toMatchObject({ same: 1, adjusted: 1, failed: 1 });
});

test("Tally keeps the first failures only, and counts all", () => {
  const tally = new Tally(0);
  for (let index = 0; index < 1000; index++) {
    tally.fail(String(index), new TydfsError(index === 0 ? "local" : "busy", "no"));
  }
  expect(tally.failed).toBe(1000);
  expect(tally.failures).toHaveLength(50);
  expect(tally.firstFailure?.code).toBe("local");
});

test("Rate is that of the last seconds, and unknown at first", () => {
  const rate = new Rate(0);
  expect(rate.bytesPerMs(100)).toBeUndefined();
  for (let at = 500; at <= 20_000; at += 500) rate.add(500, at);
  for (let at = 20_500; at <= 40_000; at += 500) rate.add(5000, at);
  expect(rate.bytesPerMs(40_000)).toBeCloseTo(10, 1);
});
