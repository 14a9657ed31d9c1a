/** Bundles of jobs: which go together, what is told of each, and what is run one by one. */
import { expect, test } from "bun:test";
import { seededRandom } from "../../../src/base/random.ts";
import type {
  Bundler,
  Job,
  JobListener,
  RunOptions,
} from "../../../src/client/trees/job_runner.ts";
import { runJobs } from "../../../src/client/trees/job_runner.ts";
import { TydfsError } from "../../../src/wire/errors.ts";
import { fastClock } from "../fake_bus.ts";

/** Writes down what it hears. */
class Ear implements JobListener {
  readonly heard: string[] = [];
  found = () => {};
  foundAll = () => {};
  started = ({ path }: Job) => void this.heard.push(`started ${path}`);
  progressed = ({ path }: Job) => void this.heard.push(`progressed ${path}`);
  done = ({ path }: Job, { kind }: Job, told: unknown) => {
    this.heard.push(`done ${path} ${kind} ${told}`);
  };
  needless = ({ path }: Job) => void this.heard.push(`needless ${path}`);
  failed = ({ path }: Job, { code }: TydfsError) => void this.heard.push(`failed ${path} ${code}`);

  /** What was heard of the ends of jobs. */
  get ends(): string[] {
    return this.heard.filter((line) => /^(done|failed|needless)/.test(line)).sort();
  }
}

class FakeBundler implements Bundler {
  filesMax = 100;
  bytesMax = 1_000;
  /** Paths of the bundles that were run. */
  readonly ran: string[][] = [];
  outcomeOf: (path: string) => unknown = () => "together";
  before: (signal: AbortSignal) => Promise<void> = () => Promise.resolve();

  run: Bundler["run"] = async (jobs, { signal, onProgress }) => {
    this.ran.push(jobs.map(({ path }) => path));
    await this.before(signal);
    const [first] = jobs;
    if (first !== undefined) onProgress(first, { doneBytes: 1, totalBytes: 1 });
    return jobs.map(({ path }) => this.outcomeOf(path));
  };
}

function job(path: string, bundler?: Bundler, more: Partial<Job> = {}): Job {
  const run = () => Promise.resolve("alone");
  const facts: Job = { kind: "file", path, from: path, sizeBytes: 1, run, ...more };
  return bundler === undefined ? facts : { ...facts, bundler };
}

function many(count: number, bundler: Bundler, more: Partial<Job> = {}): Job[] {
  return Array.from({ length: count }, (_, n) => job(String(n), bundler, more));
}

async function* inTurn(jobs: Iterable<Job>): AsyncGenerator<Job> {
  yield* jobs;
}

function options(listener: JobListener, more: Partial<RunOptions> = {}): RunOptions {
  const { signal } = new AbortController();
  const clock = fastClock(100);
  const random = seededRandom(1);
  return { transfers: 3, dryRun: false, signal, clock, random, listener, ...more };
}

test("runJobs does small jobs together, each told as if it was alone", async () => {
  const bundler = new FakeBundler();
  const ear = new Ear();
  const settled: string[] = [];
  const jobs = many(30, bundler).map((one) => ({
    ...one,
    settled: () => Promise.resolve(void settled.push(one.path)),
  }));
  await runJobs(inTurn([...jobs, job("large")]), options(ear, { transfers: 1 }));
  const paths = jobs.map(({ path }) => path);
  expect(bundler.ran.flat()).toEqual(paths);
  expect(bundler.ran.length).toBeLessThan(5);
  expect(ear.ends).toEqual(
    [...paths.map((path) => `done ${path} file together`), "done large file alone"].sort(),
  );
  expect(ear.heard.filter((line) => line.startsWith("started"))).toHaveLength(31);
  expect(ear.heard).toContain("progressed 0");
  expect(settled.sort()).toEqual(paths.sort());
});

test("runJobs keeps the limits of bundles, and no path is twice in one", async () => {
  const bundler = new FakeBundler();
  bundler.filesMax = 10;
  const sizes = many(95, bundler).map((one, n) => ({ ...one, sizeBytes: n % 7 === 0 ? 400 : 1 }));
  const twice = [...sizes, ...sizes.slice(-3)];
  await runJobs(inTurn(twice), options(new Ear(), { transfers: 1 }));
  const sizeOf = (path: string) => sizes.find((one) => one.path === path)?.sizeBytes ?? 0;
  for (const paths of bundler.ran) {
    expect(paths.length).toBeLessThanOrEqual(10);
    expect(paths.reduce((sum, path) => sum + sizeOf(path), 0)).toBeLessThanOrEqual(1_000);
    expect(new Set(paths).size).toBe(paths.length);
  }
});

test("runJobs lets a bundle go when nothing more comes for a moment", async () => {
  const bundler = new FakeBundler();
  const gone = Promise.withResolvers<void>();
  bundler.before = () => Promise.resolve(gone.resolve());
  async function* slow(): AsyncGenerator<Job> {
    yield* [job("a", bundler), job("b", bundler)];
    // Nothing more is found before they have gone.
    await gone.promise;
    yield job("c", bundler);
  }
  const ear = new Ear();
  await runJobs(slow(), options(ear));
  expect(bundler.ran).toEqual([["a", "b"]]);
  // A job alone needs no bundle.
  expect(ear.ends).toContain("done c file alone");
});

test("runJobs runs by itself what a bundle leaves, and tells what has failed in it", async () => {
  const bundler = new FakeBundler();
  bundler.outcomeOf = (path) => {
    if (path === "1") return new TydfsError("timeout", "Cannot tell");
    return Number(path) % 2 === 0 ? undefined : "together";
  };
  const failing = () => Promise.reject(new TydfsError("exists", "It is there"));
  const jobs = many(5, bundler).map((one) => one.path === "2" ? { ...one, run: failing } : one);
  const ear = new Ear();
  await runJobs(inTurn(jobs), options(ear));
  expect(ear.ends).toEqual([
    ...["done 0 file alone", "done 3 file together", "done 4 file alone"],
    ...["failed 1 timeout", "failed 2 exists"],
  ]);
});

test("runJobs runs no more alone than it may, also when bundles are left with all", async () => {
  const bundler = new FakeBundler();
  bundler.filesMax = 10;
  bundler.outcomeOf = () => undefined;
  let running = 0;
  let most = 0;
  const run = async () => {
    most = Math.max(most, ++running);
    await new Promise((resolve) => setImmediate(resolve));
    running--;
  };
  const ear = new Ear();
  await runJobs(inTurn(many(60, bundler, { run })), options(ear));
  expect(ear.ends).toHaveLength(60);
  expect(most).toBe(3);
});

test("runJobs lets the jobs of a bundle decide first; a dry run does nothing", async () => {
  const bundler = new FakeBundler();
  const facts = job("b", undefined, { kind: "facts", run: () => Promise.resolve("set") });
  const jobs = [
    job("a", bundler, { decide: () => Promise.resolve(undefined) }),
    job("b", bundler, { decide: () => Promise.resolve(facts) }),
    job("c", bundler, { decide: () => Promise.reject(new TydfsError("local", "Cannot read")) }),
    job("d", bundler, { decide: () => Promise.resolve(job("d", bundler)) }),
    job("e", bundler),
  ];
  const ear = new Ear();
  await runJobs(inTurn(jobs), options(ear));
  expect(bundler.ran.map((paths) => paths.sort())).toEqual([["d", "e"]]);
  expect(ear.ends).toEqual([
    ...["done b facts set", "done d file together", "done e file together"],
    ...["failed c local", "needless a"],
  ]);
  const dry = new Ear();
  await runJobs(inTurn(jobs), options(dry, { dryRun: true }));
  expect(bundler.ran).toHaveLength(1);
  expect(dry.ends).toHaveLength(5);
  expect(dry.ends).toContain("done e file undefined");
});

test("runJobs gives up when nothing gets through any more, bundles or not", async () => {
  const bundler = new FakeBundler();
  bundler.outcomeOf = () => undefined;
  let made = 0;
  async function* endless(): AsyncGenerator<Job> {
    const run = () => Promise.reject(new TydfsError("no-master", "No master answers"));
    for (;;) yield job(String(made++), bundler, { run });
  }
  const ear = new Ear();
  const run = runJobs(endless(), options(ear, { clock: fastClock(10_000) }));
  await expect(run).rejects.toThrow(/in a row failed/);
  expect(ear.ends.length).toBeLessThan(40);
});

test("runJobs ends a bundle with the signal's reason, and tells of nothing then", async () => {
  const bundler = new FakeBundler();
  const stop = new AbortController();
  bundler.before = (signal) => {
    stop.abort(new TydfsError("interrupted", "Interrupted"));
    return Promise.reject(signal.reason);
  };
  const ear = new Ear();
  const run = runJobs(inTurn(many(500, bundler)), options(ear, { signal: stop.signal }));
  await expect(run).rejects.toMatchObject({ code: "interrupted" });
  expect(ear.ends).toEqual([]);
});

test("runJobs goes on with others while bundles are under way, and starts few of them", async () => {
  const bundler = new FakeBundler();
  bundler.filesMax = 10;
  let running = 0;
  let most = 0;
  const release = Promise.withResolvers<void>();
  bundler.before = async () => {
    most = Math.max(most, ++running);
    await release.promise;
    running--;
  };
  const ear = new Ear();
  const last = job("last", undefined, { run: () => Promise.resolve(release.resolve()) });
  const jobs = [...many(200, bundler), last];
  await runJobs(inTurn(jobs), options(ear, { transfers: 8 }));
  expect(ear.ends).toHaveLength(201);
  expect(most).toBeLessThanOrEqual(3);
});
