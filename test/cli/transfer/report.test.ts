/** What a tree's transfer tells, as lines and as events; and how its words are taken apart. */
import { expect, test } from "bun:test";
import { systemClock } from "../../../src/base/clock.ts";
import { parseWords, sourceName } from "../../../src/cli/put.ts";
import { parseSides } from "../../../src/cli/sync.ts";
import type { ReportOptions } from "../../../src/cli/transfer/report.ts";
import { TreeReport } from "../../../src/cli/transfer/report.ts";
import type { Job, JobKind } from "../../../src/client/trees/job_runner.ts";
import { TydfsError } from "../../../src/wire/errors.ts";
import { FakeOutput } from "../fake_output.ts";
import { largeStatus } from "../some_status.ts";

function job(path: string, kind: JobKind = "file", sizeBytes = 1024): Job {
  const from = kind === "file" || kind === "link" ? path.slice(1) : "";
  return { kind, path, from, sizeBytes, run: () => Promise.resolve() };
}

function world(more: Partial<ReportOptions> = {}) {
  const output = new FakeOutput(false);
  const report = new TreeReport({
    ...{ output, clock: systemClock, json: false, quiet: false, verbose: false, dryRun: false },
    words: { done: "put", will: "put" },
    ...more,
  });
  const done = (one: Job, told?: unknown) => {
    report.found(one);
    report.started(one);
    report.done(one, one, told);
  };
  return { output, report, done };
}

/** Everything that a run may meet. */
function tellAll({ report, done }: ReturnType<typeof world>): void {
  for (const name of ["/a", "/b"]) done(job(name));
  done(job("/l", "link", 3));
  done(job("/d", "directory", 0));
  done(job("/old", "remove", 0), 12);
  done(job("/gone", "remove", 0), 0);
  report.failed(job("/bad"), new TydfsError("timeout", "No answer in time"));
  report.trouble("", new TydfsError("local", 'Left out "p": a pipe', { data: { skipped: true } }));
  report.foundAll();
  report.end();
  report.summary({ removalsLeftOut: 3 });
}

test("TreeReport tells failures with their paths, what was left out, and a summary", () => {
  const w = world();
  tellAll(w);
  expect(w.output.lines).toHaveLength(1);
  expect(w.output.lines[0]).toMatch(
    /^put 2 files, 2\.0 KiB in 0\.0 s \(.*\/s\) · 1 link · 1 directory · 12 removed · 1 left out · 1 failed$/,
  );
  expect(w.output.messages).toEqual([
    'tydfs: Left out "p": a pipe',
    'tydfs: "/bad": No answer in time',
    "tydfs: Nothing was removed, since not all went well: 3 left to remove",
  ]);
});

test("TreeReport tells each entry when it is verbose", () => {
  const w = world({ verbose: true });
  tellAll(w);
  expect(w.output.lines.slice(0, 5)).toEqual([
    'put "/a" · 1 KiB',
    'put "/b" · 1 KiB',
    'put "/l" · link',
    'made "/d"',
    'removed "/old"',
  ]);
});

test("TreeReport says in a dry run what would be done", () => {
  const w = world({ dryRun: true });
  w.done(job("/a"));
  w.done(job("/old", "remove", 0));
  w.report.end();
  w.report.summary();
  expect(w.output.lines).toEqual([
    'would put "/a" · 1 KiB',
    'would remove "/old"',
    "would put 1 file, 1 KiB · 1 to be removed",
  ]);
});

test("TreeReport prints one event a line for scripts, and nothing else", () => {
  const w = world({ json: true });
  tellAll(w);
  const events = w.output.lines.map((line) => JSON.parse(line));
  expect(events[0]).toEqual({ event: "start", kind: "file", path: "/a", from: "a", size: 1024 });
  expect(events.map(({ event }) => event).slice(-4)).toEqual([
    ...["start", "failed", "skipped", "summary"],
  ]);
  expect(events.at(-1)).toMatchObject({ files: 2, links: 1, removed: 12, failed: 1, skipped: 1 });
  expect(w.output.messages).toEqual(['tydfs: "/bad": No answer in time']);
});

test("TreeReport ends with the receipt of what was put", () => {
  const told = { version: 1, checksum: "0", copies: 3, goal: 3 };
  const whole = world();
  whole.done(job("/a"), told);
  whole.report.summary();
  expect(whole.output.lines[0]).toEndWith(" · 3/3 copies, synced");
  const short = world({ json: true });
  short.done(job("/a"), told);
  short.done(job("/b"), { ...told, copies: 2 });
  short.report.summary({ state: largeStatus(2) });
  const [, done, , , summary] = short.output.lines.map((line) => JSON.parse(line));
  expect(done).toMatchObject({ event: "done", path: "/a", copies: 3, replicas: 3 });
  expect(summary).toMatchObject({ synced: true, short: 1, reason: "few-keepers", missing: [] });
  const stopped = world();
  stopped.done(job("/b"), { ...told, copies: 2 });
  stopped.report.summary({ interrupted: true });
  expect(stopped.output.messages.join()).not.toContain("copies");
});

test("TreeReport is quiet but for failures when it is to be", () => {
  const w = world({ quiet: true });
  tellAll(w);
  expect(w.output.lines).toEqual([]);
  expect(w.output.messages).toEqual(['tydfs: "/bad": No answer in time']);
});

test("TreeReport takes its lines away from a terminal at the end", () => {
  const output = new FakeOutput(true);
  const w = world({ output });
  w.report.end();
  expect(output.boards.at(-1)).toEqual([]);
});

test("parseSides wants a colon on one side, and only there", () => {
  expect(parseSides("photos", ":/p")).toEqual({ direction: "up", local: "photos", remote: "/p" });
  expect(parseSides(":p/q/", "d")).toEqual({ direction: "down", local: "d", remote: "/p/q" });
  expect(parseSides(".", "tydfs:/p").remote).toBe("/p");
  expect(parseSides("./:odd", ":").remote).toBe("/");
  expect(() => parseSides("a", "/b")).toThrow(/write it with a colon, as in tydfs sync a :\/b/);
  expect(() => parseSides(":/a", ":/b")).toThrow(/one side must be local/);
  expect(() => parseSides(":/a/../b", "c")).toThrow(/is not a name/);
});

test("sourceName is the name of the directory meant, or none for what is in it", () => {
  expect(sourceName("a/b")).toBe("b");
  expect(sourceName("a/b/")).toBe("b");
  expect(sourceName("/x/..")).toBe("");
  for (const local of [".", "./", "a/.", "a/./"]) expect(sourceName(local)).toBeUndefined();
  expect(sourceName(".hidden")).toBe(".hidden");
});

test("parseWords lets standard input stand by itself only", () => {
  expect(parseWords(["a", "b", "/c"])).toEqual({ locals: ["a", "b"], remote: "/c" });
  expect(() => parseWords(["-", "a", "/c"])).toThrow(/put it by itself/);
  expect(() => parseWords(["-"])).toThrow(/without a name/);
});
