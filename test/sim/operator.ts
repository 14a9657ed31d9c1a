/** The operator of a simulated cluster: has keepers emptied, and takes that back at the end. */
import { TydfsClient } from "../../src/client/client.ts";
import { subjectsOf } from "../../src/wire/subjects.ts";
import { CLUSTER, type Cluster } from "./cluster.ts";
import type { SimProcess } from "./process.ts";
import { SimTransport } from "./transport.ts";

const NAME = "operator";
const AGAIN_MS = 500;

export class Operator {
  readonly #cluster: Cluster;
  readonly #process: SimProcess;
  readonly #client: TydfsClient;
  readonly #drained = new Set<string>();
  /** Orders are given one after the other. */
  #last: Promise<unknown> = Promise.resolve();

  constructor(cluster: Cluster) {
    const process = cluster.process(NAME, NAME);
    this.#cluster = cluster;
    this.#process = process;
    this.#client = new TydfsClient({
      ...{ bus: cluster.nats.connect(process), subjects: subjectsOf(CLUSTER) },
      ...{ transport: new SimTransport(cluster.ports, process), clock: process.clock },
      random: cluster.random(NAME),
    }, { waitMs: 2_000, log: cluster.log(process, NAME) });
  }

  /** Has a keeper emptied, if the others have room. */
  async drain(keeper: string): Promise<void> {
    this.#drained.add(keeper);
    await this.#order(keeper, true);
  }

  /** Takes all that back; tries until it has come about. */
  async stopDrains(): Promise<void> {
    for (const keeper of this.#drained) {
      while (!await this.#order(keeper, false)) await this.#process.clock.sleep(AGAIN_MS);
    }
  }

  #order(keeper: string, on: boolean): Promise<boolean> {
    const order = this.#last.then(() => this.#give(keeper, on));
    this.#last = order;
    return order;
  }

  async #give(keeper: string, on: boolean): Promise<boolean> {
    const what = `${on ? "drain" : "undrain"} ${keeper}`;
    try {
      await this.#client.operator.drain(keeper, on);
      this.#cluster.trace.note(NAME, "DONE", what);
      return true;
    } catch (error) {
      this.#cluster.trace.note(NAME, "ERROR", `${what}: ${String(error)}`);
      return false;
    }
  }
}
