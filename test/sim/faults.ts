/**
 * The nemesis: faults at random moments of a history, all from one seed. It damages the copies of
 * one keeper only, since what all copies have lost nobody can give back.
 */
import type { Random } from "../../src/base/random.ts";
import { randomInt } from "../../src/base/random.ts";
import type { Cluster } from "./cluster.ts";
import { SOUND } from "./disk.ts";
import type { KeeperNode } from "./keeper_node.ts";
import { NATS } from "./links.ts";
import type { MasterNode } from "./master_node.ts";
import { MASTER } from "./master_node.ts";
import { Operator } from "./operator.ts";
import type { Worker } from "./workload.ts";

/** What faults may hit. */
export interface Targets {
  cluster: Cluster;
  master: MasterNode;
  keepers: readonly KeeperNode[];
  workers: readonly Worker[];
}

export const FAULTS = [
  "kill-keeper",
  "power-keeper",
  "power-all",
  "kill-master",
  "wipe-master",
  "kill-client",
  "partition",
  "weather",
  "disk",
  "damage",
  "clock",
  "drain",
] as const;
export type Fault = (typeof FAULTS)[number];

/** A jump stays below what tickets bear, so that a wrong clock is no denial of service. */
const JUMP_MS = 25_000;
/** How often, and for how long, a wipe waits for its moment. */
const WIPE_TRY_MS = 40;
const WIPE_TRIES = 100;

export class Nemesis {
  readonly #targets: Targets;
  readonly #random: Random;
  readonly #operator: Operator;
  #healed = false;

  constructor(targets: Targets, random: Random) {
    this.#targets = targets;
    this.#random = random;
    this.#operator = new Operator(targets.cluster);
  }

  /** Plans `count` faults of these kinds within the next `withinMs`. */
  plan(kinds: readonly Fault[], count: number, withinMs: number): void {
    const { cluster } = this.#targets;
    for (let index = 0; index < count; index++) {
      const kind = this.#pick(kinds);
      cluster.time.after(this.#random.next() * withinMs, () => this.strike(kind));
    }
  }

  /** Does one fault now. */
  strike(kind: Fault): void {
    const { cluster, keepers, workers, master } = this.#targets;
    // Who recovers has all keepers; what they lack meanwhile would be lost.
    if (master.recovering) return;
    cluster.calm = false;
    cluster.trace.note("NEMESIS", "FAULT", kind);
    switch (kind) {
      case "kill-keeper":
        return this.#down(this.#pick(keepers), false);
      case "power-keeper":
        return this.#down(this.#pick(keepers), true);
      case "power-all":
        for (const keeper of keepers) this.#down(keeper, true);
        return this.#killMaster();
      case "kill-master":
        return this.#killMaster();
      case "wipe-master":
        return this.#wipe(WIPE_TRIES);
      case "kill-client":
        return this.#pick(workers).crash();
      case "partition":
        return this.#partition();
      case "weather":
        return this.#weather();
      case "disk":
        return this.#disk(this.#pick(keepers));
      case "damage":
        return this.#damage();
      case "clock": {
        const node = this.#pick([MASTER, ...keepers.map(({ name }) => name)]);
        cluster.wallOf(node).offsetMs = Math.floor((this.#random.next() * 2 - 1) * JUMP_MS);
        cluster.clocksJumped = true;
        return;
      }
      case "drain":
        void this.#operator.drain(this.#pick(keepers).name);
    }
  }

  /** Everything is well again: what is down starts, what is broken is replaced. */
  heal(): void {
    const { cluster, master } = this.#targets;
    this.#healed = true;
    cluster.trace.note("NEMESIS", "HEAL");
    this.#mend();
    master.start();
    void this.#operator.stopDrains();
  }

  #mend(): void {
    const { cluster, keepers } = this.#targets;
    cluster.links.heal();
    cluster.wallOf(MASTER).offsetMs = 0;
    for (const keeper of keepers) {
      cluster.wallOf(keeper.name).offsetMs = 0;
      keeper.drive.totalBytes = 2 ** 30;
      // A disk that has failed stays read-only until its keeper is started anew.
      if (keeper.faults !== SOUND) keeper.kill(false);
      keeper.faults = SOUND;
      keeper.start();
    }
  }

  #down(keeper: KeeperNode, powerLoss: boolean): void {
    keeper.kill(powerLoss);
    const awayMs = 200 + this.#random.next() * (this.#random.next() < 0.3 ? 14_000 : 3_000);
    this.#targets.cluster.time.after(awayMs, () => keeper.start());
  }

  /** The master's disk is lost, as soon as the keepers have what was answered; all else is well. */
  #wipe(tries: number): void {
    const { master, cluster } = this.#targets;
    if (this.#healed || tries === 0) return;
    if (!master.archived) return void cluster.time.after(WIPE_TRY_MS, () => this.#wipe(tries - 1));
    master.wipe();
    this.#mend();
    cluster.time.after(100 + this.#random.next() * 2_000, () => master.start());
  }

  #killMaster(): void {
    const { master, cluster } = this.#targets;
    master.kill();
    cluster.time.after(100 + this.#random.next() * 4_000, () => master.start());
  }

  #partition(): void {
    const { cluster, keepers, workers } = this.#targets;
    const { links } = cluster;
    const nodes = [...keepers, ...workers].map(({ name }) => name);
    const node = this.#pick(nodes);
    const other = this.#pick([NATS, NATS, ...nodes.filter((each) => each !== node), "*"]);
    const ways = this.#pick(["both", "in", "out"]);
    cluster.trace.note("NEMESIS", "CUT", `${node} ${ways} ${other}`);
    if (ways !== "in") links.cut(node, other);
    if (ways !== "out") links.cut(other, node);
    const forMs = 300 + this.#random.next() * (this.#random.next() < 0.3 ? 20_000 : 5_000);
    cluster.time.after(forMs, () => {
      cluster.trace.note("NEMESIS", "MEND");
      links.heal();
    });
  }

  #weather(): void {
    const { cluster } = this.#targets;
    const share = (max: number) => this.#random.next() < 0.4 ? this.#random.next() * max : 0;
    const weather = {
      ...{ loss: share(0.3), double: share(0.3), reorder: this.#random.next() < 0.5 },
      ...{ late: share(0.4), lateMs: this.#random.next() < 0.2 ? 8_000 : 600 },
      ...{ cut: share(0.4), stall: share(0.1), flip: share(0.6) },
    };
    cluster.links.weather = weather;
    cluster.trace.note("NEMESIS", "WEATHER", JSON.stringify(weather));
    cluster.time.after(500 + this.#random.next() * 8_000, () => {
      if (cluster.links.weather === weather) cluster.links.heal();
    });
  }

  #disk(keeper: KeeperNode): void {
    const { cluster, keepers } = this.#targets;
    // Bytes that can't be read count as damaged: never all copies of them.
    const first = keeper === keepers[0] ? 0 : 1;
    const dice = first + randomInt(this.#random, 5 - first);
    if (dice === 4) keeper.drive.totalBytes = 2 ** 20 + 2 ** 18 * randomInt(this.#random, 8);
    else {
      keeper.faults = {
        ...SOUND,
        ...[{ readErrors: 0.3 }, { syncErrors: 0.3 }, { readOnly: true }, { slowness: 200 }][dice],
      };
    }
    const words = `${keeper.name} ${JSON.stringify(keeper.faults)} ${keeper.drive.totalBytes}`;
    cluster.trace.note("NEMESIS", "DISK", words);
  }

  /** Flips, cuts, lengthens or removes a chunk's file. */
  #damage(): void {
    const [keeper] = this.#targets.keepers;
    const files = keeper?.drive.walk("chunks") ?? [];
    if (keeper === undefined || files.length === 0) return;
    const path = this.#pick(files);
    const how = this.#pick(["flip", "cut", "longer", "gone"]);
    this.#targets.cluster.trace.note("NEMESIS", "DAMAGE", `${keeper.name} ${how} ${path}`);
    keeper.drive.damage(path, (bytes) => {
      if (how === "gone") return undefined;
      if (how === "cut") return bytes.slice(0, Math.floor(bytes.length / 2));
      if (how === "longer") return new Uint8Array([...bytes.subarray(0, 4096), ...bytes, 1]);
      const flipped = bytes.slice();
      const at = randomInt(this.#random, Math.max(1, bytes.length));
      if (at < flipped.length) flipped[at] = (flipped[at] ?? 0) ^ 4;
      return flipped;
    });
  }

  #pick<T>(items: readonly T[]): T {
    return items[randomInt(this.#random, items.length)] as T;
  }
}
