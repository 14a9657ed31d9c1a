/**
 * Jobs on their way from the one that finds them to several workers: who finds waits while too many
 * wait. Small jobs with the same bundler are gathered: a bundle goes when it is full, when a
 * quarter of it is there and somebody is idle, or when nothing more comes for a moment.
 */
import type { Clock, Timer } from "../../base/clock.ts";
import type { Bundler, Job } from "./job.ts";

/** Bundles that are run at once: the next one is ready when one ends; more would be but smaller. */
const BUNDLES_AT_ONCE = 3;
/** A worker that has nothing else to do waits no longer than this for the next job of a bundle. */
const IDLE_MS = 20;
/** Nor longer than this for a bundle of which a job comes now and then. */
const GATHER_MS = 250;
/** Such a part of a bundle is worth going when somebody is idle. */
const EARLY_SHARE = 0.25;

/** What a worker takes at once: a job by itself, or several of one bundler. */
export interface Bundle {
  jobs: Job[];
  bundler: Bundler | undefined;
}

export interface JobQueueOptions {
  clock: Clock;
  /** Jobs that may wait. */
  waitingMax: number;
}

/** Jobs that are being gathered for one bundler. */
interface Gathering {
  bundler: Bundler;
  jobs: Job[];
  paths: Set<string>;
  bytes: number;
  firstMs: number;
  lastMs: number;
}

export class JobQueue {
  readonly #options: JobQueueOptions;
  readonly #singles: Fifo<Job> = new Fifo();
  /** Bundles that are ready to go. */
  readonly #bundles: Fifo<Gathering> = new Fifo();
  readonly #open = new Map<Bundler, Gathering>();
  readonly #pullers: (() => void)[] = [];
  readonly #pushers: (() => void)[] = [];
  #waiting = 0;
  #running = 0;
  #closed = false;
  #timer: Timer | undefined;

  constructor(options: JobQueueOptions) {
    this.#options = options;
  }

  /** Adds a job as soon as there is room. False when the queue was closed: it is not taken. */
  async push(job: Job): Promise<boolean> {
    while (!this.#closed && this.#waiting >= this.#options.waitingMax) {
      // So many wait that a bundle is ready, or somebody idle is about to take what there is.
      await new Promise<void>((resolve) => this.#pushers.push(resolve));
    }
    if (this.#closed) return false;
    this.#waiting++;
    if (job.bundler === undefined) {
      this.#singles.push(job);
      this.#wake();
    } else {
      this.#gather(job, job.bundler);
    }
    return true;
  }

  /**
   * What is to be done next, as soon as there is something; undefined when the queue is closed and
   * empty. Who takes a bundle says when it is `over`.
   */
  async pull(): Promise<Bundle | undefined> {
    for (;;) {
      const next = this.#next();
      if (next !== undefined) return next;
      if (this.#closed && this.#waiting === 0) return undefined;
      const woken = new Promise<void>((resolve) => this.#pullers.push(resolve));
      this.#look();
      await woken;
    }
  }

  /** A bundle is done. */
  over({ bundler }: Bundle): void {
    if (bundler !== undefined) this.#running--;
    this.#look();
  }

  /** Nothing more is taken; what waits is still handed out, unless it is dropped. */
  close(options: { drop?: boolean } = {}): void {
    this.#closed = true;
    this.#timer?.stop();
    if (options.drop === true) {
      this.#singles.clear();
      this.#bundles.clear();
      this.#open.clear();
      this.#waiting = 0;
    }
    for (const gathering of [...this.#open.values()]) this.#ready(gathering);
    for (const puller of this.#pullers.splice(0)) puller();
    for (const pusher of this.#pushers.splice(0)) pusher();
  }

  #next(): Bundle | undefined {
    const gathered = this.#running < BUNDLES_AT_ONCE ? this.#bundles.take() : undefined;
    if (gathered !== undefined) {
      this.#running++;
      return this.#taken({ jobs: gathered.jobs, bundler: gathered.bundler });
    }
    const job = this.#singles.take();
    return job && this.#taken({ jobs: [job], bundler: undefined });
  }

  #taken(bundle: Bundle): Bundle {
    this.#waiting -= bundle.jobs.length;
    const more = this.#closed && this.#waiting === 0 ? this.#pullers.splice(0) : [];
    for (const puller of more) puller();
    for (const pusher of this.#pushers.splice(0)) pusher();
    return bundle;
  }

  #gather(job: Job, bundler: Bundler): void {
    let gathering = this.#open.get(bundler);
    const isFull = gathering !== undefined && (gathering.jobs.length >= bundler.filesMax ||
      gathering.bytes + job.sizeBytes > bundler.bytesMax || gathering.paths.has(job.path));
    if (gathering !== undefined && isFull) {
      this.#ready(gathering);
      gathering = undefined;
    }
    const nowMs = this.#options.clock.monotonicMs();
    if (gathering === undefined) {
      gathering = { bundler, jobs: [], paths: new Set(), bytes: 0, firstMs: nowMs, lastMs: nowMs };
      this.#open.set(bundler, gathering);
    }
    gathering.jobs.push(job);
    gathering.paths.add(job.path);
    gathering.bytes += job.sizeBytes;
    gathering.lastMs = nowMs;
    if (this.#isIdle()) {
      if (isWorthwhile(gathering)) this.#ready(gathering);
      else this.#timer ??= this.#lookIn(IDLE_MS);
    }
  }

  /** The gathering takes no more; a worker takes it when one may. */
  #ready(gathering: Gathering): void {
    this.#open.delete(gathering.bundler);
    this.#bundles.push(gathering);
    this.#wake();
  }

  /** Lets go what has waited long enough, when somebody is idle. */
  #look(): void {
    if (this.#closed || this.#open.size === 0 || !this.#isIdle()) return;
    const nowMs = this.#options.clock.monotonicMs();
    let nextMs = Infinity;
    for (const gathering of [...this.#open.values()]) {
      const dueMs = Math.min(gathering.lastMs + IDLE_MS, gathering.firstMs + GATHER_MS);
      if (dueMs <= nowMs || isWorthwhile(gathering)) this.#ready(gathering);
      else nextMs = Math.min(nextMs, dueMs);
    }
    if (nextMs < Infinity) this.#timer ??= this.#lookIn(nextMs - nowMs);
  }

  #lookIn(ms: number): Timer {
    return this.#options.clock.after(ms, () => {
      this.#timer = undefined;
      this.#look();
    });
  }

  /** Whether a worker waits that may take a bundle. */
  #isIdle(): boolean {
    return this.#pullers.length > 0 && this.#bundles.length === 0 &&
      this.#running < BUNDLES_AT_ONCE;
  }

  #wake(): void {
    this.#pullers.shift()?.();
  }
}

function isWorthwhile({ bundler, jobs, bytes }: Gathering): boolean {
  return jobs.length >= bundler.filesMax * EARLY_SHARE || bytes >= bundler.bytesMax * EARLY_SHARE;
}

/** First in, first out; taking from the front of an array each time would be slow. */
class Fifo<T> {
  #items: T[] = [];
  #first = 0;

  get length(): number {
    return this.#items.length - this.#first;
  }

  push(item: T): void {
    this.#items.push(item);
  }

  take(): T | undefined {
    if (this.length === 0) return undefined;
    const item = this.#items[this.#first++];
    if (this.#first > 1_024 || this.length === 0) {
      this.#items = this.#items.slice(this.#first);
      this.#first = 0;
    }
    return item;
  }

  clear(): void {
    this.#items = [];
    this.#first = 0;
  }
}
