/**
 * One stream to or from one keeper: never without an end (deadline, stall watch, the user's
 * signal), and every block that comes in is verified before it is handed on. Failover is not
 * decided here.
 */
import type { Clock } from "../base/clock.ts";
import type { ChunkTransport, PortAddress, PutAnswer } from "../wire/chunk_http.ts";
import { TydfsError } from "../wire/errors.ts";
import { BLOCK_BYTES, blockLength, getSum, hashBlock } from "../wire/sums.ts";
import { orAbort } from "./crew.ts";
import { transferDeadlineMs } from "./plan.ts";
import { watchSend } from "./send_progress.ts";

/** A holder that sends nothing for this long is left for another one. */
const STALL_MS = 4_500;
const STALL_CHECK_MS = 500;
const SOURCE_CHECK_MS = 1_000;

export interface SendOptions {
  clock: Clock;
  signal: AbortSignal;
  chunk: string;
  ticket: string;
  body: Blob | Uint8Array;
  sizeBytes: number;
  /**
   * Asked each second; its rejection ends the transfer. An upload of a file that shrinks would
   * never end.
   */
  check: () => Promise<void>;
  /** Hears how many bytes of the chunk the keeper has, while it takes long; never all of them. */
  onReceived: (bytes: number) => void;
}

/**
 * Sends a whole chunk to one keeper. Throws what it says, `unavailable` or `timeout` when it does
 * not answer.
 */
export async function sendToKeeper(
  transport: ChunkTransport,
  address: PortAddress,
  options: SendOptions,
): Promise<PutAnswer> {
  const { clock, chunk, ticket, body, sizeBytes, onReceived } = options;
  const ended = new AbortController();
  const signal = AbortSignal.any([options.signal, ended.signal]);
  const deadlineMs = transferDeadlineMs(sizeBytes);
  const deadline = clock.after(deadlineMs, () => ended.abort(tooSlow(address, deadlineMs)));
  const watch = clock.every(SOURCE_CHECK_MS, () => {
    options.check().catch((error) => ended.abort(error));
  });
  const onSilent = () => ended.abort(silent(address));
  const facts = { clock, chunk, ticket, sizeBytes, onReceived, onSilent };
  const unwatch = watchSend(transport, address, facts);
  try {
    return await orAbort(transport.put(address, { chunk, ticket, body, signal }), signal);
  } finally {
    deadline.stop();
    watch.stop();
    unwatch();
  }
}

/**
 * Takes a verified block (only lent: valid until the promise settles) that starts at `chunkOffset`.
 */
export type BlockTaker = (block: Uint8Array, chunkOffset: number) => Promise<void>;

/** Two blocks of memory: while one is written away, the other fills. */
export type BlockPair = [Uint8Array, Uint8Array];

/** Memory for `receiveBlocks`; one pair for each stream that runs at once, used again and again. */
export function makeBlockPair(): BlockPair {
  return [new Uint8Array(BLOCK_BYTES), new Uint8Array(BLOCK_BYTES)];
}

/** Block pairs of all files of a client: thousands of small ones would each leave theirs behind. */
export class BlockPool {
  readonly #free: BlockPair[] = [];

  /** A pair that nobody else has. */
  take(): BlockPair {
    return this.#free.pop() ?? makeBlockPair();
  }

  /** Gives a pair back. Not after a failure: then a late stream might still write to it. */
  giveBack(pair: BlockPair): void {
    this.#free.push(pair);
  }
}

export interface ReceiveOptions {
  clock: Clock;
  signal: AbortSignal;
  chunk: string;
  ticket: string;
  /** Size and sums of the whole chunk. */
  chunkBytes: number;
  sums: Uint8Array;
  /** Block-aligned, but for `isRight`; `end` may be the chunk's end instead. */
  start: number;
  end: number;
  /** The range is one piece of at most a block, and judged by this instead of the sums. */
  isRight?: (bytes: Uint8Array) => boolean;
  blocks: BlockPair;
  take: BlockTaker;
}

/**
 * Receives blocks from one keeper. Throws `corrupt` on the first that is wrong, `timeout` when the
 * stream stalls.
 */
export async function receiveBlocks(
  transport: ChunkTransport,
  address: PortAddress,
  options: ReceiveOptions,
): Promise<void> {
  const { clock, chunk, ticket, start, end, take } = options;
  const ended = new AbortController();
  const signal = AbortSignal.any([options.signal, ended.signal]);
  const startMs = clock.monotonicMs();
  const deadlineMs = transferDeadlineMs(end - start);
  // Undefined while this side writes: only silence of the keeper is a stall.
  let waitingSinceMs: number | undefined = startMs;
  const watch = clock.every(STALL_CHECK_MS, () => {
    const nowMs = clock.monotonicMs();
    if (waitingSinceMs === undefined) return;
    if (nowMs - waitingSinceMs > STALL_MS) ended.abort(stalled(address));
    else if (nowMs - startMs > deadlineMs) ended.abort(tooSlow(address, deadlineMs));
  });
  const assembler = new BlockAssembler(options, address);
  let pieces: AsyncIterator<Uint8Array> | undefined;
  const gate = new AbortGate(signal);
  try {
    const length = end - start;
    const get = transport.get(address, { chunk, ticket, offset: start, length, signal });
    pieces = (await gate.pass(get))[Symbol.asyncIterator]();
    for (;;) {
      waitingSinceMs = clock.monotonicMs();
      const piece = await gate.pass(pieces.next());
      waitingSinceMs = undefined;
      if (piece.done === true) break;
      await assembler.add(piece.value, take);
    }
    assembler.finish();
  } catch (error) {
    // The connection is dropped, not awaited: the stream may be stuck.
    ended.abort(error);
    pieces?.return?.().catch(() => {});
    throw error;
  } finally {
    watch.stop();
    gate.close();
    await assembler.settled();
  }
}

/**
 * Waits for one promise after the other, and for none once the signal has aborted (a stuck read may
 * ignore it). One listener for the whole stream, and nothing that keeps pieces alive, as
 * `Promise.race` would.
 */
class AbortGate {
  readonly #signal: AbortSignal;
  #reject: (reason: unknown) => void = () => {};
  readonly #onAbort = () => this.#reject(this.#signal.reason);

  constructor(signal: AbortSignal) {
    this.#signal = signal;
    signal.addEventListener("abort", this.#onAbort);
  }

  pass<T>(promise: Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      this.#reject = reject;
      promise.then(resolve, reject);
      if (this.#signal.aborted) this.#onAbort();
    });
  }

  close(): void {
    this.#signal.removeEventListener("abort", this.#onAbort);
  }
}

/**
 * Collects pieces of any size into blocks, verifies each, and has one written away while the next
 * one fills.
 */
class BlockAssembler {
  readonly #options: ReceiveOptions;
  readonly #address: PortAddress;
  #current = 0;
  #filled = 0;
  #position: number;
  #writing: Promise<void> = Promise.resolve();

  constructor(options: ReceiveOptions, address: PortAddress) {
    this.#options = options;
    this.#address = address;
    this.#position = options.start;
  }

  async add(piece: Uint8Array, take: BlockTaker): Promise<void> {
    for (let used = 0; used < piece.length;) {
      const room = this.#blockBytes() - this.#filled;
      if (room <= 0) throw this.#wrongLength();
      const part = piece.subarray(used, used + room);
      this.#buffer().set(part, this.#filled);
      this.#filled += part.length;
      used += part.length;
      if (this.#filled === this.#blockBytes()) await this.#complete(take);
    }
  }

  /** Throws unless every block has come. */
  finish(): void {
    if (this.#position !== this.#options.end) throw this.#wrongLength();
  }

  /** Waits until no memory is lent any more, and passes on the failure of a write. */
  async settled(): Promise<void> {
    await this.#writing;
  }

  async #complete(take: BlockTaker): Promise<void> {
    const { sums, chunk, isRight } = this.#options;
    const block = this.#position / BLOCK_BYTES;
    const bytes = this.#buffer().subarray(0, this.#filled);
    if (isRight === undefined ? hashBlock(bytes) !== getSum(sums, block) : !isRight(bytes)) {
      const { host, port } = this.#address;
      const what = isRight === undefined ? `Block ${block}` : `The file at ${this.#position}`;
      const message = `${what} of chunk ${chunk} from ${host}:${port} has a wrong sum`;
      throw new TydfsError("corrupt", message);
    }
    await this.#writing;
    this.#writing = take(bytes, this.#position);
    // It is awaited later; until then its failure must not count as unhandled.
    this.#writing.catch(() => {});
    this.#position += this.#filled;
    this.#filled = 0;
    this.#current = 1 - this.#current;
  }

  #buffer(): Uint8Array {
    return this.#current === 0 ? this.#options.blocks[0] : this.#options.blocks[1];
  }

  #blockBytes(): number {
    const left = this.#options.end - this.#position;
    if (left <= 0 || this.#options.isRight !== undefined) return left;
    return blockLength(this.#options.chunkBytes, this.#position / BLOCK_BYTES);
  }

  #wrongLength(): TydfsError {
    const { host, port } = this.#address;
    return new TydfsError("unavailable", `The stream from ${host}:${port} has a wrong length`);
  }
}

function stalled(address: PortAddress): TydfsError {
  const place = `${address.host}:${address.port}`;
  return new TydfsError("timeout", `The stream from ${place} stalls: no bytes for 5 s`);
}

function silent(address: PortAddress): TydfsError {
  const place = `${address.host}:${address.port}`;
  return new TydfsError("timeout", `The keeper at ${place} does not answer any more`);
}

function tooSlow(address: PortAddress, deadlineMs: number): TydfsError {
  const place = `${address.host}:${address.port}`;
  const seconds = Math.round(deadlineMs / 1000);
  return new TydfsError("timeout", `The stream with ${place} did not end within ${seconds} s`);
}
