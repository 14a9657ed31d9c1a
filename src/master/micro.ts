/**
 * Shows a role to `nats micro ls`: answers `$SRV.PING`, `$SRV.INFO` and `$SRV.STATS` in the JSON of
 * NATS's service protocol (ADR-32), for all services, for one name, and for one instance.
 */
import type { Clock } from "../base/clock.ts";
import type { Bus, Subscription } from "../wire/bus.ts";

export interface MicroEndpoint {
  name: string;
  subject: string;
  queue: string;
}

export interface MicroOptions {
  /** The service, e.g. `tydfs-tracker`. */
  name: string;
  /** This instance of it. */
  id: string;
  version: string;
  description: string;
  endpoints: readonly MicroEndpoint[];
  bus: Bus;
  clock: Clock;
}

interface Tally {
  requests: number;
  errors: number;
  lastError: string;
  spentMs: number;
}

const ERROR_CHARS_MAX = 200;
const NANOSECONDS = 1e6;

export class Micro {
  readonly #options: MicroOptions;
  readonly #tallies: Map<string, Tally>;
  readonly #started: string;
  #subscriptions: Subscription[] = [];

  constructor(options: MicroOptions) {
    this.#options = options;
    this.#tallies = new Map(
      options.endpoints.map(({ name }) => [
        name,
        { requests: 0, errors: 0, lastError: "", spentMs: 0 },
      ]),
    );
    this.#started = new Date(options.clock.wallMs()).toISOString();
  }

  /** Begins to answer. */
  start(): void {
    const { bus, name, id } = this.#options;
    const answers = { PING: () => ({}), INFO: () => this.#info(), STATS: () => this.#stats() };
    for (const [verb, describe] of Object.entries(answers)) {
      const type = `io.nats.micro.v1.${verb.toLowerCase()}_response`;
      for (
        const subject of [`$SRV.${verb}`, `$SRV.${verb}.${name}`, `$SRV.${verb}.${name}.${id}`]
      ) {
        this.#subscriptions.push(bus.subscribe(subject, {}, (message) => {
          const answer = { type, ...this.#identity(), ...describe() };
          message.respond(new TextEncoder().encode(JSON.stringify(answer)));
        }));
      }
    }
  }

  /** Counts a request to an endpoint; `error` when it failed. */
  count(endpoint: string, spentMs: number, error?: unknown): void {
    const tally = this.#tallies.get(endpoint);
    if (tally === undefined) return;
    tally.requests++;
    tally.spentMs += spentMs;
    if (error === undefined) return;
    tally.errors++;
    tally.lastError = String(error).slice(0, ERROR_CHARS_MAX);
  }

  async stop(): Promise<void> {
    await Promise.all(this.#subscriptions.splice(0).map((subscription) => subscription.stop()));
  }

  #identity(): Record<string, unknown> {
    const { name, id, version } = this.#options;
    return { name, id, version, metadata: {} };
  }

  #info(): Record<string, unknown> {
    const { description, endpoints } = this.#options;
    return {
      description,
      endpoints: endpoints.map(({ name, subject, queue }) => ({
        name,
        subject,
        queue_group: queue,
        metadata: {},
      })),
    };
  }

  #stats(): Record<string, unknown> {
    const endpoints = this.#options.endpoints.map(({ name, subject, queue }) => {
      const { requests, errors, lastError, spentMs } = this.#tallies.get(name) ??
        { requests: 0, errors: 0, lastError: "", spentMs: 0 };
      return {
        name,
        subject,
        queue_group: queue,
        num_requests: requests,
        num_errors: errors,
        last_error: lastError,
        processing_time: Math.round(spentMs * NANOSECONDS),
        average_processing_time: requests === 0 ? 0 : Math.round(spentMs / requests * NANOSECONDS),
      };
    });
    return { started: this.#started, endpoints };
  }
}
