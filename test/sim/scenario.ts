/**
 * One history from one seed: a cluster starts, clients work while faults strike, all is healed, and
 * when it has come to rest everything must be in order.
 */
import { randomInt } from "../../src/base/random.ts";
import { newCatalog, removeCatalog } from "./catalog_copy.ts";
import { Checkers } from "./checkers.ts";
import { Cluster } from "./cluster.ts";
import type { Fault } from "./faults.ts";
import { FAULTS, Nemesis } from "./faults.ts";
import { explain, History } from "./history.ts";
import { KeeperNode } from "./keeper_node.ts";
import { MasterNode } from "./master_node.ts";
import { probe } from "./prober.ts";
import { RuleGiver } from "./rule_giver.ts";
import { Contents, Worker } from "./workload.ts";

export interface Verdict {
  seed: number;
  violations: string[];
  /** The last events, for people. */
  trace: string[];
  /** Over all events: the same for the same seed. */
  hash: string;
  events: number;
  operations: number;
  /** Virtual time that passed, in ms. */
  lastedMs: number;
}

/** Time within which everything starts; clients are done after the healing; all is quiet. */
const START_MS = 20_000;
const WORK_MS = 12_000;
const FINISH_MS = 400_000;
const QUIET_MS = 300_000;
const LOOK_MS = 60_000;
const CHECK_EVERY_MS = 1_000;
const QUIET_EVERY_MS = 1_000;

/** In so many histories packs are frequent, and compacted while faults strike. */
const PACKING_SHARE = 0.2;
const SOON = { trash_ttl: "1s", grace: "3s" };

/** In so many of these, and in so many others, placement rules come and go. */
const RULES_SHARE_PACKING = 0.5;
const RULES_SHARE = 0.05;

/** So many histories see all kinds of faults at once, and so many of them. */
const HARD_SHARE = 0.15;
const HARD_FAULTS = 15;

/** Plays the history of a seed, and keeps the last `keptMax` events for people. To be called from outside all promises: see `VirtualTime.settle`. */
export function play(seed: number, keptMax?: number): Verdict {
  const dice = new Cluster(seed, {}).random("scenario");
  const keeperCount = 3 + randomInt(dice, 3);
  const replicas = 2 + randomInt(dice, 2);
  const packDice = new Cluster(seed, {}).random("packs");
  const isPacking = packDice.next() < PACKING_SHARE;
  const cluster = new Cluster(seed, {
    ...{ replicas: String(replicas), min_copies: "2" },
    ...(isPacking ? SOON : {}),
  });
  cluster.trace.keptMax = keptMax ?? cluster.trace.keptMax;
  const restore = cluster.time.install();
  const catalogPath = newCatalog();
  const master = new MasterNode(cluster, catalogPath);
  const keepers = Array.from(
    { length: keeperCount },
    (_, index) => new KeeperNode(cluster, `keeper-${index}`, 1 + randomInt(dice, 2)),
  );
  const checkers = new Checkers({ cluster, master, keepers, catalogPath });
  const history = new History();
  const contents = new Contents();
  master.onMoved = (pack) => checkers.moved(pack);
  const onPut = (version: number) => checkers.acknowledged(version);
  const packing = isPacking ? 0.5 : 0.05;
  const parts = { cluster, history, contents, onPut, packing };
  const operations = () => (isPacking ? 5 : 3) + randomInt(dice, 5);
  const workers = Array.from({ length: 1 + randomInt(dice, 3) }, (_, index) => {
    return new Worker({ ...parts, name: `client-${index}`, operations: operations() });
  });
  const { time } = cluster;
  const startMs = time.nowMs;
  try {
    master.start();
    for (const keeper of keepers) keeper.start();
    settleDown(cluster, checkers, START_MS);
    const nemesis = new Nemesis({ cluster, master, keepers, workers }, cluster.random("nemesis"));
    const isHard = dice.next() < HARD_SHARE;
    if (isHard) nemesis.plan(FAULTS, HARD_FAULTS, WORK_MS);
    else nemesis.plan(chooseFaults(dice), randomInt(dice, 7), WORK_MS);
    for (const worker of workers) worker.start();
    const ruleDice = cluster.random("rules").next();
    const hasRules = ruleDice < (isPacking ? RULES_SHARE_PACKING : RULES_SHARE);
    const rules = hasRules ? new RuleGiver(cluster, keeperCount) : undefined;
    rules?.plan(WORK_MS);
    const onServed = checkers.served.bind(checkers);
    probe(cluster, cluster.random("prober"), onServed);
    const check = () => {
      checkers.always();
      if (cluster.violations.length === 0) time.after(CHECK_EVERY_MS, check);
    };
    check();
    const isOver = () => cluster.violations.length > 0;
    time.runUntil(isOver, WORK_MS);
    nemesis.heal();
    void rules?.finish();
    const isDone = () => isOver() || workers.every(({ idle }) => idle);
    if (!time.runUntil(isDone, FINISH_MS)) cluster.violate("an operation does not end");
    const isRuled = () => isOver() || rules === undefined || rules.isDone;
    if (!time.runUntil(isRuled, FINISH_MS)) cluster.violate("rules can't be applied");
    settleDown(cluster, checkers, QUIET_MS);
    const late = new Worker({ ...parts, name: "late", operations: 1 });
    if (!isOver()) {
      void late.lookAtAll();
      if (!time.runUntil(() => isOver() || late.idle, LOOK_MS)) cluster.violate("a look hangs");
    }
    if (!isOver()) checkers.catalog();
    if (!isOver()) {
      const problem = explain(history.operations, (name) => contents.sizeOf(name));
      if (problem !== undefined) cluster.violate(problem);
    }
  } catch (error) {
    cluster.violate(`the simulation broke down: ${error instanceof Error ? error.stack : error}`);
  } finally {
    master.process?.kill();
    for (const keeper of keepers) keeper.process?.kill();
    for (const worker of workers) worker.process?.kill();
    checkers.close();
    master.close();
    time.settle();
    restore();
    removeCatalog(catalogPath);
  }
  return {
    ...{ seed, violations: cluster.violations, trace: cluster.trace.lines() },
    ...{ hash: cluster.trace.hash, events: cluster.trace.count },
    ...{ operations: history.operations.length, lastedMs: time.nowMs - startMs },
  };
}

/** A seed has a few kinds of faults only, so that each can be seen alone. */
function chooseFaults(dice: { next(): number }): Fault[] {
  const count = 1 + Math.floor(dice.next() * 3);
  return Array.from(
    { length: count },
    () => FAULTS[Math.floor(dice.next() * FAULTS.length)] ?? "kill-keeper",
  );
}

/** Waits until the cluster has nothing left to do. */
function settleDown(cluster: Cluster, checkers: Checkers, withinMs: number): void {
  const { time, violations } = cluster;
  const endMs = time.nowMs + withinMs;
  let unrest = checkers.unrest();
  while (unrest.length > 0 && time.nowMs < endMs && violations.length === 0) {
    time.runUntil(() => violations.length > 0, QUIET_EVERY_MS);
    unrest = checkers.unrest();
  }
  if (unrest.length === 0 || violations.length > 0) return;
  cluster.violate(`the cluster does not come to rest: ${unrest.slice(0, 10).join("; ")}`);
}
