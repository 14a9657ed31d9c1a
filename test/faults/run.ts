/** One run of the machine: a cluster, its load, its nemesis; rounds until the time is over. */
import { join } from "node:path";
import { seededRandom } from "../../src/base/random.ts";
import { ClientPool } from "./client_pool.ts";
import { ChaosCluster, residentBytes } from "./cluster.ts";
import { EventLog } from "./event_log.ts";
import { FakeClocks } from "./fake_clock.ts";
import type { Hosts } from "./hosts.ts";
import { Loopback, Namespaces } from "./hosts.ts";
import type { Field } from "./nemesis/fault.ts";
import { Nemesis } from "./nemesis/nemesis.ts";
import { settle } from "./settle.ts";
import { SmallDisk } from "./small_disk.ts";
import { Tally } from "./summary.ts";
import { Canary, verify } from "./verify.ts";
import { Violation } from "./violation.ts";
import { Workload } from "./workload.ts";

export interface RunOptions {
  dir: string;
  binary: string;
  seed: number;
  /** How long faults go on, in all rounds together. */
  faultMs: number;
  roundMs: number;
  keepers: number;
  sizeMaxBytes: number;
  /** How long the cluster may take to come to rest after a round. */
  settleMs?: number;
  netns: boolean;
  /** Clocks jump, too: only where there is a libfaketime. */
  clock: boolean;
  print(line: string): void;
}

const CLIENTS = 3;
const WORKERS = 9;
const MEASURE_MS = 2_000;
/** What the small disk of one keeper holds. */
const SMALL_DISK_MIB = 700;

export class Run {
  readonly #options: RunOptions;
  readonly #tally = new Tally();
  readonly #log: EventLog;
  readonly #stopped = Promise.withResolvers<never>();
  #violation: Violation | undefined;

  constructor(options: RunOptions) {
    this.#options = options;
    this.#log = new EventLog(join(options.dir, "chaos.jsonl"));
    this.#stopped.promise.catch(() => {});
  }

  /** Ends the run early; all that it has started is stopped. */
  stop(why: string): void {
    this.#stopped.reject(new Violation("harness", why));
  }

  /** Runs to the end, or to the first violation, which is returned. */
  async perform(): Promise<Violation | undefined> {
    const { dir, netns, keepers } = this.#options;
    const hosts: Hosts = netns ? new Namespaces() : new Loopback();
    const disk = netns
      ? SmallDisk.mount(join(dir, `keeper-${keepers}`), SMALL_DISK_MIB)
      : undefined;
    try {
      await this.#inCluster(hosts, disk === undefined ? [] : [disk.dir]);
    } catch (error) {
      this.#note(error instanceof Violation ? error : new Violation("harness", wordsOf(error)));
    } finally {
      disk?.unmount();
      hosts.close();
      this.#log.close();
    }
    return this.#violation;
  }

  /** The table of what was done. */
  report(): string {
    const { seed, netns, faultMs } = this.#options;
    const minutes = (faultMs / 60_000).toFixed(1);
    const place = netns ? "in network namespaces" : "on the loopback";
    const violations = this.#violation === undefined ? 0 : 1;
    const head = `seed ${seed}, ${minutes} minutes of faults, ${place}`;
    return `${head}\n\n${this.#tally.format()}\nviolations${String(violations).padStart(26)}`;
  }

  latestFaults(): string {
    return this.#log.latest.map((fact) => JSON.stringify(fact)).join("\n");
  }

  async #inCluster(hosts: Hosts, smallDisks: string[]): Promise<void> {
    const { seed, dir, binary, keepers, sizeMaxBytes, clock } = this.#options;
    const log = this.#log;
    const onViolation = (violation: Violation) => this.#note(violation);
    const canary = new Canary(dir);
    const cluster: ChaosCluster = new ChaosCluster({
      ...{ binary, dir, hosts, keepers, log, onViolation },
      clocks: clock ? FakeClocks.open(join(dir, "clocks")) : undefined,
      random: seededRandom(seed + 2),
      chooseFailpoint: (role) => nemesis.chooseFailpoint(role),
    });
    const pool = new ClientPool(cluster, CLIENTS);
    const field: Field = { cluster, pool, spoiled: new Map(), smallDisks: new Set(smallDisks) };
    const nemesis = new Nemesis(field, log, this.#tally, seed);
    const workload = new Workload({
      ...{ seed, pool, log, onViolation, tally: this.#tally },
      ...{ random: seededRandom(seed + 3), sizeMax: sizeMaxBytes },
    });
    const measuring = setInterval(() => cluster.measure(), MEASURE_MS);
    try {
      const perform = async () => {
        await cluster.start();
        await settle(field, log);
        await workload.prepare();
        await this.#rounds({ field, nemesis, workload, canary });
        this.#tellMemory(cluster);
      };
      await Promise.race([perform(), this.#stopped.promise]);
    } finally {
      clearInterval(measuring);
      await nemesis.heal();
      pool.stop();
      await cluster.stop();
    }
  }

  async #rounds({ field, nemesis, workload, canary }: Parts): Promise<void> {
    const { faultMs, roundMs, settleMs, print } = this.#options;
    for (let doneMs = 0; doneMs < faultMs && this.#violation === undefined; doneMs += roundMs) {
      await nemesis.wipe();
      workload.start(WORKERS);
      await nemesis.rage(Math.min(roundMs, faultMs - doneMs), () => this.#violation !== undefined);
      await nemesis.heal();
      await workload.stop();
      if (this.#violation !== undefined) return;
      await nemesis.rot();
      nemesis.spoilCompaction();
      field.pool.renew();
      await settle(field, this.#log, settleMs);
      const { times, packs: compacted } = field.cluster.compactions;
      this.#tally.fact("compactions", `${times} of ${compacted} packs`);
      const files = await workload.readBack();
      if (this.#violation !== undefined) return;
      const found = await verify(field.cluster, workload, files, canary);
      const { operations, faults } = this.#tally;
      const packs = `${found.packed} in ${found.packs} packs`;
      const sums = `${found.files} files, ${Math.round(found.bytes / 2 ** 20)} MiB, ${packs}`;
      print(`${this.#log.ms / 1000} s: ${operations} operations, ${faults} faults; ${sums}: well`);
      this.#log.note("checked", { ...found });
      field.cluster.noteDescriptors();
    }
  }

  #note(violation: Violation): void {
    this.#violation ??= violation;
    this.#log.note("violation", { invariant: violation.invariant, message: violation.message });
  }

  #tellMemory(cluster: ChaosCluster): void {
    for (const role of cluster.roles) {
      const pid = role.process?.pid ?? 0;
      const now = Math.round(residentBytes(pid) / 2 ** 20);
      const peak = Math.round(role.peakBytes / 2 ** 20);
      this.#tally.fact(`${role.name} MiB`, `${now} now, ${peak} at most`);
      this.#tally.fact(`${role.name} descriptors`, role.descriptors.join(" "));
    }
  }
}

interface Parts {
  field: Field;
  nemesis: Nemesis;
  workload: Workload;
  canary: Canary;
}

function wordsOf(error: unknown): string {
  return error instanceof Error ? error.stack ?? error.message : String(error);
}
