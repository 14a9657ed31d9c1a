/** The runner of jobs: how many at once, what is tried again, what ends all, and back-pressure. */
import { expect, test } from "bun:test";
import { seededRandom } from "../../../src/base/random.ts";
import type { Job, JobListener, RunOptions } from "../../../src/client/trees/job_runner.ts";
import { runJobs } from "../../../src/client/trees/job_runner.ts";
import { TydfsError } from "../../../src/wire/errors.ts";
import { fastClock } from "../fake_bus.ts";

/** Writes down what it hears: `found a`, `done a`, `failed b`, … */
class Ear implements JobListener {
  readonly heard: string[] = [];
  found = (job: Job) => void this.heard.push(`found ${job.path}`);
  foundAll = () => void this.heard.push("found all");
  started = (job: Job) => void this.heard.push(`started ${job.path}`);
  progressed = () => {};
  done = (job: Job, done: Job) => void this.heard.push(`done ${job.path} ${done.kind}`);
  needless = (job: Job) => void this.heard.push(`needless ${job.path}`);
  failed = (job: Job, error: TydfsError) => {
    this.heard.push(`failed ${job.path} ${error.code}`);
  };

  /** What was heard of the ends of jobs. */
  get ends(): string[] {
    return this.heard.filter((line) => /^(done|failed|needless)/.test(line));
  }
}

function job(
  path: string,
  run: Job["run"] = () => Promise.resolve(),
  more: Partial<Job> = {},
): Job {
  return { kind: "file", path, from: path, sizeBytes: 1, run, ...more };
}

async function* inTurn(jobs: Job[]): AsyncGenerator<Job> {
  yield* jobs;
}

function options(listener: JobListener, more: Partial<RunOptions> = {}): RunOptions {
  const { signal } = new AbortController();
  const clock = fastClock(10_000);
  const random = seededRandom(1);
  return { transfers: 3, dryRun: false, signal, clock, random, listener, ...more };
}

test("runJobs runs several at once, and no more than it may", async () => {
  let running = 0;
  let most = 0;
  const jobs = Array.from({ length: 20 }, (_, index) =>
    job(String(index), async () => {
      most = Math.max(most, ++running);
      await new Promise((resolve) => setImmediate(resolve));
      running--;
    }));
  const ear = new Ear();
  await runJobs(inTurn(jobs), options(ear));
  expect(most).toBe(3);
  expect(ear.ends).toHaveLength(20);
  expect(ear.heard).toContain("found all");
});

test("runJobs goes on after a failure, and tells of it", async () => {
  const ear = new Ear();
  const fail = () => Promise.reject(new TydfsError("local", "Cannot read"));
  await runJobs(inTurn([job("a"), job("b", fail), job("c")]), options(ear, { transfers: 1 }));
  expect(ear.ends).toEqual(["done a file", "failed b local", "done c file"]);
});

test("runJobs tries again what may pass, and only that", async () => {
  const ear = new Ear();
  const tries = { passing: 0, lasting: 0 };
  const passing = () =>
    ++tries.passing < 3
      ? Promise.reject(new TydfsError("unavailable", "Not now"))
      : Promise.resolve();
  const lasting = () => {
    tries.lasting++;
    return Promise.reject(new TydfsError("denied", "Never"));
  };
  await runJobs(inTurn([job("a", passing), job("b", lasting)]), options(ear));
  expect(ear.ends.sort()).toEqual(["done a file", "failed b denied"]);
  expect(tries).toEqual({ passing: 3, lasting: 1 });
});

test("runJobs gives up when nothing gets through any more", async () => {
  const ear = new Ear();
  let made = 0;
  async function* endless(): AsyncGenerator<Job> {
    const away = () => Promise.reject(new TydfsError("no-master", "No master answers"));
    for (;;) yield job(String(made++), away);
  }
  const run = runJobs(endless(), options(ear));
  await expect(run).rejects.toMatchObject({ code: "no-master" });
  await expect(run).rejects.toThrow(/in a row failed/);
  expect(ear.ends.length).toBeLessThan(30);
});

test("runJobs lets what finds jobs wait, so that memory is bounded", async () => {
  let found = 0;
  const release = Promise.withResolvers<void>();
  async function* many(): AsyncGenerator<Job> {
    for (; found < 20_000; found++) yield job(String(found), () => release.promise);
  }
  const ear = new Ear();
  const run = runJobs(many(), options(ear));
  let before = -1;
  while (found !== before) {
    before = found;
    for (let turn = 0; turn < 100; turn++) await new Promise((resolve) => setImmediate(resolve));
  }
  expect(found).toBeLessThan(5_000);
  release.resolve();
  await run;
  expect(ear.ends).toHaveLength(20_000);
});

test("runJobs ends with the signal's reason, and drops what waits", async () => {
  const ear = new Ear();
  const stop = new AbortController();
  const stopping = () => {
    stop.abort(new TydfsError("interrupted", "Interrupted"));
    return Promise.reject(stop.signal.reason);
  };
  const jobs = [job("a", stopping), ...Array.from({ length: 50 }, (_, n) => job(String(n)))];
  const run = runJobs(inTurn(jobs), options(ear, { signal: stop.signal, transfers: 1 }));
  await expect(run).rejects.toMatchObject({ code: "interrupted" });
  expect(ear.ends).toEqual([]);
});

test("runJobs throws what finding jobs throws", async () => {
  async function* broken(): AsyncGenerator<Job> {
    yield job("a");
    throw new TydfsError("not-found", "No such directory");
  }
  const run = runJobs(broken(), options(new Ear()));
  await expect(run).rejects.toMatchObject({ code: "not-found" });
});

test("runJobs does what a job decides, also nothing; in a dry run it only decides", async () => {
  const did: string[] = [];
  const doing = (name: string) => () => Promise.resolve(void did.push(name));
  const facts = job("b", doing("facts"), { kind: "facts" });
  const jobs = () => [
    job("a", doing("copy"), { decide: () => Promise.resolve(undefined) }),
    job("b", doing("copy"), { decide: () => Promise.resolve(facts) }),
  ];
  const ear = new Ear();
  await runJobs(inTurn(jobs()), options(ear, { dryRun: true }));
  expect(did).toEqual([]);
  expect(ear.ends.sort()).toEqual(["done b facts", "needless a"]);
  await runJobs(inTurn(jobs()), options(new Ear()));
  expect(did).toEqual(["facts"]);
});

test("runJobs calls settled once for each job, however it ends", async () => {
  const settled: string[] = [];
  const fail = () => Promise.reject(new TydfsError("local", "Cannot"));
  const made = ["a", "b"].map((path) =>
    job(path, path === "b" ? fail : undefined, {
      settled: () => Promise.resolve(void settled.push(path)),
    })
  );
  await runJobs(inTurn(made), options(new Ear()));
  expect(settled.sort()).toEqual(["a", "b"]);
});
