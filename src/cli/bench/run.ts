/**
 * Runs a bench: a directory of its own, objects in it, clients that work on them at once, and an
 * end that leaves nothing behind. It never touches anything outside of its directory.
 */
import type { Clock } from "../../base/clock.ts";
import type { Random } from "../../base/random.ts";
import type { TydfsClient } from "../../client/client.ts";
import { hasCode, TydfsError, wrapError } from "../../wire/errors.ts";
import { joinPath, parsePath, quotePath } from "../../wire/names.ts";
import type { OperationName, Weighted } from "./plan.ts";
import { BytePool, chooseOperation, chooseWeighted, ObjectPool } from "./plan.ts";
import type { BenchResult, Sample, Tallies } from "./report.ts";
import { newTallies } from "./report.ts";

/** Objects that are kept in mind; more puts than that replace old ones. */
const OBJECTS_MAX = 100_000;
/** After a failure a client pauses, so that a broken cluster is not asked in a tight loop. */
const FAILURE_PAUSE_MS = 50;
/** Time for what runs at the end of the time; after that it is cut off. */
const GRACE_MS = 30_000;
/** Time for cleaning up; after Ctrl-C it must fit into the patience of that. */
const CLEAN_MS = 60_000;
const CLEAN_INTERRUPTED_MS = 2_500;
/** The directory below the prefix that holds all objects, and is removed as a whole. */
const OBJECTS_DIRECTORY = "objects";

export interface BenchOptions {
  prefix: string;
  sizes: readonly Weighted<number>[];
  mix: readonly Weighted<OperationName>[];
  clients: number;
  /** Objects that are there before the first operation. */
  objects: number;
  warmupMs: number;
  durationMs: number;
  keep: boolean;
  clock: Clock;
  random: Random;
  signal: AbortSignal;
  /** Told often; `leftMs` is undefined while nothing counts yet. */
  onProgress: (tallies: Tallies, elapsedMs: number, leftMs: number | undefined) => void;
}

/**
 * Runs it; interrupted, the result is what was measured by then. Throws `not-empty` when the prefix
 * has entries, and what its first operation meets if none can be prepared.
 */
export async function runBench(client: TydfsClient, options: BenchOptions): Promise<BenchResult> {
  const place = await takePrefix(client, options);
  let failure: { error: unknown } | undefined;
  let result: BenchResult | undefined;
  try {
    result = await new Bench(client, options, place.directory).run();
  } catch (error) {
    failure = { error };
  }
  if (!options.keep) await cleanUp(client, place, options);
  if (failure !== undefined) throw failure.error;
  return result ?? raise("no result");
}

interface Place {
  prefix: string;
  directory: string;
  /** The prefix was made for this bench, and goes with it. */
  made: boolean;
}

/** Makes the prefix, or takes an empty one; only one bench can. */
async function takePrefix(
  client: TydfsClient,
  { prefix: remote, signal }: BenchOptions,
): Promise<Place> {
  const prefix = parsePath(remote);
  const { made } = await client.makeDirectory(prefix, { parents: true, signal });
  if (!made) {
    for await (const entry of client.list(prefix, { signal })) {
      const words = `Cannot bench in ${quotePath(prefix)}: it is not empty, ` +
        `${quotePath(entry.path)} is there; choose another --prefix`;
      throw new TydfsError("not-empty", words);
    }
  }
  const directory = joinPath(prefix, OBJECTS_DIRECTORY);
  try {
    // It must not be there: of two that begin at once, one fails here.
    await client.makeDirectory(directory, { signal });
  } catch (error) {
    if (made) await client.remove(prefix).catch(() => {});
    throw error;
  }
  return { prefix, directory, made };
}

/** Removes what the bench has made, also after Ctrl-C. Throws `timeout` naming what is left. */
async function cleanUp(
  client: TydfsClient,
  { prefix, directory, made }: Place,
  options: BenchOptions,
): Promise<void> {
  const late = new AbortController();
  const { signal } = late;
  const forMs = options.signal.aborted ? CLEAN_INTERRUPTED_MS : CLEAN_MS;
  const timer = options.clock.after(forMs, () => late.abort());
  try {
    await remove(client, directory, { recursive: true, signal });
    if (made) await remove(client, prefix, { recursive: false, signal });
  } catch (cause) {
    // Someone else has put something there: it stays, and so does the directory.
    if (hasCode(cause, "not-empty")) return;
    const message = `Cannot clean up: ${quotePath(prefix)} is left; remove it with tydfs rm -r`;
    throw new TydfsError("timeout", message, { cause });
  } finally {
    timer.stop();
  }
}

/** A removal whose answer was lost has been done: then there is nothing any more. */
async function remove(
  client: TydfsClient,
  path: string,
  options: { recursive: boolean; signal: AbortSignal },
): Promise<void> {
  try {
    await client.remove(path, options);
  } catch (error) {
    if (!hasCode(error, "not-found")) throw error;
  }
}

class Bench {
  readonly #client: TydfsClient;
  readonly #options: BenchOptions;
  readonly #directory: string;
  readonly #objects = new ObjectPool();
  readonly #bytes: BytePool;
  #tallies = newTallies();
  #named = 0;

  constructor(client: TydfsClient, options: BenchOptions, directory: string) {
    this.#client = client;
    this.#options = options;
    this.#directory = directory;
    const largest = Math.max(...options.sizes.map(({ value }) => value));
    this.#bytes = new BytePool(largest, options.random);
  }

  async run(): Promise<BenchResult> {
    const { warmupMs, durationMs, signal } = this.#options;
    await this.#prepare();
    if (warmupMs > 0) await this.#work(warmupMs, undefined);
    signal.throwIfAborted();
    this.#tallies = newTallies();
    const elapsedMs = await this.#work(durationMs, durationMs);
    const interrupted = signal.aborted;
    const { prefix, clients, objects, keep } = this.#options;
    const facts = { prefix, clients, objects, elapsedMs, interrupted };
    return { ...facts, tallies: this.#tallies, kept: keep };
  }

  /** Puts the first objects; any failure ends the bench. */
  async #prepare(): Promise<void> {
    const { clients, objects, signal } = this.#options;
    let begun = 0;
    await allSettledOrThrow(clients, async () => {
      while (begun < objects && !signal.aborted) {
        begun++;
        const path = this.#newPath();
        await this.#put(path, signal);
        this.#objects.add(path);
      }
    });
    signal.throwIfAborted();
  }

  /** All clients work for `forMs`; returns the time until the last operation has ended. */
  async #work(forMs: number, countedMs: number | undefined): Promise<number> {
    const { clock, clients, signal, onProgress } = this.#options;
    const startMs = clock.monotonicMs();
    const elapsed = () => clock.monotonicMs() - startMs;
    const cut = new AbortController();
    const grace = clock.after(forMs + GRACE_MS, () => cut.abort());
    const joint = AbortSignal.any([signal, cut.signal]);
    const progress = clock.every(500, () => {
      const leftMs = countedMs === undefined ? undefined : Math.max(0, countedMs - elapsed());
      onProgress(this.#tallies, elapsed(), leftMs);
    });
    try {
      await allSettledOrThrow(clients, async () => {
        while (elapsed() < forMs && !joint.aborted) await this.#step(joint);
      });
    } finally {
      grace.stop();
      progress.stop();
    }
    return elapsed();
  }

  /** One operation, measured. */
  async #step(signal: AbortSignal): Promise<void> {
    const { clock, mix, random } = this.#options;
    const name = chooseOperation(mix, this.#objects.size, random);
    const startMs = clock.monotonicMs();
    try {
      const sample = await this.#operate(name, startMs, signal);
      if (sample !== undefined) this.#tallies[name].add(sample);
    } catch (error) {
      // What was cut off has neither succeeded nor failed.
      if (signal.aborted) return;
      this.#tallies[name].fail(wrapError(error).code);
      await clock.sleep(FAILURE_PAUSE_MS, signal).catch(() => {});
    }
  }

  /** Does it; undefined when there was nothing to do it to. */
  async #operate(
    name: OperationName,
    startMs: number,
    signal: AbortSignal,
  ): Promise<Sample | undefined> {
    const { clock, random } = this.#options;
    const elapsed = () => clock.monotonicMs() - startMs;
    if (name === "put") {
      const full = this.#objects.size >= OBJECTS_MAX;
      const path = (full ? this.#objects.take(random) : undefined) ?? this.#newPath();
      const bytes = await this.#put(path, signal);
      this.#objects.add(path);
      return { elapsedMs: elapsed(), bytes };
    }
    if (name === "delete") {
      const path = this.#objects.take(random);
      // All are being read: the next operation will be another.
      if (path === undefined) return await clock.sleep(1, signal).then(() => undefined);
      await this.#client.remove(path, { signal });
      return { elapsedMs: elapsed(), bytes: 0 };
    }
    const path = this.#objects.borrow(random);
    if (path === undefined) return undefined;
    try {
      if (name === "get") return await this.#get(path, elapsed, signal);
      await this.#client.stat(path, { signal });
      return { elapsedMs: elapsed(), bytes: 0 };
    } finally {
      this.#objects.release(path);
    }
  }

  async #put(path: string, signal: AbortSignal): Promise<number> {
    const { sizes, random } = this.#options;
    const object = this.#bytes.object(chooseWeighted(sizes, random) ?? 0);
    await this.#client.putMemory(object, path, { signal });
    return object.sizeBytes;
  }

  /** Reads it whole; the client has checked each block before it is handed on. */
  async #get(path: string, elapsed: () => number, signal: AbortSignal): Promise<Sample> {
    let bytes = 0;
    let firstByteMs: number | undefined;
    for await (const part of this.#client.read(path, { signal })) {
      firstByteMs ??= elapsed();
      bytes += part.length;
    }
    return { elapsedMs: elapsed(), bytes, ...(firstByteMs === undefined ? {} : { firstByteMs }) };
  }

  #newPath(): string {
    return joinPath(this.#directory, `o${String(this.#named++).padStart(7, "0")}`);
  }
}

/** Runs `member` this many times at once, waits for all of them, and throws the first failure. */
async function allSettledOrThrow(count: number, member: () => Promise<void>): Promise<void> {
  const settled = await Promise.allSettled(Array.from({ length: count }, member));
  for (const outcome of settled) {
    if (outcome.status === "rejected") throw outcome.reason;
  }
}

function raise(what: string): never {
  throw new TydfsError("internal", `Cannot bench: ${what}`);
}
