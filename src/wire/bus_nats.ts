/**
 * The bus over NATS: the one door to @nats-io. Reconnects for ever (also through a spell of refused
 * secrets), notices a silent partition in seconds, bounds what a subscription holds, and reports
 * permission violations instead of hiding them.
 */
import type {
  ConnectionOptions,
  Msg,
  NatsConnection,
  Subscription as NatsSubscription,
} from "@nats-io/nats-core/internal";
import {
  AuthorizationError,
  NatsConnectionImpl,
  NoRespondersError,
  PermissionViolationError,
  RequestError,
  setTransportFactory,
  TimeoutError,
} from "@nats-io/nats-core/internal";
import { systemClock } from "../base/clock.ts";
import { Limiter } from "../base/limit.ts";
import type { Log } from "../base/log.ts";
import type { Bus, BusMessage, RequestOptions, SubscribeOptions, Subscription } from "./bus.ts";
import { TydfsError } from "./errors.ts";
import { SocketTransport, TlsWanted } from "./nats_transport.ts";
import { reconnectPause } from "./reconnect_pause.ts";
import type { ClusterUrl } from "./url.ts";

/** Messages that a subscription may hold while its handlers are busy; more are refused by name. */
const WAITING_MAX = 4096;
const CONCURRENCY_DEFAULT = 64;
const RECONNECT_MS = 500;
/** Pause between tries of a command, which is short itself. */
const RETRY_MS = 200;

export interface NatsBusOptions {
  url: ClusterUrl;
  /** Names the connection in NATS's own listings, e.g. `tracker-0`. */
  name: string;
  log: Log;
  /** Time for the first connection in ms; after that it fails with `no-master`. */
  connectMs: number;
  /** Keep trying for ever when the first connection fails for want of a server (roles). */
  waitOnFirstConnect?: boolean;
  /** Try again within `connectMs` when it does (commands): the server may be starting again. */
  retry?: { onWait: (waitMs: number) => void };
  /** The connection has ended for good though nobody has closed it: nothing is heard any more. */
  onClosed?: (error: TydfsError) => void;
}

/** Connects to NATS. Throws `no-master` when no server answers, `denied` on a wrong secret. */
export async function connectNats(options: NatsBusOptions): Promise<Bus> {
  const { url, waitOnFirstConnect = false, retry, connectMs } = options;
  const startMs = systemClock.monotonicMs();
  let leftMs = connectMs;
  for (let attempt = 0;; attempt++) {
    try {
      const connection = await connect({
        servers: `${url.host}:${url.port}`,
        user: url.role,
        pass: url.secret,
        name: options.name,
        inboxPrefix: inboxPrefix(url.role),
        timeout: leftMs,
        maxReconnectAttempts: -1,
        reconnectDelayHandler: reconnectPause(systemClock, RECONNECT_MS),
        pingInterval: 5_000,
        maxPingOut: 2,
        // Waiting is done here: NATS's own would, with the next setting, also wait for ever with a
        // wrong secret.
        waitOnFirstConnect: false,
        // A secret that was right once may be refused for a while, e.g. while an operator changes
        // the server's users; by default the second refusal ends the connection for good.
        ignoreAuthErrorAbort: true,
        ignoreClusterUpdates: false,
      });
      return new NatsBus(connection, options);
    } catch (cause) {
      const failure = connectFailure(url, cause);
      if (failure.code === "denied") throw failure;
      if (waitOnFirstConnect) {
        await systemClock.sleep(RECONNECT_MS);
        continue;
      }
      leftMs = startMs + connectMs - RETRY_MS - systemClock.monotonicMs();
      if (retry === undefined || leftMs < RETRY_MS || isUnknownHost(cause)) throw failure;
      if (attempt === 0) retry.onWait(connectMs);
      await systemClock.sleep(RETRY_MS);
    }
  }
}

/** The library has one kind of transport for all connections of a thread, reconnecting too. */
let needsTls = false;

/** Connects over a plain socket, or by the library's own transport where the server wants TLS. */
async function connect(options: ConnectionOptions): Promise<NatsConnection> {
  if (!needsTls) {
    setTransportFactory({
      factory: () => new SocketTransport(),
      dnsResolveFn: async (host) => (await Bun.dns.lookup(host)).map(({ address }) => address),
    });
    try {
      return await NatsConnectionImpl.connect(options);
    } catch (error) {
      if (!(error instanceof TlsWanted)) throw error;
      needsTls = true;
    }
  }
  const library = await import("@nats-io/transport-node");
  return await library.connect(options);
}

/**
 * Each role listens for replies under a prefix of its own, so that roles can't read each other's.
 */
export function inboxPrefix(role: string): string {
  return `_INBOX_${role}`;
}

/** The bus over a connection that is there; see `connectNats`. */
export class NatsBus implements Bus {
  readonly #connection: NatsConnection;
  readonly #log: Log;
  readonly #onReconnect: (() => void)[] = [];
  #closing = false;

  constructor(connection: NatsConnection, options: Pick<NatsBusOptions, "log" | "onClosed">) {
    this.#connection = connection;
    this.#log = options.log;
    void this.#watchStatus();
    void this.#watchEnd(options.onClosed ?? (() => {}));
  }

  async request(
    subject: string,
    payload: Uint8Array,
    options: RequestOptions,
  ): Promise<Uint8Array> {
    options.signal?.throwIfAborted();
    const answer = this.#connection.request(subject, payload, { timeout: options.timeoutMs });
    try {
      const message = await orAbort(answer, options.signal);
      return message.data;
    } catch (error) {
      throw requestFailure(subject, options.timeoutMs, error);
    }
  }

  publish(subject: string, payload: Uint8Array): void {
    if (this.#connection.isClosed()) return;
    this.#connection.publish(subject, payload);
  }

  subscribe(
    subject: string,
    options: SubscribeOptions,
    handler: (message: BusMessage) => void | Promise<void>,
  ): Subscription {
    const subscription = this.#connection.subscribe(
      subject,
      options.queue === undefined ? {} : { queue: options.queue },
    );
    const limiter = new Limiter(options.concurrency ?? CONCURRENCY_DEFAULT);
    const running = new Set<Promise<void>>();
    const done = this.#pump(subscription, running, (message) =>
      limiter.run(async () => {
        await handler({
          subject: message.subject,
          payload: message.data,
          respond: (reply) => void (this.#connection.isClosed() || message.respond(reply)),
        });
      }));
    return {
      stop: async () => {
        // drain() alone returns while handlers still run: they are awaited here.
        if (!subscription.isClosed()) await subscription.drain();
        await done;
        await Promise.allSettled(running);
      },
    };
  }

  flush(): Promise<void> {
    return this.#connection.flush();
  }

  onReconnect(callback: () => void): void {
    this.#onReconnect.push(callback);
  }

  async close(): Promise<void> {
    this.#closing = true;
    if (this.#connection.isClosed()) return;
    await this.#connection.drain();
  }

  async #pump(
    subscription: NatsSubscription,
    running: Set<Promise<void>>,
    handle: (message: Msg) => Promise<void>,
  ): Promise<void> {
    try {
      for await (const message of subscription) {
        if (running.size >= WAITING_MAX) {
          this.#log.warn("Dropped a message: too many wait", { subject: message.subject });
          continue;
        }
        const task = handle(message).catch((error) => {
          this.#log.error("A message handler failed", { subject: message.subject, error });
        }).finally(() => running.delete(task));
        running.add(task);
      }
    } catch (error) {
      this.#log.error("A subscription ended", { subject: subscription.getSubject(), error });
    }
  }

  async #watchEnd(onClosed: (error: TydfsError) => void): Promise<void> {
    const cause = await this.#connection.closed();
    if (this.#closing) return;
    const reason = cause instanceof Error ? cause.message : "nobody knows why";
    const message = `The connection to NATS has ended for good: ${reason}`;
    this.#log.error(message);
    onClosed(new TydfsError("unavailable", message, { cause }));
  }

  async #watchStatus(): Promise<void> {
    let refused = false;
    for await (const status of this.#connection.status()) {
      if (status.type === "reconnect") {
        refused = false;
        this.#log.info("Connected to NATS again", { server: status.server });
        for (const callback of this.#onReconnect) callback();
      } else if (status.type === "disconnect") {
        this.#log.warn("Lost the connection to NATS", { server: status.server });
      } else if (status.type === "error") {
        // Each try is refused while the secret is: once says it.
        if (refused && status.error instanceof AuthorizationError) continue;
        refused = status.error instanceof AuthorizationError;
        this.#log.warn("NATS reports an error", { error: status.error });
      }
    }
  }
}

function orAbort<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return promise;
  return new Promise((resolve, reject) => {
    const onAbort = () => reject(signal.reason);
    signal.addEventListener("abort", onAbort, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener("abort", onAbort));
  });
}

function requestFailure(subject: string, timeoutMs: number, error: unknown): unknown {
  const cause = error instanceof RequestError && error.cause !== undefined ? error.cause : error;
  if (
    cause instanceof NoRespondersError || (error instanceof RequestError && error.isNoResponders())
  ) {
    return new TydfsError("unavailable", `Nobody answers "${subject}" now`, { cause: error });
  }
  if (cause instanceof TimeoutError) {
    const message = `No answer to "${subject}" within ${timeoutMs} ms`;
    return new TydfsError("timeout", message, { cause: error });
  }
  if (cause instanceof PermissionViolationError) {
    return new TydfsError("denied", `This role may not send "${subject}"`, { cause: error });
  }
  if (error instanceof TydfsError) return error;
  if (error instanceof DOMException) return error;
  return new TydfsError("unavailable", `Cannot send "${subject}"`, { cause: error });
}

/** A name that is wrong today will hardly be right in a second. */
function isUnknownHost(cause: unknown): boolean {
  return cause instanceof Error && /\bENOTFOUND\b/.test(cause.message);
}

/**
 * Whether the server has looked at the secret, and refused it. One that waited for it in vain says
 * so with the same kind of error: this process was held up, and has its secret still to show.
 */
function isRefused(cause: unknown, words: string): boolean {
  if (/authentication timeout/i.test(words)) return false;
  return cause instanceof AuthorizationError || /authorization/i.test(words);
}

function connectFailure(url: ClusterUrl, cause: unknown): TydfsError {
  const place = `${url.host}:${url.port}`;
  const words = cause instanceof Error ? cause.message : String(cause);
  if (isRefused(cause, words)) {
    const message = `Cannot join ${place}: the secret of role "${url.role}" is wrong; ` +
      `take the join line that the master printed`;
    return new TydfsError("denied", message, { cause });
  }
  const reason = isUnknownHost(cause) ? `no host is called "${url.host}"` : words;
  const message = `Cannot reach a master at ${place}: ${reason}; ` +
    `is it running, and is this the right place?`;
  return new TydfsError("no-master", message, { cause });
}
