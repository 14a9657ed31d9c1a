/**
 * The threads that receive large files: made when the first one is wanted, a few at most. Each
 * works on one range at a time, and has the next one waiting, so that it need not wait for this
 * thread in between. Where the platform has no such sockets, or a host no IPv4 address, there are
 * none, and files come the ordinary way.
 */
import { lookup } from "node:dns/promises";
import { isIPv4 } from "node:net";
import { must } from "../../base/assert.ts";
import { MIB } from "../../base/bytes.ts";
import type { Clock } from "../../base/clock.ts";
import { Limiter } from "../../base/limit.ts";
import { hasPollSockets } from "../../base/poll_socket.ts";
import type { Thread } from "../../threads.ts";
import { spawnThread } from "../../threads.ts";
import type { PortAddress } from "../../wire/chunk_http.ts";
import { readError, TICKET_HEADER } from "../../wire/chunk_http.ts";
import { PortCaller } from "../../wire/thread.ts";
import { localError } from "../local_files.ts";
import { transferDeadlineMs } from "../plan.ts";
import type { RangeJob, RangeOutcome } from "./receive_range.ts";
import { RangeState } from "./receive_range.ts";

/** Start message of a receiver's thread. */
export interface ReceiverStart {
  port: MessagePort;
  /** The state of the job in each seat. */
  states: SharedArrayBuffer[];
}

/** What a receiver's thread is asked: a job, and the seat that it has. */
export interface SeatedJob {
  seat: number;
  job: RangeJob;
}

/** Files and ranges of fewer bytes come the ordinary way. */
export const RECEIVER_BYTES_MIN = MIB;
/** Bytes that a client must want before it makes threads for them. */
const WORTH_BYTES = 4 * MIB;

const THREADS_MAX = 2;
/** Jobs that one thread has: one that it works on, and those that wait there. */
const SEATS = 2;
const STALL_MS = 4_500;
const TELL_MS = 50;
const STOP_MS = 2_000;
/** Beyond all deadlines of a range: a file system that hangs holds its thread. */
const ANSWER_MS = 30 * 60_000;

/** A range that a receiver is to bring into a file. */
export interface ReceiveRequest {
  chunk: string;
  ticket: string;
  chunkBytes: number;
  sums: Uint8Array;
  start: number;
  end: number;
  file: WantedPart;
  signal: AbortSignal;
  /** Hears where the next block starts: all before it is written. */
  onNext: (next: number) => void;
}

/** Which bytes of a chunk go where in an open file. */
export interface WantedPart {
  fd: number;
  path: string;
  wantStart: number;
  wantEnd: number;
  shift: number;
}

interface Receiver {
  thread: Thread<Record<string, never>>;
  port: MessagePort;
  caller: PortCaller<SeatedJob, RangeOutcome>;
  states: RangeState[];
  /** Seats that no job has. */
  free: number[];
  /** Rejects when the thread dies. */
  death: Promise<never>;
}

/** A thread, made when it has its first job, and how many jobs it has. */
interface Place {
  jobs: number;
  /** Undefined where no thread can be made. */
  receiver?: Promise<Receiver | undefined>;
}

export class Receivers {
  readonly #clock: Clock;
  readonly #stallMs: number;
  readonly #turns = new Limiter(THREADS_MAX * SEATS);
  readonly #places: Place[] = Array.from({ length: THREADS_MAX }, () => ({ jobs: 0 }));
  readonly #all = new Set<Receiver>();
  #broken = !hasPollSockets;
  #askedBytes = 0;

  /** `stallMs` is for tests. */
  constructor(clock: Clock, stallMs = STALL_MS) {
    this.#clock = clock;
    this.#stallMs = stallMs;
  }

  /**
   * Whether a file of this size is to come by receivers: they pay off when there is much to get,
   * in one file or in many.
   */
  pay(sizeBytes: number): boolean {
    this.#askedBytes += sizeBytes;
    return !this.#broken && sizeBytes >= RECEIVER_BYTES_MIN && this.#askedBytes >= WORTH_BYTES;
  }

  /**
   * Receives a range; resolves to false when there is no receiver for it, and it is to be had the
   * ordinary way. Throws as `receiveBlocks` does, and `local` when the file can't be written.
   */
  async receive(address: PortAddress, request: ReceiveRequest): Promise<boolean> {
    const host = await addressOf(address.host);
    if (host === undefined) return false;
    return await this.#turns.run(async () => {
      const place = this.#leastBusy();
      place.jobs++;
      try {
        place.receiver ??= this.#spawn();
        const receiver = await place.receiver;
        request.signal.throwIfAborted();
        if (receiver === undefined || this.#broken) return false;
        await this.#seat(receiver, this.#job(host, address, request), address, request);
        return true;
      } finally {
        place.jobs--;
      }
    });
  }

  /** Ends the threads. */
  async close(): Promise<void> {
    this.#broken = true;
    for (const state of [...this.#all].flatMap(({ states }) => states)) state.stop();
    await Promise.all([...this.#all].map(async ({ thread, port }) => {
      await thread.stop(STOP_MS).catch(() => {});
      port.close();
    }));
    this.#all.clear();
  }

  /** The one with the fewest jobs: a client that gets one range at a time needs one thread. */
  #leastBusy(): Place {
    return this.#places.reduce((best, place) => place.jobs < best.jobs ? place : best);
  }

  async #seat(
    { caller, states, free, death }: Receiver,
    job: RangeJob,
    address: PortAddress,
    { signal, onNext, file }: ReceiveRequest,
  ): Promise<void> {
    const seat = must(free.pop(), "a seat");
    const state = must(states[seat], "a seat's state");
    state.begin(job.start);
    // The thread writes to the file: nobody may close that before it has ended.
    const onAbort = () => state.stop();
    signal.addEventListener("abort", onAbort, { once: true });
    const timer = this.#clock.every(TELL_MS, () => onNext(state.next));
    try {
      if (signal.aborted) state.stop();
      const outcome = await Promise.race([caller.call({ seat, job }), death]);
      if (outcome.kind === "done") return;
      if (outcome.kind === "refused") {
        const { status, text } = outcome;
        throw await readError(new Response(text, { status }), address);
      }
      const cause = Object.assign(new Error(outcome.message), { code: outcome.code });
      throw localError("write", file.path, cause);
    } finally {
      timer.stop();
      signal.removeEventListener("abort", onAbort);
      onNext(state.next);
      free.push(seat);
    }
  }

  async #spawn(): Promise<Receiver | undefined> {
    const { port1, port2 } = new MessageChannel();
    const states = Array.from({ length: SEATS }, () => new RangeState());
    const start: ReceiverStart = { port: port2, states: states.map(({ buffer }) => buffer) };
    const death = Promise.withResolvers<never>();
    // Heard by whoever waits for it just then.
    death.promise.catch(() => {});
    try {
      const thread = await spawnThread<ReceiverStart, Record<string, never>>("receiver", {
        ...{ name: "receiver", start, transfer: [port2] },
        onDeath: (error) => {
          this.#broken = true;
          death.reject(error);
        },
      });
      const caller = new PortCaller<SeatedJob, RangeOutcome>(
        port1,
        this.#clock,
        ANSWER_MS,
        "a receiver",
      );
      const free = states.map((_, seat) => seat);
      const receiver = { thread, port: port1, caller, states, free, death: death.promise };
      this.#all.add(receiver);
      return receiver;
    } catch {
      this.#broken = true;
      return undefined;
    }
  }

  #job(
    address: string,
    { host, port }: PortAddress,
    { chunk, ticket, chunkBytes, sums, start, end, file }: ReceiveRequest,
  ): RangeJob {
    const { fd, wantStart, wantEnd, shift } = file;
    const request = [
      `GET /chunk/${chunk} HTTP/1.1`,
      `Host: ${host}:${port}`,
      "Connection: close",
      `${TICKET_HEADER}: ${ticket}`,
      `Range: bytes=${start}-${end - 1}`,
    ].join("\r\n") + "\r\n\r\n";
    return {
      ...{ address, port, request, chunk, chunkBytes, sums, start, end, fd, wantStart, wantEnd },
      ...{ shift, stallMs: this.#stallMs, deadlineMs: transferDeadlineMs(end - start) },
    };
  }
}

/** A host's IPv4 address; undefined when it has none. */
async function addressOf(host: string): Promise<string | undefined> {
  if (isIPv4(host)) return host;
  const found = await lookup(host, { family: 4 }).catch(() => undefined);
  return found !== undefined && isIPv4(found.address) ? found.address : undefined;
}
