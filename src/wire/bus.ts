/**
 * The bus: requests, heartbeats, commands and events between processes, as an interface that a
 * simulator can take over. Bytes and subjects only; `call` and `serve` add schemas and typed
 * errors.
 */
import { dieOfBrokenInvariant } from "../base/assert.ts";
import { decode, encode, validate } from "./codec.ts";
import { decodeError, encodeError } from "./errors.ts";
import type { Rpc } from "./rpc.ts";
import { ReplyEnvelope } from "./rpc.ts";
import type { Schema } from "./codec.ts";

export interface RequestOptions {
  timeoutMs: number;
  signal?: AbortSignal;
}

export interface SubscribeOptions {
  /** Members of one queue share the messages; without it every subscriber hears all. */
  queue?: string;
  /**
   * Messages of this subscription that are handled at once; more of them wait (bounded by the bus).
   */
  concurrency?: number;
}

/** A message as it comes in. `respond` does nothing when the sender asked for no reply. */
export interface BusMessage {
  readonly subject: string;
  readonly payload: Uint8Array;
  respond(payload: Uint8Array): void;
}

export interface Subscription {
  /** Takes no more messages, and waits for the handlers that still run. */
  stop(): Promise<void>;
}

export interface Bus {
  /** Rejects with `timeout`, `unavailable` (nobody listens: nothing was done) or `denied`. */
  request(subject: string, payload: Uint8Array, options: RequestOptions): Promise<Uint8Array>;
  /** Sends without an answer. While disconnected it is dropped: the truth must come from state. */
  publish(subject: string, payload: Uint8Array): void;
  subscribe(
    subject: string,
    options: SubscribeOptions,
    handler: (message: BusMessage) => void | Promise<void>,
  ): Subscription;
  /** Waits until the server has seen everything that was sent. */
  flush(): Promise<void>;
  /** Calls back whenever the connection is back after a loss. */
  onReconnect(callback: () => void): void;
  /** Flushes and closes. Subscriptions must be stopped before. */
  close(): Promise<void>;
}

/** Calls a remote procedure; throws what the peer threw, or `timeout`, `unavailable`, `invalid`. */
export async function call<Request, Reply>(
  bus: Bus,
  subject: string,
  procedure: Rpc<Request, Reply>,
  request: Request,
  options: RequestOptions,
): Promise<Reply> {
  const bytes = await bus.request(subject, encode(request), options);
  const reply = decode(ReplyEnvelope, bytes, `the reply to ${procedure.name}`);
  if (!reply.ok) throw decodeError(reply);
  return validate(procedure.reply, reply.value, `the reply to ${procedure.name}`);
}

/** What `serve` tells of a call that failed. */
export type FailureListener = (name: string, error: unknown) => void;

/** Answers a remote procedure on `subject`: checks the request, encodes the reply or the error. */
export function serve<Request, Reply>(
  bus: Bus,
  subject: string,
  procedure: Rpc<Request, Reply>,
  options: SubscribeOptions & { onFailure: FailureListener },
  handler: (request: Request, subject: string) => Reply | Promise<Reply>,
): Subscription {
  return bus.subscribe(subject, options, async (message) => {
    try {
      const request = decode(procedure.request, message.payload, `the request ${procedure.name}`);
      const value = await handler(request, message.subject);
      message.respond(encode({ ok: true, value }));
    } catch (error) {
      if (dieOfBrokenInvariant(error)) return;
      options.onFailure(procedure.name, error);
      message.respond(encode(encodeError(error)));
    }
  });
}

/** Hears messages of one schema; malformed ones go to `onFailure` and are dropped. */
export function listen<Message>(
  bus: Bus,
  subject: string,
  schema: Schema<Message>,
  onFailure: FailureListener,
  handler: (message: Message, subject: string) => void | Promise<void>,
): Subscription {
  return bus.subscribe(subject, {}, async (message) => {
    try {
      await handler(decode(schema, message.payload, `a message on ${subject}`), message.subject);
    } catch (error) {
      if (dieOfBrokenInvariant(error)) return;
      onFailure(subject, error);
    }
  });
}
