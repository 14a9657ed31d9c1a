/**
 * The client processes of the workload: spawned on the clients' host, given orders, killed by the
 * nemesis and replaced. An order whose process died gets no answer.
 */
import { join } from "node:path";
import type { ChaosCluster } from "./cluster.ts";
import type { Answer, Order } from "./client_process.ts";
import { PATH } from "./hosts.ts";

type Child = Bun.Subprocess<"pipe", "pipe", number | "inherit">;

/** Beyond its own time-out an order may take this long: then its client hangs. */
const HANG_MS = 45_000;

/** No answer: the client was killed, or hangs. */
export type Outcome = Answer | { id: number; gone: "killed" | "hung" };

export class ClientPool {
  readonly #cluster: ChaosCluster;
  readonly #clients: Client[];
  #orders = 0;

  constructor(cluster: ChaosCluster, count: number) {
    this.#cluster = cluster;
    this.#clients = Array.from({ length: count }, () => new Client(cluster));
  }

  get size(): number {
    return this.#clients.length;
  }

  /** A number for the next order. */
  nextId(): number {
    return ++this.#orders;
  }

  /** Has client `number` carry an order out. */
  async ask(number: number, order: Order): Promise<Outcome> {
    return await this.#at(number).ask(order);
  }

  /** Kills a client; the next order starts another in its place. */
  kill(number: number): number {
    return this.#at(number).kill();
  }

  /** The process of a client, 0 while it has none. */
  pid(number: number): number {
    return this.#at(number).pid;
  }

  /** Ends all of them. */
  stop(): void {
    for (const client of this.#clients) client.kill();
  }

  /** All client processes begin anew: nothing of an earlier fault is left in them. */
  renew(): void {
    this.stop();
    this.#clients.splice(0, this.size, ...this.#clients.map(() => new Client(this.#cluster)));
  }

  #at(number: number): Client {
    const client = this.#clients[number % this.#clients.length];
    if (client === undefined) throw new Error("There are no clients");
    return client;
  }
}

/** One process, and the orders that it has not answered. */
class Client {
  readonly #cluster: ChaosCluster;
  readonly #waiting = new Map<number, (outcome: Outcome) => void>();
  #child: Child | undefined;

  constructor(cluster: ChaosCluster) {
    this.#cluster = cluster;
  }

  ask(order: Order): Promise<Outcome> {
    this.#child ??= this.#spawn();
    const { stdin } = this.#child;
    return new Promise((resolve) => {
      const late = setTimeout(() => {
        this.#settle(order.id, { id: order.id, gone: "hung" });
      }, order.timeoutMs + HANG_MS);
      this.#waiting.set(order.id, (outcome) => {
        clearTimeout(late);
        resolve(outcome);
      });
      void send(stdin, JSON.stringify(order) + "\n");
    });
  }

  get pid(): number {
    return this.#child?.pid ?? 0;
  }

  /** Returns the id of the process that was killed, 0 for none. */
  kill(): number {
    const pid = this.#child?.pid ?? 0;
    this.#child?.kill("SIGKILL");
    return pid;
  }

  #spawn(): Child {
    const { hosts, dir, binary } = this.#cluster.options;
    const script = join(import.meta.dir, "client_process.ts");
    const command = [process.execPath, script, join(dir, "scratch"), binary];
    const child = Bun.spawn([...hosts.enter(this.#cluster.client), ...command], {
      env: { ...process.env, PATH, TYDFS_URL: this.#cluster.clientUrl },
      stdin: "pipe",
      stdout: "pipe",
      stderr: "inherit",
    });
    void this.#listen(child);
    return child;
  }

  async #listen(child: Child): Promise<void> {
    const decoder = new TextDecoder();
    let rest = "";
    for await (const piece of child.stdout) {
      rest += decoder.decode(piece, { stream: true });
      const lines = rest.split("\n");
      rest = lines.pop() ?? "";
      for (const line of lines) {
        const answer = JSON.parse(line) as Answer;
        this.#settle(answer.id, answer);
      }
    }
    await child.exited;
    if (this.#child === child) this.#child = undefined;
    for (const id of [...this.#waiting.keys()]) this.#settle(id, { id, gone: "killed" });
  }

  #settle(id: number, outcome: Outcome): void {
    this.#waiting.get(id)?.(outcome);
    this.#waiting.delete(id);
  }
}

/** Writes to a process that may just have been killed: then its end answers the order. */
async function send(stdin: Child["stdin"], line: string): Promise<void> {
  try {
    stdin.write(line);
    await stdin.flush();
  } catch (error) {
    if ((error as { code?: string }).code !== "EPIPE") throw error;
  }
}
