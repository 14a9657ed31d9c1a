/**
 * The one list of worker files, and how threads live: loaded, started, ready, stopped in order. A
 * thread's death is the process's: any close that nobody asked for goes to `onDeath`, and there is
 * no half-alive node.
 */
import { systemClock, withTimeout } from "./base/clock.ts";
import { decodeError, encodeError, TydfsError } from "./wire/errors.ts";
import type { FromWorker, ToWorker } from "./wire/thread.ts";

const WORKER_FILES = {
  tracker: "workers/tracker.ts",
  writer: "workers/writer.ts",
  checker: "workers/checker.ts",
  sentinel: "workers/sentinel.ts",
  auditor: "workers/auditor.ts",
  replicator: "workers/replicator.ts",
  archivist: "workers/archivist.ts",
  streamer: "workers/streamer.ts",
  scrubber: "workers/scrubber.ts",
  receiver: "workers/receiver.ts",
} as const;

export type WorkerKind = keyof typeof WORKER_FILES;

// Compiled, worker files lie beside the binary's root inside its virtual file system; uncompiled,
// in the checkout.
const ROOT = import.meta.dir.startsWith("/$bunfs") || import.meta.dir.includes("~BUN")
  ? "./"
  : new URL("../", import.meta.url).href;

const READY_MS = 30_000;

export interface LoadOptions {
  /** How the log and errors call this thread, e.g. `tracker-0`. */
  name: string;
  /** The thread has ended though nobody stopped it, or has failed: the process must end. */
  onDeath: (error: TydfsError) => void;
}

export interface StartOptions<Start> {
  start: Start;
  /** MessagePorts that go over to the thread. */
  transfer?: MessagePort[];
  /** How long it may take to be ready. */
  readyMs?: number;
}

export type SpawnOptions<Start> = LoadOptions & StartOptions<Start>;

/** A thread that loads its modules, or has: it does nothing else before its start. */
export interface LoadedThread<Start, Ready> {
  readonly name: string;
  /** Starts it and waits until it is ready. Throws what it threw at its start. */
  start(options: StartOptions<Start>): Promise<Thread<Ready>>;
  /** Ends it at once unless it is ready: one that was never started, or is still starting. */
  discard(): void;
}

/** A running thread. */
export interface Thread<Ready> {
  readonly name: string;
  /** What it learned at its start, e.g. its port. */
  readonly ready: Ready;
  /** Asks it to stop in good order and waits for that, no longer than `withinMs`; then ends it. */
  stop(withinMs: number): Promise<void>;
}

/** Loads and starts a thread, and waits until it is ready. Throws what it threw at its start. */
export async function spawnThread<Start, Ready>(
  kind: WorkerKind,
  options: SpawnOptions<Start>,
): Promise<Thread<Ready>> {
  return await loadThread<Start, Ready>(kind, options).start(options);
}

/** Loads a thread's modules, so that they are there when it is known what it is to start with. */
export function loadThread<Start, Ready>(
  kind: WorkerKind,
  { name, onDeath }: LoadOptions,
): LoadedThread<Start, Ready> {
  const worker = new Worker(ROOT + WORKER_FILES[kind], { name });
  const ready = Promise.withResolvers<Ready>();
  const stopped = Promise.withResolvers<void>();
  let stopping = false;
  let isReady = false;

  function die(error: TydfsError): void {
    if (stopping) return stopped.resolve();
    ready.reject(error);
    onDeath(error);
  }
  // Who starts it hears of it; nobody may have yet.
  ready.promise.catch(() => {});
  worker.onmessage = (event: MessageEvent) => {
    const message = event.data as FromWorker<Ready>;
    if (message.kind === "ready") {
      isReady = true;
      ready.resolve(message.ready);
    } else if (message.kind === "stopped") stopped.resolve();
    else die(decodeError(message.error));
  };
  worker.onerror = (event: ErrorEvent) => {
    die(new TydfsError("internal", `Thread ${name} failed: ${event.message}`));
  };
  worker.addEventListener("close", () => {
    die(new TydfsError("internal", `Thread ${name} ended without being asked to`));
  });

  async function stop(withinMs: number): Promise<void> {
    stopping = true;
    worker.postMessage({ kind: "stop" } satisfies ToWorker<Start>);
    try {
      const slow = () => new TydfsError("timeout", `Thread ${name} did not stop in time`);
      await withTimeout(systemClock, stopped.promise, withinMs, slow);
    } finally {
      worker.terminate();
    }
  }
  return {
    name,
    async start({ start, transfer = [], readyMs = READY_MS }) {
      worker.postMessage({ kind: "start", start } satisfies ToWorker<Start>, transfer);
      const late = () => new TydfsError("internal", `Thread ${name} was not ready in time`);
      return { name, ready: await withTimeout(systemClock, ready.promise, readyMs, late), stop };
    },
    discard() {
      if (isReady || stopping) return;
      stopping = true;
      ready.reject(new TydfsError("interrupted", `Thread ${name} was ended before it was ready`));
      worker.terminate();
    },
  };
}

/** What a worker file hands to `runThread`: how it starts, and how what it started stops. */
export interface Running<Ready> {
  ready: Ready;
  stop: () => Promise<void>;
}

/** The body of every worker file: waits for its start message, says ready, stops when asked. */
export function runThread<Start, Ready>(
  start: (start: Start) => Promise<Running<Ready>>,
): void {
  let running: Promise<Running<Ready>> | undefined;
  const post = (message: FromWorker<Ready>) => self.postMessage(message);
  self.onmessage = async (event: MessageEvent) => {
    const message = event.data as ToWorker<Start>;
    try {
      if (message.kind === "start") {
        running = start(message.start);
        post({ kind: "ready", ready: (await running).ready });
      } else {
        await (await running)?.stop();
        post({ kind: "stopped" });
      }
    } catch (error) {
      post({ kind: "failed", error: encodeError(error) });
    }
  };
}
