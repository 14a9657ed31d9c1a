/**
 * Receives one range of a chunk into an open file, in a thread of its own: each block comes from
 * the kernel into one buffer, is compared with its sum, and is written from there. What
 * `transfer.ts` does with pieces and promises, as far as a large file needs it.
 */
import { writeSync } from "node:fs";
import type { Clock } from "../../base/clock.ts";
import { KIB } from "../../base/bytes.ts";
import { failpoint } from "../../base/failpoint.ts";
import { PollSocket } from "../../base/poll_socket.ts";
import { TydfsError } from "../../wire/errors.ts";
import { BLOCK_BYTES, blockLength, getSum, hashBlock } from "../../wire/sums.ts";

/** What is to be received. Offsets are those in the chunk, whole blocks. */
export interface RangeJob {
  /** The keeper's IPv4 address and port. */
  address: string;
  port: number;
  /** The whole request. */
  request: string;
  chunk: string;
  chunkBytes: number;
  sums: Uint8Array;
  start: number;
  end: number;
  /** The bytes that are written, and how far behind their place in the chunk they belong. */
  wantStart: number;
  wantEnd: number;
  shift: number;
  /** The open file: threads of a process share it. */
  fd: number;
  /** Time without a byte, and in all, after which the keeper is given up. */
  stallMs: number;
  deadlineMs: number;
}

/** How a range ended; an error of the file is told apart, since no other keeper mends that. */
export type RangeOutcome =
  | { kind: "done" }
  /** The keeper's own words. */
  | { kind: "refused"; status: number; text: string }
  | { kind: "file"; code: string; message: string };

/** Shared with the thread that asks: whether to stop, and where the next block starts. */
export class RangeState {
  readonly buffer: SharedArrayBuffer;
  readonly #stop: Int32Array;
  readonly #next: Float64Array;

  constructor(buffer = new SharedArrayBuffer(16)) {
    this.buffer = buffer;
    this.#stop = new Int32Array(buffer, 0, 1);
    this.#next = new Float64Array(buffer, 8, 1);
  }

  get stopped(): boolean {
    return Atomics.load(this.#stop, 0) !== 0;
  }

  stop(): void {
    Atomics.store(this.#stop, 0, 1);
  }

  /** All before this is verified and written. */
  get next(): number {
    return this.#next[0] ?? 0;
  }

  /** Begins anew. */
  begin(next: number): void {
    this.#next[0] = next;
    Atomics.store(this.#stop, 0, 0);
  }

  reach(next: number): void {
    this.#next[0] = next;
  }
}

const HEAD_MAX = 16 * KIB;
const REFUSAL_MAX = 64 * KIB;
const HEAD_END = "\r\n\r\n";

const block = new Uint8Array(BLOCK_BYTES);

/**
 * Receives, verifies and writes a range. Throws `corrupt` on a wrong block, `timeout` on a stall,
 * `interrupted` when it is told to stop, `unavailable` when the connection breaks.
 */
export function receiveRange(job: RangeJob, state: RangeState, clock: Clock): RangeOutcome {
  const place = `${job.address}:${job.port}`;
  const startMs = clock.monotonicMs();
  let heardMs = startMs;
  const going = () => {
    if (state.stopped) throw new TydfsError("interrupted", "The transfer was stopped");
    const nowMs = clock.monotonicMs();
    if (nowMs - heardMs > job.stallMs) {
      throw new TydfsError("timeout", `The stream from ${place} stalls: no bytes for 5 s`);
    }
    if (nowMs - startMs > job.deadlineMs) {
      throw new TydfsError("timeout", `The stream with ${place} takes too long`);
    }
  };
  let socket: PollSocket | undefined;
  try {
    socket = PollSocket.connect(job.address, job.port, going);
    const stream = socket;
    const receive = (into: Uint8Array, at: number, length: number) => {
      const count = stream.receive(into, at, length, going);
      heardMs = clock.monotonicMs();
      return count;
    };
    stream.send(Buffer.from(job.request), going);
    const head = readHead(receive);
    if (head.status !== 206) return { kind: "refused", ...readRefusal(head, receive) };
    return receiveBlocks(job, state, head.rest, (into, at, length) => {
      const count = receive(into, at, length);
      if (count > 0) return count;
      throw new Error("it ends too soon");
    }, () => heardMs = clock.monotonicMs());
  } catch (cause) {
    if (cause instanceof TydfsError) throw cause;
    throw new TydfsError("unavailable", `The stream from ${place} broke`, { cause });
  } finally {
    socket?.close();
  }
}

type Receive = (into: Uint8Array, at: number, length: number) => number;

interface Head {
  status: number;
  /** What came behind the head; valid until the next head is read. */
  rest: Uint8Array;
}

function readHead(receive: Receive): Head {
  const bytes = Buffer.alloc(HEAD_MAX);
  for (let filled = 0; filled < HEAD_MAX;) {
    const count = receive(bytes, filled, HEAD_MAX - filled);
    if (count === 0) break;
    filled += count;
    const end = bytes.subarray(0, filled).indexOf(HEAD_END);
    if (end < 0) continue;
    const match = /^HTTP\/1\.1 (\d{3}) /.exec(bytes.subarray(0, end).toString("latin1"));
    if (match === null) break;
    return { status: Number(match[1]), rest: bytes.subarray(end + HEAD_END.length, filled) };
  }
  throw new Error("the answer is not HTTP");
}

function readRefusal({ status, rest }: Head, receive: Receive): { status: number; text: string } {
  const bytes = Buffer.alloc(REFUSAL_MAX);
  bytes.set(rest);
  let filled = rest.length;
  while (filled < REFUSAL_MAX) {
    const count = receive(bytes, filled, REFUSAL_MAX - filled);
    if (count === 0) break;
    filled += count;
  }
  return { status, text: bytes.subarray(0, filled).toString() };
}

function receiveBlocks(
  job: RangeJob,
  state: RangeState,
  rest: Uint8Array,
  receive: Receive,
  onWritten: () => void,
): RangeOutcome {
  const { chunk, chunkBytes, sums, start, end, address, port } = job;
  let left = rest;
  for (let position = start; position < end;) {
    const index = position / BLOCK_BYTES;
    const length = Math.min(blockLength(chunkBytes, index), end - position);
    const ahead = left.subarray(0, length);
    block.set(ahead);
    left = left.subarray(ahead.length);
    for (let filled = ahead.length; filled < length;) {
      filled += receive(block, filled, length - filled);
    }
    const bytes = block.subarray(0, length);
    if (hashBlock(bytes) !== getSum(sums, index)) {
      const message = `Block ${index} of chunk ${chunk} from ${address}:${port} has a wrong sum`;
      throw new TydfsError("corrupt", message);
    }
    const failure = writeWanted(job, bytes, position);
    if (failure !== undefined) return failure;
    void failpoint("client.get.written");
    // While this side writes, the keeper's silence is no stall.
    onWritten();
    position += length;
    state.reach(position);
  }
  return { kind: "done" };
}

/** Writes what is wanted of a block to its place; returns what is wrong with the file, if so. */
function writeWanted(job: RangeJob, bytes: Uint8Array, position: number): RangeOutcome | undefined {
  const { wantStart, wantEnd, shift, fd } = job;
  const from = Math.max(wantStart, position) - position;
  const to = Math.min(wantEnd, position + bytes.length) - position;
  try {
    for (let at = from; at < to;) at += writeSync(fd, bytes, at, to - at, position + at + shift);
    return undefined;
  } catch (error) {
    const { code = "", message } = error as Error & { code?: string };
    return { kind: "file", code, message };
  }
}
