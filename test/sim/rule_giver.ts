/**
 * Who adds and removes placement rules in a simulated cluster, and has them applied to what is
 * there: so files of one pack come to want different things. Half of the keepers are on the left,
 * the others on the right; what a rule requires can always be had.
 */
import type { Random } from "../../src/base/random.ts";
import { randomInt } from "../../src/base/random.ts";
import { TydfsClient } from "../../src/client/client.ts";
import { hasCode } from "../../src/wire/errors.ts";
import { subjectsOf } from "../../src/wire/subjects.ts";
import { CLUSTER, type Cluster } from "./cluster.ts";
import type { SimProcess } from "./process.ts";
import { SimTransport } from "./transport.ts";

const NAME = "rules";
const PATTERNS = ["/a", "/b", "/e/**", "x", "/*"];
/** With fewer keepers one side has too few for the copies of a file. */
const SIDED_KEEPERS_MIN = 4;
const COPIES_MIN = 2;
const COPIES_MAX = 3;
const AGAIN_MS = 500;

/** The labels of a keeper by its number. */
export function labelsOf(number: number): Record<string, string> {
  return { side: number % 2 === 0 ? "left" : "right" };
}

export class RuleGiver {
  readonly #cluster: Cluster;
  readonly #process: SimProcess;
  readonly #client: TydfsClient;
  readonly #random: Random;
  readonly #isSided: boolean;
  /** Orders are given one after the other. */
  #last: Promise<unknown> = Promise.resolve();
  #isDone = false;

  constructor(cluster: Cluster, keepers: number) {
    const process = cluster.process(NAME, NAME);
    this.#cluster = cluster;
    this.#process = process;
    this.#random = cluster.random(`${NAME} dice`);
    this.#isSided = keepers >= SIDED_KEEPERS_MIN;
    this.#client = new TydfsClient({
      ...{ bus: cluster.nats.connect(process), subjects: subjectsOf(CLUSTER) },
      ...{ transport: new SimTransport(cluster.ports, process), clock: process.clock },
      random: cluster.random(`${NAME} client`),
    }, { waitMs: 2_000, log: cluster.log(process, NAME) });
  }

  /** The rules that hold were applied to all files, and no others come. */
  get isDone(): boolean {
    return this.#isDone;
  }

  /** Changes a rule now and then within the next `withinMs`, and applies them all. */
  plan(withinMs: number): void {
    const count = 2 + randomInt(this.#random, 5);
    for (let index = 0; index < count; index++) {
      this.#cluster.time.after(this.#random.next() * withinMs, () => void this.#order());
    }
  }

  /** Applies the rules a last time; tries until that has come about. */
  async finish(): Promise<void> {
    await this.#last;
    while (!await this.#note("apply", () => this.#apply())) {
      await this.#process.clock.sleep(AGAIN_MS);
    }
    this.#isDone = true;
  }

  #order(): Promise<unknown> {
    const order = this.#last.then(async () => {
      await this.#note("change", () => this.#change());
      await this.#note("apply", () => this.#apply());
    });
    this.#last = order;
    return order;
  }

  /** Adds a rule, or takes away the one that its pattern has. */
  async #change(): Promise<void> {
    const pattern = PATTERNS[randomInt(this.#random, PATTERNS.length)] ?? "/a";
    const side = ["left", "right"][randomInt(this.#random, 2)] ?? "left";
    const isSided = this.#isSided && this.#random.next() < 0.6;
    const copies = isSided
      ? COPIES_MIN
      : COPIES_MIN + randomInt(this.#random, COPIES_MAX - COPIES_MIN + 1);
    const require: Record<string, string> = isSided ? { side } : {};
    const prefer: Record<string, string> = isSided ? {} : { side };
    try {
      await this.#client.addRule({ pattern, require, prefer, copies });
    } catch (error) {
      if (!hasCode(error, "exists")) throw error;
      const rules = await this.#client.rules();
      const known = rules.find((rule) => rule.pattern === pattern);
      if (known !== undefined) await this.#client.removeRule(known.id);
    }
  }

  async #apply(): Promise<void> {
    for await (const _page of this.#client.applyRules()) continue;
  }

  async #note(what: string, order: () => Promise<void>): Promise<boolean> {
    try {
      await order();
      this.#cluster.trace.note(NAME, "DONE", what);
      return true;
    } catch (error) {
      this.#cluster.trace.note(NAME, "ERROR", `${what}: ${String(error)}`);
      return false;
    }
  }
}
