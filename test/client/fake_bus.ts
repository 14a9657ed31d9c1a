/** A bus inside one process, and a clock that runs fast: what the client's tests stand on. */
import type { Clock } from "../../src/base/clock.ts";
import { systemClock } from "../../src/base/clock.ts";
import type {
  Bus,
  BusMessage,
  RequestOptions,
  SubscribeOptions,
  Subscription,
} from "../../src/wire/bus.ts";
import { TydfsError } from "../../src/wire/errors.ts";

type Handler = (message: BusMessage) => void | Promise<void>;

/** Delivers within the process. Requests without a handler fail as NATS says it: nobody listens. */
export class FakeBus implements Bus {
  readonly #handlers = new Map<string, Handler>();
  closed = false;

  async request(
    subject: string,
    payload: Uint8Array,
    options: RequestOptions,
  ): Promise<Uint8Array> {
    options.signal?.throwIfAborted();
    const handler = this.#handlers.get(subject);
    if (handler === undefined) throw new TydfsError("unavailable", `Nobody answers "${subject}"`);
    const { promise, resolve } = Promise.withResolvers<Uint8Array>();
    await handler({ subject, payload, respond: resolve });
    return await promise;
  }

  publish(): void {}

  subscribe(subject: string, _options: SubscribeOptions, handler: Handler): Subscription {
    this.#handlers.set(subject, handler);
    return {
      stop: () => {
        this.#handlers.delete(subject);
        return Promise.resolve();
      },
    };
  }

  flush(): Promise<void> {
    return Promise.resolve();
  }

  onReconnect(): void {}

  close(): Promise<void> {
    this.closed = true;
    return Promise.resolve();
  }
}

/** The system's clock, `times` as fast: time-outs of seconds pass in milliseconds. */
export function fastClock(times: number): Clock {
  return {
    wallMs: () => systemClock.wallMs(),
    monotonicMs: () => systemClock.monotonicMs() * times,
    sleep: (ms, signal) => systemClock.sleep(ms / times, signal),
    after: (ms, callback) => systemClock.after(ms / times, callback),
    every: (ms, callback) => systemClock.every(Math.max(1, ms / times), callback),
  };
}
