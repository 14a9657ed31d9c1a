/**
 * A GET of one range over a socket of its own. Measured on 1 GiB: 0.3 s of CPU where the body of
 * `fetch` takes 0.8, and 40 MB less memory, which is worth a connection for each range of MiBs.
 * Never holds more than it has room for: the socket is paused while nobody reads.
 */
import { KIB } from "../base/bytes.ts";

/** Bytes that wait for their reader before the socket is paused. */
const WAITING_MAX = 512 * KIB;
/** A head of more than this is none that a streamer sends. */
const HEAD_MAX = 16 * KIB;

export interface RangeSocketRequest {
  host: string;
  port: number;
  path: string;
  headers: Record<string, string>;
  signal: AbortSignal;
}

/** The head of an answer, and the bytes behind it as they come in, until the peer closes. */
export interface RangeAnswer {
  status: number;
  body: AsyncIterableIterator<Uint8Array>;
}

/**
 * Sends the request and resolves when the head has come. Rejects with what broke, or at once with
 * the signal's reason, also while it still connects.
 */
export async function openRange(request: RangeSocketRequest): Promise<RangeAnswer> {
  const { host, port, path, signal } = request;
  signal.throwIfAborted();
  const stream = new SocketStream();
  const lines = [`GET ${path} HTTP/1.1`, `Host: ${host}:${port}`, "Connection: close"];
  for (const [name, value] of Object.entries(request.headers)) lines.push(`${name}: ${value}`);
  const onAbort = () => stream.fail(signal.reason);
  signal.addEventListener("abort", onAbort, { once: true });
  stream.onEnd = () => signal.removeEventListener("abort", onAbort);
  try {
    await stream.connect(host.replace(/^\[(.*)\]$/, "$1"), port, lines.join("\r\n") + "\r\n\r\n");
    const status = await readHead(stream);
    return { status, body: stream };
  } catch (error) {
    stream.fail(error);
    throw error;
  }
}

/** Reads up to the empty line; what has come of the body is put back. Returns the status. */
async function readHead(stream: SocketStream): Promise<number> {
  let head = Buffer.alloc(0);
  while (head.length <= HEAD_MAX) {
    const piece = await stream.next();
    if (piece.done === true) break;
    head = Buffer.concat([head, piece.value]);
    const end = head.indexOf("\r\n\r\n");
    if (end < 0) continue;
    if (end + 4 < head.length) stream.putBack(head.subarray(end + 4));
    const match = /^HTTP\/1\.1 (\d{3}) /.exec(head.subarray(0, end).toString("latin1"));
    if (match === null) break;
    return Number(match[1]);
  }
  throw new Error("the answer is not HTTP");
}

/** A socket as a stream that is read piece by piece. */
class SocketStream implements AsyncIterableIterator<Uint8Array> {
  onEnd: () => void = () => {};
  readonly #waiting: Uint8Array[] = [];
  #waitingBytes = 0;
  #socket: Bun.Socket | undefined;
  #paused = false;
  #ended = false;
  #error: unknown;
  #reader: PromiseWithResolvers<void> | undefined;
  readonly #over = Promise.withResolvers<void>();

  /** Connects and sends `head`; a host that never answers is given up when the stream fails. */
  async connect(hostname: string, port: number, head: string): Promise<void> {
    const connecting = Bun.connect({
      hostname,
      port,
      socket: {
        data: (_socket, piece) => this.#push(piece),
        close: () => this.#end(),
        end: () => this.#end(),
        error: (_socket, error) => this.fail(error),
        connectError: (_socket, error) => this.fail(error),
      },
    });
    const socket = await Promise.race([connecting, this.#over.promise]);
    if (socket === undefined || this.#ended) {
      // Bun can't be told to stop connecting: what still comes of it is closed then.
      connecting.then((late) => late.terminate(), () => {});
      throw this.#error ?? new Error("the peer closed the connection");
    }
    this.#socket = socket;
    // A request is smaller than any socket's buffer.
    if (socket.write(head) !== Buffer.byteLength(head)) throw new Error("the request was cut");
  }

  async next(): Promise<IteratorResult<Uint8Array>> {
    for (;;) {
      const piece = this.#waiting.shift();
      if (piece !== undefined) {
        this.#waitingBytes -= piece.length;
        return { done: false, value: piece };
      }
      if (this.#error !== undefined) throw this.#error;
      if (this.#ended) return { done: true, value: undefined };
      this.#resume();
      this.#reader = Promise.withResolvers();
      await this.#reader.promise;
    }
  }

  /** The reader wants no more: the connection is dropped. */
  return(): Promise<IteratorResult<Uint8Array>> {
    this.#end();
    return Promise.resolve({ done: true, value: undefined });
  }

  [Symbol.asyncIterator](): AsyncIterableIterator<Uint8Array> {
    return this;
  }

  putBack(piece: Uint8Array): void {
    this.#waiting.unshift(piece);
    this.#waitingBytes += piece.length;
  }

  fail(error: unknown): void {
    if (!this.#ended) this.#error = error;
    this.#end();
  }

  #push(piece: Uint8Array): void {
    if (this.#ended) return;
    this.#waiting.push(piece);
    this.#waitingBytes += piece.length;
    if (this.#waitingBytes > WAITING_MAX && !this.#paused) {
      this.#paused = true;
      this.#socket?.pause();
    }
    this.#wake();
  }

  #resume(): void {
    if (!this.#paused) return;
    this.#paused = false;
    this.#socket?.resume();
  }

  #end(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#socket?.terminate();
    this.#over.resolve();
    this.onEnd();
    this.#wake();
  }

  #wake(): void {
    this.#reader?.resolve();
    this.#reader = undefined;
  }
}
