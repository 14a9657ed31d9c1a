/**
 * A bus in memory with wildcards, queues and time-outs on a test's own clock. Remembers what was
 * published and asked.
 */
import type { Clock } from "../../src/base/clock.ts";
import { withTimeout } from "../../src/base/clock.ts";
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

export class FakeBus implements Bus {
  readonly published: { subject: string; payload: Uint8Array }[] = [];
  readonly asked: string[] = [];
  readonly #clock: Clock;
  #members: Member[] = [];

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  request(subject: string, payload: Uint8Array, options: RequestOptions): Promise<Uint8Array> {
    this.asked.push(subject);
    const member = this.#members.find((each) => matches(each.subject, subject));
    if (member === undefined) {
      return Promise.reject(new TydfsError("unavailable", `Nobody answers "${subject}" now`));
    }
    const answer = new Promise<Uint8Array>((resolve, reject) => {
      options.signal?.addEventListener("abort", () => reject(options.signal?.reason));
      void member.handler({ subject, payload, respond: resolve });
    });
    const late = () => new TydfsError("timeout", `No answer to "${subject}" in time`);
    return withTimeout(this.#clock, answer, options.timeoutMs, late);
  }

  publish(subject: string, payload: Uint8Array): void {
    this.published.push({ subject, payload });
    for (const member of this.#members) {
      if (matches(member.subject, subject)) {
        void member.handler({ subject, payload, respond: () => {} });
      }
    }
  }

  subscribe(
    subject: string,
    options: SubscribeOptions,
    handler: Member["handler"],
  ): Subscription {
    const member: Member = { subject, queue: options.queue, handler };
    this.#members.push(member);
    return {
      stop: async () => {
        this.#members = this.#members.filter((each) => each !== member);
      },
    };
  }

  async flush(): Promise<void> {}

  onReconnect(): void {}

  async close(): Promise<void> {}
}

function matches(pattern: string, subject: string): boolean {
  const words = pattern.split(".");
  const parts = subject.split(".");
  for (const [index, word] of words.entries()) {
    if (word === ">") return parts.length > index;
    if (word !== "*" && word !== parts[index]) return false;
  }
  return words.length === parts.length;
}
