/** The nemesis: carries a plan of faults out, and heals what it has broken. */
import type { Random } from "../../../src/base/random.ts";
import { randomInt, seededRandom } from "../../../src/base/random.ts";
import type { Role } from "../cluster.ts";
import type { EventLog } from "../event_log.ts";
import type { Tally } from "../summary.ts";
import { jumpClock } from "./clock.ts";
import { fillDisk } from "./disk.ts";
import type { Begin, Fault, Field } from "./fault.ts";
import { startTwice } from "./identity.ts";
import {
  killAll,
  killClient,
  killKeeper,
  killMaster,
  killNats,
  loseKeeper,
  stopKeeper,
} from "./kill.ts";
import { cutOneWay, isolate, narrow, reset } from "./network.ts";
import { pauseClient, pauseKeeper, pauseMaster, pauseNats } from "./pause.ts";
import { planFaults, type Weights } from "./plan.ts";
import { changeRules } from "./rules.ts";
import { flip, truncate } from "./spoil.ts";
import { loseChunks, loseDirectory } from "./wipe.ts";

const FAULTS: Readonly<Record<string, Begin>> = {
  "kill-master": killMaster,
  "kill-keeper": killKeeper,
  "kill-client": killClient,
  "kill-nats": killNats,
  "kill-all": killAll,
  "stop-keeper": stopKeeper,
  "lose-keeper": loseKeeper,
  "pause-master": pauseMaster,
  "pause-keeper": pauseKeeper,
  "pause-nats": pauseNats,
  "pause-client": pauseClient,
  "flip": flip,
  "truncate": truncate,
  "start-twice": startTwice,
  "change-rules": changeRules,
  "isolate": isolate,
  "cut-one-way": cutOneWay,
  "reset": reset,
  "narrow": narrow,
  "disk-full": fillDisk,
  "clock-jump": jumpClock,
};

/** What happens anywhere. */
const PLAIN: Weights = [
  ["kill-master", 8],
  ["kill-keeper", 14],
  ["kill-client", 6],
  ["kill-nats", 5],
  ["kill-all", 2],
  ["stop-keeper", 5],
  ["lose-keeper", 5],
  ["pause-master", 4],
  ["pause-keeper", 9],
  ["pause-nats", 3],
  ["pause-client", 4],
  ["flip", 9],
  ["truncate", 5],
  ["start-twice", 2],
  ["change-rules", 4],
];
/** What needs namespaces and small disks: root. */
const ROOT: Weights = [["isolate", 6], ["cut-one-way", 7], ["reset", 4], ["narrow", 4], [
  "disk-full",
  5,
]];

const CLOCK: Weights = [["clock-jump", 8]];

/** Lasting faults at once, at most: some operations are to succeed. */
const LASTING_MAX = 4;
/** Shares of the rounds that begin with a lost disk. */
const LOSE_DIRECTORY_SHARE = 0.15;
const LOSE_CHUNKS_SHARE = 0.45;
/** While more than half of all known keepers are away for good, a master deletes nothing. */
const DIRECTORIES_LOST_MAX = 2;
/** Copies that are spoiled at the end of a round, at most. */
const ROTTEN_MAX = 5;
/** How often what is started again gets a failpoint. */
const ARMED_SHARE = 0.5;
/** How often the compaction after a round is spoiled. */
const COMPACTION_SHARE = 0.6;
/** A failpoint fires at its first passing, or at one of those that follow. */
const PASSES_MAX = 12;

const KEEPER_POINTS = [
  ...["keeper.put.arrived", "keeper.put.written", "keeper.put.received", "keeper.put.synced"],
  ...["keeper.put.renamed", "keeper.put.durable", "keeper.put.reported", "keeper.put.forwarded"],
  ...["keeper.put.answer", "keeper.get.serving", "keeper.copy.fetched", "keeper.copy.durable"],
  ...["keeper.copy.reported", "keeper.delete.removed", "keeper.pack.listed"],
];
const MASTER_POINTS = [
  ...["master.begin.opened", "master.report.received", "master.commit.before"],
  ...["master.commit.after", "master.replicate.picked", "master.replicate.commanded"],
  ...["master.remove.committed", "master.delete.sent", "master.delete.done"],
  ...["master.pack.committed", "master.compact.stored", "master.compact.moved"],
];

export class Nemesis {
  readonly #field: Field;
  readonly #log: EventLog;
  readonly #tally: Tally;
  /** Of the plan alone, which follows from the seed. */
  readonly #random: Random;
  /** Of what is asked for when something happens to start. */
  readonly #arming: Random;
  readonly #lasting = new Set<Lasting>();
  #awake = false;
  #directoriesLost = 0;
  /** What the next master is to be started with. */
  #compaction = "";

  constructor(field: Field, log: EventLog, tally: Tally, seed: number) {
    this.#field = field;
    this.#log = log;
    this.#tally = tally;
    this.#random = seededRandom(seed);
    this.#arming = seededRandom(seed + 1);
  }

  /** Takes a disk away, now and then, from a cluster that is at its goal. */
  async wipe(): Promise<void> {
    const dice = this.#random.next();
    const seed = randomInt(this.#random, 2 ** 32);
    if (dice < LOSE_DIRECTORY_SHARE && this.#directoriesLost < DIRECTORIES_LOST_MAX) {
      this.#directoriesLost++;
      await this.#begin("lose-directory", loseDirectory, 0, seed);
    } else if (dice < LOSE_CHUNKS_SHARE) {
      await this.#begin("lose-chunks", loseChunks, 0, seed);
    }
  }

  /** Breaks things for a while; resolves when the round is over, with nothing healed yet. */
  async rage(roundMs: number, stopped: () => boolean): Promise<void> {
    this.#awake = true;
    const { hosts, clocks } = this.#field.cluster.options;
    const apart = hosts.kind === "netns";
    const weights = [...PLAIN, ...(apart ? ROOT : []), ...(clocks === undefined ? [] : CLOCK)];
    const startMs = performance.now();
    for (const { atMs, kind, forMs, seed } of planFaults(this.#random, weights, roundMs)) {
      while (performance.now() - startMs < atMs && !stopped()) await Bun.sleep(20);
      if (stopped()) return;
      const begin = FAULTS[kind];
      if (begin !== undefined) await this.#begin(kind, begin, forMs, seed);
    }
    while (performance.now() - startMs < roundMs && !stopped()) await Bun.sleep(50);
  }

  /** Spoils copies of what is there when the load is over: nobody replaces or removes it any more. */
  async rot(): Promise<void> {
    for (let n = randomInt(this.#random, ROTTEN_MAX + 1); n > 0; n--) {
      const [kind, begin] = this.#random.next() < 0.6
        ? ["flip", flip] as const
        : ["truncate", truncate] as const;
      await this.#begin(kind, begin, 0, randomInt(this.#random, 2 ** 32));
    }
  }

  /**
   * Has the master die over its next compaction, often: that waits until nothing is to be repaired,
   * which is rarely so while faults go on.
   */
  spoilCompaction(): void {
    const dice = this.#random.next();
    if (dice > COMPACTION_SHARE) return;
    const points = ["master.compact.stored", "master.compact.moved"];
    this.#compaction = `${points[randomInt(this.#random, points.length)]}=kill`;
    this.#field.cluster.kill(this.#field.cluster.master);
    this.#tally.fault("compaction spoiled");
    this.#log.note("fault", { fault: "compaction spoiled", armed: this.#compaction });
  }

  /** Ends all that lasts. */
  async heal(): Promise<void> {
    this.#awake = false;
    for (const lasting of [...this.#lasting]) await this.#end(lasting);
    this.#log.note("healed");
  }

  /** The failpoints of a role that is started again while faults go on. */
  chooseFailpoint(role: Role): string {
    if (role.name === "master" && this.#compaction !== "") {
      const armed = this.#compaction;
      this.#compaction = "";
      return armed;
    }
    const random = this.#arming;
    if (!this.#awake || random.next() > ARMED_SHARE) return "";
    const points = role.name === "master" ? MASTER_POINTS : KEEPER_POINTS;
    const point = points[randomInt(random, points.length)];
    this.#tally.fault("failpoint armed");
    return `${point}=${1 + randomInt(random, PASSES_MAX)}*kill`;
  }

  async #begin(kind: string, begin: Begin, forMs: number, seed: number): Promise<void> {
    if (this.#lasting.size >= LASTING_MAX) return;
    const fault = await begin(this.#field, seededRandom(seed));
    if (fault === undefined) return;
    this.#tally.fault(kind);
    this.#log.note("fault", { fault: kind, ...fault.what, ...(fault.end && { forMs }) });
    if (fault.end === undefined) return;
    const lasting: Lasting = { kind, fault, timer: setTimeout(() => this.#end(lasting), forMs) };
    this.#lasting.add(lasting);
  }

  async #end(lasting: Lasting): Promise<void> {
    if (!this.#lasting.delete(lasting)) return;
    clearTimeout(lasting.timer);
    await lasting.fault.end?.();
    this.#log.note("fault over", { fault: lasting.kind, ...lasting.fault.what });
  }
}

interface Lasting {
  kind: string;
  fault: Fault;
  timer: ReturnType<typeof setTimeout>;
}
