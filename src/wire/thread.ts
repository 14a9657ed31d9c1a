/**
 * Messages between a process's main thread and its workers, and requests between two workers over a
 * MessagePort.
 */
import type { Clock } from "../base/clock.ts";
import { withTimeout } from "../base/clock.ts";
import type { ErrorReply } from "./errors.ts";
import { decodeError, encodeError, TydfsError } from "./errors.ts";

/** What main sends to a worker. `start` comes first and once. */
export type ToWorker<Start> = { kind: "start"; start: Start } | { kind: "stop" };

/**
 * What a worker sends to main: `ready` (with what it learned at start), then `stopped`; or `failed`
 * instead of either.
 */
export type FromWorker<Ready> =
  | { kind: "ready"; ready: Ready }
  | { kind: "stopped" }
  | { kind: "failed"; error: ErrorReply };

type PortRequest<Request> = { id: number; request: Request };
type PortReply<Reply> = { id: number; reply: Reply } | { id: number; error: ErrorReply };

/** Requests that may wait on one port. */
const WAITING_MAX = 65_536;

/** The asking end of a MessagePort: typed requests with time-outs. */
export class PortCaller<Request, Reply> {
  readonly #port: MessagePort;
  readonly #clock: Clock;
  readonly #timeoutMs: number;
  readonly #other: string;
  readonly #waiting = new Map<
    number,
    { resolve: (reply: Reply) => void; reject: (error: unknown) => void }
  >();
  #lastId = 0;

  /** `other` is what errors call the other end. */
  constructor(port: MessagePort, clock: Clock, timeoutMs: number, other = "the catalog") {
    this.#other = other;
    this.#port = port;
    this.#clock = clock;
    this.#timeoutMs = timeoutMs;
    port.onmessage = (event: MessageEvent) => this.#settle(event.data as PortReply<Reply>);
  }

  /** Asks the other end; throws what it threw, or `timeout`, or `busy` when too many wait. */
  async call(request: Request): Promise<Reply> {
    if (this.#waiting.size >= WAITING_MAX) {
      throw new TydfsError("busy", `Too many requests wait for ${this.#other}`);
    }
    const id = ++this.#lastId;
    const answer = new Promise<Reply>((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject });
    });
    this.#port.postMessage({ id, request });
    const late = () =>
      new TydfsError("timeout", `No answer of ${this.#other} in ${this.#timeoutMs} ms`);
    try {
      return await withTimeout(this.#clock, answer, this.#timeoutMs, late);
    } finally {
      this.#waiting.delete(id);
    }
  }

  #settle(message: PortReply<Reply>): void {
    const waiter = this.#waiting.get(message.id);
    if (waiter === undefined) return;
    if ("error" in message) waiter.reject(decodeError(message.error));
    else waiter.resolve(message.reply);
  }
}

/** The answering end of a MessagePort. */
export function answerPort<Request, Reply>(
  port: MessagePort,
  handler: (request: Request) => Promise<Reply>,
): void {
  port.onmessage = async (event: MessageEvent) => {
    const { id, request } = event.data as PortRequest<Request>;
    try {
      port.postMessage({ id, reply: await handler(request) } satisfies PortReply<Reply>);
    } catch (error) {
      port.postMessage({ id, error: encodeError(error) } satisfies PortReply<Reply>);
    }
  };
}
