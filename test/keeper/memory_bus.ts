/**
 * A bus in memory: who subscribes answers at once, queue groups in turn. Knows what was published.
 */
import type {
  Bus,
  BusMessage,
  RequestOptions,
  SubscribeOptions,
  Subscription,
} from "../../src/wire/bus.ts";
import { TydfsError } from "../../src/wire/errors.ts";

interface Member {
  subject: string;
  queue: string | undefined;
  handler: (message: BusMessage) => void | Promise<void>;
}

export class MemoryBus implements Bus {
  readonly published: { subject: string; payload: Uint8Array }[] = [];
  readonly #members: Member[] = [];
  readonly #onReconnect: (() => void)[] = [];
  #turn = 0;

  request(subject: string, payload: Uint8Array, options: RequestOptions): Promise<Uint8Array> {
    const members = this.#members.filter((member) => member.subject === subject);
    const member = members[this.#turn++ % Math.max(1, members.length)];
    if (member === undefined) {
      return Promise.reject(new TydfsError("unavailable", `Nobody answers "${subject}" now`));
    }
    return new Promise((resolve, reject) => {
      options.signal?.addEventListener("abort", () => reject(options.signal?.reason));
      void member.handler({ subject, payload, respond: resolve });
    });
  }

  publish(subject: string, payload: Uint8Array): void {
    this.published.push({ subject, payload });
  }

  subscribe(
    subject: string,
    options: SubscribeOptions,
    handler: Member["handler"],
  ): Subscription {
    const member: Member = { subject, queue: options.queue, handler };
    this.#members.push(member);
    return {
      stop: async () => void this.#members.splice(this.#members.indexOf(member), 1),
    };
  }

  async flush(): Promise<void> {}

  onReconnect(callback: () => void): void {
    this.#onReconnect.push(callback);
  }

  reconnect(): void {
    for (const callback of this.#onReconnect) callback();
  }

  async close(): Promise<void> {}
}
