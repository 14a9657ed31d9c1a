/**
 * NATS in memory: subjects with wildcards, queue groups, no-responders, time-outs on virtual time.
 * Messages can be lost, doubled, late and out of order; a link that stays cut costs a client its
 * connection, and its subscriptions are back when the link is.
 */
import { Limiter } from "../../src/base/limit.ts";
import type {
  Bus,
  BusMessage,
  RequestOptions,
  SubscribeOptions,
  Subscription,
} from "../../src/wire/bus.ts";
import { TydfsError } from "../../src/wire/errors.ts";
import { type Links, NATS } from "./links.ts";
import type { SimProcess } from "./process.ts";
import type { Trace } from "./trace.ts";
import type { VirtualTime } from "./virtual_time.ts";

type Handler = (message: BusMessage) => void | Promise<void>;

interface Member {
  subject: string;
  words: string[];
  queue: string | undefined;
  handler: Handler;
  limiter: Limiter;
  running: Set<Promise<void>>;
  bus: SimBus;
}

interface Travel {
  way: "up" | "down";
  from: string;
  to: string;
  subject: string;
}

/** What is never sent twice: neither by NATS nor by the client (see `Trackers.ask`). */
const ONCE = /\.rpc\.(file\.(remove|rename|copy)|trash\.restore)/;
/** As in `NatsBus`. */
const CONCURRENCY_DEFAULT = 64;
const PAYLOAD_MAX = 1024 * 1024;
/** A cut link is noticed after two pings (RELIABILITY.md §4), and mended within a second. */
const NOTICE_MS = 10_000;
const RECONNECT_MS = 700;

export class BusServer {
  readonly #time: VirtualTime;
  readonly #links: Links;
  readonly #trace: Trace;
  readonly #buses = new Set<SimBus>();
  /** Who hears a subject, as long as nobody comes or goes. */
  readonly #heardBy = new Map<string, readonly Member[]>();

  constructor(time: VirtualTime, links: Links, trace: Trace) {
    this.#time = time;
    this.#links = links;
    this.#trace = trace;
    links.onChange(() => {
      for (const bus of this.#buses) bus.watchLink();
    });
  }

  /** Connects a process. */
  connect(process: SimProcess): SimBus {
    const bus = new SimBus(this, process, this.#time, this.#links, this.#trace);
    this.#buses.add(bus);
    process.onKill(() => this.forget(bus));
    bus.watchLink();
    return bus;
  }

  /** Ends a connection. */
  forget(bus: SimBus): void {
    this.#buses.delete(bus);
    this.changed();
  }

  /** Somebody has come or gone. */
  changed(): void {
    this.#heardBy.clear();
  }

  /** Hands a message on; whether anybody listens. */
  route(subject: string, payload: Uint8Array, respond: (reply: Uint8Array) => void): boolean {
    const members = this.#heardBy.get(subject) ?? this.#listeners(subject);
    this.#heardBy.set(subject, members);
    const groups = new Map<string, Member[]>();
    for (const member of members) {
      if (member.queue === undefined) {
        member.bus.deliver(member, { subject, payload, respond });
        continue;
      }
      groups.set(member.queue, [...groups.get(member.queue) ?? [], member]);
    }
    for (const group of groups.values()) {
      const member = group[Math.floor(this.#links.random.next() * group.length)];
      member?.bus.deliver(member, { subject, payload, respond });
    }
    return members.length > 0;
  }

  #listeners(subject: string): Member[] {
    const parts = subject.split(".");
    return [...this.#buses].flatMap((bus) => bus.members)
      .filter(({ words }) => matches(words, parts));
  }
}

/** One connection. */
export class SimBus implements Bus {
  readonly process: SimProcess;
  readonly #server: BusServer;
  readonly #time: VirtualTime;
  readonly #links: Links;
  readonly #trace: Trace;
  readonly #onReconnect: (() => void)[] = [];
  #members: Member[] = [];
  #connected = true;
  #closed = false;
  /** Until when what was sent before is under way, to and from the server. */
  readonly #busyUntilMs = { up: 0, down: 0 };

  constructor(
    server: BusServer,
    process: SimProcess,
    time: VirtualTime,
    links: Links,
    trace: Trace,
  ) {
    this.#server = server;
    this.process = process;
    this.#time = time;
    this.#links = links;
    this.#trace = trace;
  }

  /** Subscriptions that the server knows of. */
  get members(): readonly Member[] {
    return this.#connected ? this.#members : [];
  }

  request(subject: string, payload: Uint8Array, options: RequestOptions): Promise<Uint8Array> {
    const { timeoutMs, signal } = options;
    if (signal?.aborted) return Promise.reject(signal.reason);
    return new Promise((resolve, reject) => {
      const end = () => {
        timer.stop();
        signal?.removeEventListener("abort", onAbort);
      };
      const fail = (error: unknown) => {
        end();
        reject(error);
      };
      const onAbort = () => fail(abortReason(subject, signal?.reason));
      const timer = this.process.after(timeoutMs, () => {
        fail(new TydfsError("timeout", `No answer to "${subject}" within ${timeoutMs} ms`));
      });
      signal?.addEventListener("abort", onAbort, { once: true });
      const answer = (reply: Uint8Array) => {
        end();
        resolve(reply);
      };
      this.#note("ask", subject);
      this.#up(payload, subject, () => {
        const respond = (reply: Uint8Array) => this.#down(`reply ${subject}`, () => answer(reply));
        if (this.#server.route(subject, payload, respond)) return;
        const nobody = new TydfsError("unavailable", `Nobody answers "${subject}" now`);
        this.#down(`nobody ${subject}`, () => fail(nobody));
      });
    });
  }

  publish(subject: string, payload: Uint8Array): void {
    if (this.#closed || !this.#connected) return;
    this.#up(payload, subject, () => this.#server.route(subject, payload, () => {}));
  }

  subscribe(subject: string, options: SubscribeOptions, handler: Handler): Subscription {
    const member: Member = {
      ...{ subject, words: subject.split("."), queue: options.queue, handler, bus: this },
      limiter: new Limiter(options.concurrency ?? CONCURRENCY_DEFAULT),
      running: new Set(),
    };
    this.#members.push(member);
    this.#server.changed();
    return {
      stop: async () => {
        this.#members = this.#members.filter((each) => each !== member);
        this.#server.changed();
        await Promise.allSettled(member.running);
      },
    };
  }

  flush(): Promise<void> {
    return this.process.later(this.#links.delayMs() * 2, () => {});
  }

  onReconnect(callback: () => void): void {
    this.#onReconnect.push(callback);
  }

  close(): Promise<void> {
    this.#closed = true;
    this.#members = [];
    this.#server.forget(this);
    return Promise.resolve();
  }

  /** Brings a message to one of this connection's subscriptions. */
  deliver(
    member: Member,
    message: { subject: string; payload: Uint8Array; respond: (reply: Uint8Array) => void },
  ): void {
    this.#down(message.subject, () => {
      if (!this.#members.includes(member)) return;
      const { subject, payload } = message;
      const respond = (reply: Uint8Array) => {
        if (!this.#closed) this.#up(reply, subject, () => message.respond(reply));
      };
      const task = member.limiter.run(async () => {
        if (this.process.alive) await member.handler({ subject, payload, respond });
      }).catch((error) => {
        this.#trace.note(this.process.name, "FAILED", `${subject}: ${String(error)}`);
      }).finally(() => member.running.delete(task));
      member.running.add(task);
    });
  }

  /** A link that was cut or mended: the connection goes, or comes back, after a while. */
  watchLink(): void {
    const whole = this.#isLinked();
    if (!whole && this.#connected) {
      this.#time.after(NOTICE_MS, () => {
        if (this.#isLinked() || !this.#connected) return;
        this.#connected = false;
        this.#server.changed();
        this.#note("offline", "");
      });
    } else if (whole && !this.#connected) {
      this.#time.after(RECONNECT_MS, () => {
        if (!this.#isLinked() || this.#connected || this.#closed || !this.process.alive) return;
        this.#connected = true;
        this.#server.changed();
        this.#note("online", "");
        for (const callback of this.#onReconnect) callback();
      });
    }
  }

  #isLinked(): boolean {
    const { node } = this.process;
    return this.#links.passes(node, NATS) && this.#links.passes(NATS, node);
  }

  /** Sends to the server, which then does `arrive`. */
  #up(payload: Uint8Array, subject: string, arrive: () => void): void {
    if (!this.process.alive || !this.#connected) return;
    if (payload.length > PAYLOAD_MAX) throw new Error("A message exceeds NATS's limit");
    this.#travel({ way: "up", from: this.process.node, to: NATS, subject }, arrive);
  }

  /** Brings something from the server to this process, which then does `arrive`. */
  #down(what: string, arrive: () => void): void {
    this.#travel({ way: "down", from: NATS, to: this.process.node, subject: what }, () => {
      if (!this.process.alive || !this.#connected) return;
      this.#note("hear", what);
      arrive();
    });
  }

  #travel({ way, from, to, subject }: Travel, arrive: () => void): void {
    const { weather } = this.#links;
    const isDoubled = this.#links.chance(weather.double) && !ONCE.test(subject);
    for (let copies = isDoubled ? 2 : 1; copies > 0; copies--) {
      if (this.#links.chance(weather.loss)) continue;
      let atMs = this.#time.nowMs + this.#links.delayMs();
      if (!weather.reorder) atMs = Math.max(atMs, this.#busyUntilMs[way]);
      this.#busyUntilMs[way] = atMs;
      this.#time.after(atMs - this.#time.nowMs, () => {
        if (this.#links.passes(from, to)) arrive();
      });
    }
  }

  #note(event: string, what: string): void {
    if (what.includes(".heartbeat.")) return;
    this.#trace.note(this.process.name, event, what);
  }
}

function abortReason(subject: string, reason: unknown): unknown {
  if (reason instanceof TydfsError || reason instanceof DOMException) return reason;
  return new TydfsError("unavailable", `Cannot send "${subject}"`, { cause: reason });
}

function matches(pattern: readonly string[], parts: readonly string[]): boolean {
  for (const [index, word] of pattern.entries()) {
    if (word === ">") return parts.length > index;
    if (word !== "*" && word !== parts[index]) return false;
  }
  return pattern.length === parts.length;
}
