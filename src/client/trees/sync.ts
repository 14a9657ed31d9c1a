/**
 * Makes one tree like another: copies what differs, and removes what the source lacks only when all
 * of the source was seen and all the rest went well.
 */
import { TydfsError } from "../../wire/errors.ts";
import { quotePath } from "../../wire/names.ts";
import type { Job, JobListener, RunOptions } from "./job_runner.ts";
import { runJobs } from "./job_runner.ts";
import type { OpenDirectories } from "./open_directories.ts";
import type { JobMaker } from "./jobs.ts";
import type { TreeEntry, TreePair } from "./merge.ts";
import { compareEntries, mergeTrees, sameFacts } from "./merge.ts";

/** Entries to be removed, and files in whose place a directory is, that are held in memory. */
const HELD_MAX = 50_000;

/** The two trees; `source` and `target` are asked for what is below their roots, in order. */
export interface SyncSides {
  sourceName: string;
  targetName: string;
  /** Looks at the source's root, and makes the target's like it, but for a dry run. */
  begin: () => Promise<void>;
  /** Throws when there is no such directory. */
  source: () => AsyncIterable<TreeEntry>;
  /** Nothing when there is no such directory yet. */
  target: () => AsyncIterable<TreeEntry>;
  jobs: JobMaker;
  /** The checksum of what the local tree has at `path`. */
  localChecksum: (path: string, signal: AbortSignal) => Promise<string>;
  /** Directories that get mode and time when all in them is done; the cluster's need no wait. */
  open?: OpenDirectories;
  /** A directory may be removed with all that is below: nothing in it is left out of the trees. */
  removesWhole: boolean;
}

export interface SyncOptions {
  /** Compare checksums also where size and time are equal. */
  byChecksum: boolean;
  /** Remove what the source lacks. */
  remove: boolean;
  /** Also when the source is empty. */
  force: boolean;
  /** How many entries could not be looked at so far. */
  troubles: () => number;
  /** Hears of each entry that both sides have alike. */
  onSame: () => void;
  onTrouble: (error: TydfsError) => void;
}

/** What had to be put off until all copies were made. */
interface Later {
  removals: TreeEntry[];
  /** Files of the source in whose place the target has a directory. */
  blocked: TreeEntry[];
  /** There is more than could be held. */
  more: boolean;
  /** The source was not empty when it was read for this. */
  sourceSeen: boolean;
}

const NOTHING_YET = { more: false, sourceSeen: false };

/**
 * Makes the target like the source. Returns how many removals were left out because not all went
 * well. Throws `conflict` when the source is empty, and everything would be removed.
 */
export async function syncTrees(
  sides: SyncSides,
  options: SyncOptions,
  run: RunOptions,
): Promise<{ removalsLeftOut: number }> {
  if (options.remove && !options.force) await mustHaveEntries(sides);
  await sides.begin();
  const heard = { failures: 0, removed: 0 };
  const listener = hearing(run.listener, heard);
  const runAll = (jobs: AsyncIterable<Job>, transfers = run.transfers) =>
    runJobs(jobs, { ...run, listener, transfers });

  let later: Later = { removals: [], blocked: [], ...NOTHING_YET };
  await runAll(findCopies(sides, { ...options, dryRun: run.dryRun, signal: run.signal }, later));
  if (run.dryRun) return { removalsLeftOut: 0 };
  for (;;) {
    const { removals, blocked, more } = later;
    const removedBefore = heard.removed;
    if (heard.failures + options.troubles() > 0) {
      await runAll(inTurn(blocked.map((entry) => blockedJob(sides, entry))));
      return { removalsLeftOut: removals.length };
    }
    // It had entries at first: its disk may have gone since.
    if (removals.length > 0 && !later.sourceSeen && !options.force) throw emptyError(sides);
    const whole = (entry: TreeEntry) => entry.kind !== "directory" || sides.removesWhole;
    const jobOf = (entry: TreeEntry) => {
      return sides.jobs.remove(entry, { recursive: sides.removesWhole });
    };
    await runAll(inTurn(removals.filter(whole).map(jobOf)));
    // What is below goes before the directory itself.
    await runAll(inTurn(removals.filter((entry) => !whole(entry)).reverse().map(jobOf)), 1);
    await runAll(inTurn(blocked.map((entry) => sides.jobs.copy(entry))));
    // What can't go, since something that is left out is in it, must not be tried for ever.
    if (!more || heard.removed === removedBefore) return { removalsLeftOut: 0 };
    later = await findLater(sides);
    if (later.removals.length === 0) return { removalsLeftOut: 0 };
  }
}

async function mustHaveEntries(sides: SyncSides): Promise<void> {
  for await (const _ of sides.source()) return;
  throw emptyError(sides);
}

function emptyError({ sourceName, targetName }: SyncSides): TydfsError {
  const message = `Refused to remove all of ${quotePath(targetName)}: there is nothing in ` +
    `${quotePath(sourceName)}; use --force if that is meant`;
  return new TydfsError("conflict", message);
}

/** Yields the jobs that copy; what must come after them goes to `later`. */
async function* findCopies(
  sides: SyncSides,
  options: SyncOptions & { dryRun: boolean; signal: AbortSignal },
  later: Later,
): AsyncGenerator<Job> {
  const { jobs, open } = sides;
  const { remove, dryRun, signal } = options;
  const held = async (entry: TreeEntry, job: Job) => await open?.holding(entry.path, job) ?? job;
  for await (const pair of mergeTrees(sides.source(), sides.target())) {
    if (pair.kind === "target") {
      if (remove && dryRun) yield* dryRemoval(sides, pair.target, later);
      else if (remove) putOff(sides, pair, later);
      continue;
    }
    const { source } = pair;
    later.sourceSeen = true;
    if (source.kind === "directory") await open?.enter(source);
    if (pair.kind === "both") {
      const job = comparisonJob(sides, pair, options);
      if (job !== undefined) yield await held(source, job);
      else options.onSame();
    } else if (pair.kind === "blocked") {
      if (!remove) yield await held(source, blockedJob(sides, source));
      else if (!dryRun) putOff(sides, pair, later);
      else yield jobs.copy(source);
      if (remove && dryRun) yield* dryRemoval(sides, pair.target, later);
    } else {
      // At once, since what is below can't be copied before.
      if (pair.kind === "in-the-way" && !dryRun) {
        const removal = jobs.remove(pair.target, { recursive: false });
        await removal.run({ signal, onProgress: () => {} }).catch((error) => {
          signal.throwIfAborted();
          options.onTrouble(error);
        });
      }
      const job = source.kind === "directory" ? jobs.directory(source) : jobs.copy(source);
      yield await held(source, job);
    }
  }
  await open?.leaveAll();
}

/** The job for what both sides have; undefined when nothing is to be done. */
export function comparisonJob(
  { jobs, localChecksum }: Pick<SyncSides, "jobs" | "localChecksum">,
  { source, target }: { source: TreeEntry; target: TreeEntry },
  { byChecksum }: Pick<SyncOptions, "byChecksum">,
): Job | undefined {
  const comparison = compareEntries(source, target, { byChecksum });
  if (comparison === "same") return undefined;
  if (comparison === "facts") return jobs.facts(source);
  const copy = jobs.copy(source);
  if (comparison === "copy") return copy;
  const known = source.checksum ?? target.checksum ?? "";
  const decide = async (signal: AbortSignal) => {
    if (known === "" || await localChecksum(source.path, signal) !== known) return copy;
    return sameFacts(source, target) ? undefined : jobs.facts(source);
  };
  return { ...copy, decide };
}

/** A job that says why a file can't be copied. */
function blockedJob({ jobs }: SyncSides, source: TreeEntry): Job {
  const job = jobs.copy(source);
  const decide = () => {
    const message = `Cannot replace ${quotePath(job.path)}: a directory is there, and the source ` +
      `has a ${source.kind}; --delete takes it away`;
    return Promise.reject(new TydfsError("is-directory", message));
  };
  return { ...job, sizeBytes: 0, decide };
}

/** Remembers what is to be removed. */
function putOff(
  { removesWhole }: SyncSides,
  pair: Extract<TreePair, { target: TreeEntry }>,
  later: Later,
): void {
  const { removals, blocked } = later;
  const last = removals.at(-1);
  const inLast = last?.kind === "directory" && pair.target.path.startsWith(`${last.path}/`);
  if (removesWhole && inLast) return;
  if (removals.length >= HELD_MAX) {
    later.more = true;
    return;
  }
  removals.push(pair.target);
  if (pair.kind === "blocked") blocked.push(pair.source);
}

/** In a dry run nothing need be put off. */
function* dryRemoval(sides: SyncSides, target: TreeEntry, later: Later): Generator<Job> {
  const before = later.removals.length;
  putOff(sides, { kind: "target", target }, later);
  if (later.removals.length === before) return;
  // Only the last one matters, to know what goes with it.
  later.removals.splice(0, later.removals.length - 1);
  yield sides.jobs.remove(target, { recursive: sides.removesWhole });
}

/** Compares once more, for removals only. */
async function findLater(sides: SyncSides): Promise<Later> {
  const later: Later = { removals: [], blocked: [], ...NOTHING_YET };
  for await (const pair of mergeTrees(sides.source(), sides.target())) {
    if (pair.kind !== "target") later.sourceSeen = true;
    if (pair.kind === "target" || pair.kind === "blocked") putOff(sides, pair, later);
  }
  return later;
}

/** The same listener, which also counts failures and the entries that are gone. */
function hearing(
  listener: JobListener,
  heard: { failures: number; removed: number },
): JobListener {
  return {
    found: (job) => listener.found(job),
    foundAll: () => listener.foundAll(),
    started: (job) => listener.started(job),
    progressed: (job, progress) => listener.progressed(job, progress),
    done: (job, done, told) => {
      if (done.kind === "remove" && typeof told === "number") heard.removed += told;
      listener.done(job, done, told);
    },
    needless: (job) => listener.needless(job),
    failed: (job, error) => {
      heard.failures++;
      listener.failed(job, error);
    },
  };
}

async function* inTurn(jobs: Job[]): AsyncGenerator<Job> {
  yield* jobs;
}
