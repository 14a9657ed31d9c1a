/**
 * The load: workers that put, get, rename, copy, remove and list through client processes, each
 * operation told to the model of its group of paths before and after. A group is a directory with a
 * few names; most have one worker at a time, some have several at once.
 */
import type { Random } from "../../src/base/random.ts";
import { randomInt } from "../../src/base/random.ts";
import { Choice, NAMES, type PutOrGet, TIMEOUT_MS, type Together } from "./choice.ts";
import type { ClientPool, Outcome } from "./client_pool.ts";
import type { Answer, Order } from "./client_process.ts";
import type { EventLog, LoggedFact } from "./event_log.ts";
import { ABSENT, DONE, listing, Model, type Operation } from "./model.ts";
import type { Tally } from "./summary.ts";
import { Violation } from "./violation.ts";

export const ROOT = "/chaos";
const GROUPS = 20;
/** Groups on which several workers are at once. */
const SHARED = 4;
const SHARED_WORKERS = 3;
/** Open unknown operations of a group, before it is left alone until the round's end. */
const UNKNOWN_MAX = 3;
const HISTORY_MAX = 80;
/** Errors that an operation may end with while there are faults; all others are violations. */
const EXPECTED = [
  ...["no-master", "timeout", "unavailable", "busy", "no-keepers", "no-space", "lost"],
  ...["corrupt", "expired"],
];
/** After these nobody knows whether the operation was done. */
const UNCERTAIN = ["timeout", "unavailable", "no-master"];

/** A directory whose paths depend on each other. */
export interface Group {
  readonly dir: string;
  readonly shared: boolean;
  readonly model: Model;
  readonly history: LoggedFact[];
  workers: number;
}

export interface WorkloadOptions {
  seed: number;
  pool: ClientPool;
  log: EventLog;
  tally: Tally;
  random: Random;
  /** The largest file, bytes. */
  sizeMax: number;
  onViolation(violation: Violation): void;
}

export class Workload {
  readonly groups: Group[];
  readonly #choice: Choice;
  readonly #options: WorkloadOptions;
  #running = false;
  #workers: Promise<void>[] = [];

  constructor(options: WorkloadOptions) {
    this.#options = options;
    this.#choice = new Choice(options);
    this.groups = Array.from({ length: GROUPS }, (_, n) => ({
      dir: `${ROOT}/g${n}`,
      shared: n < SHARED,
      model: new Model(),
      history: [],
      workers: 0,
    }));
  }

  /** What was ever put, by what reading it answers. */
  get contents(): ReadonlyMap<string, { name: string; sizeBytes: number }> {
    return this.#choice.contents;
  }

  /** Makes the groups' directories, in a cluster without faults. */
  async prepare(): Promise<void> {
    for (const { dir } of this.groups) {
      const order: Order = {
        id: this.#options.pool.nextId(),
        kind: "mkdir",
        path: dir,
        timeoutMs: TIMEOUT_MS,
      };
      const outcome = await this.#options.pool.ask(0, order);
      if ("gone" in outcome || !outcome.ok) throw new Error(`No ${dir}: ${wordsOf(outcome)}`);
    }
  }

  /** Starts `count` workers. */
  start(count: number): void {
    this.#running = true;
    this.#workers = Array.from({ length: count }, (_, number) => this.#work(number));
  }

  /** Lets each worker end what it is at. */
  async stop(): Promise<void> {
    this.#running = false;
    await Promise.all(this.#workers);
  }

  /**
   * Reads everything back in a cluster that is to be whole, settles all models on it, and returns
   * what is there.
   */
  async readBack(): Promise<{ path: string; content: string }[]> {
    const found: { path: string; content: string }[] = [];
    for (const group of this.groups) {
      const state: Record<string, string> = {};
      for (const name of NAMES) {
        const path = `${group.dir}/${name}`;
        const operation: Operation = { kind: "get", path };
        const answer = await this.perform(group, operation, 0, { mustAnswer: true });
        if (answer !== undefined && answer !== ABSENT) state[path] = answer;
      }
      await this.perform(group, { kind: "list" }, 0, { mustAnswer: true });
      group.model.settle(state);
      group.history.push(this.#options.log.note("settled", { dir: group.dir, state }));
      for (const [path, content] of Object.entries(state)) found.push({ path, content });
    }
    return found;
  }

  /** Carries one operation out; returns its answer, undefined when there was none. */
  async perform(
    group: Group,
    operation: Operation,
    worker: number,
    options: { mustAnswer?: boolean } = {},
  ): Promise<string | undefined> {
    const { pool, log, tally } = this.#options;
    const id = pool.nextId();
    const order = this.#choice.orderOf(id, group, operation);
    group.model.begin(id, operation);
    const asked = log.note("operation", { id, worker, asked: { ...order, ...operation } });
    const outcome = await pool.ask(worker, order);
    const told = log.note("operation", { id, outcome: brief(outcome) });
    group.history.push(asked, told);
    group.history.splice(0, group.history.length - HISTORY_MAX);
    const tookMs = told.ms - asked.ms;
    const mustAnswer = options.mustAnswer ?? false;
    const verdict = this.#judge({ group, id, operation, outcome, tookMs, mustAnswer });
    tally.operation(operation.kind, verdict.kind);
    return verdict.kind === "ok" ? verdict.answer : undefined;
  }

  /** Carries several puts or gets out by one order; each has an outcome of its own. */
  async performTogether(
    group: Group,
    kind: Together,
    operations: readonly PutOrGet[],
    worker: number,
  ): Promise<void> {
    const { pool, log, tally } = this.#options;
    const all = operations.map((operation) => ({ id: pool.nextId(), operation }));
    const order = this.#choice.orderOfMany(pool.nextId(), group, kind, operations);
    for (const { id, operation } of all) group.model.begin(id, operation);
    const ids = all.map(({ id }) => id);
    const asked = log.note("operation", { id: order.id, ids, worker, asked: order, operations });
    const outcome = await pool.ask(worker, order);
    const told = log.note("operation", { id: order.id, outcome: brief(outcome) });
    group.history.push(asked, told);
    group.history.splice(0, group.history.length - HISTORY_MAX);
    const tookMs = told.ms - asked.ms;
    for (const [at, { id, operation }] of all.entries()) {
      const own = "gone" in outcome ? outcome : { ...outcome, ...outcome.files?.[at] };
      const answered = { group, id, operation, outcome: own, tookMs, mustAnswer: false };
      tally.operation(kind, this.#judge(answered).kind);
    }
  }

  async #work(worker: number): Promise<void> {
    const { random } = this.#options;
    while (this.#running) {
      const group = this.#chooseGroup();
      if (group === undefined) {
        await Bun.sleep(200);
        continue;
      }
      group.workers++;
      try {
        for (let n = 1 + randomInt(random, 5); n > 0 && this.#running; n--) {
          if (group.model.unknown >= UNKNOWN_MAX) break;
          const chosen = this.#choice.chooseOperation(group);
          if ("kind" in chosen) await this.perform(group, chosen, worker);
          else await this.performTogether(group, chosen.together, chosen.operations, worker);
          await Bun.sleep(random.next() * PAUSE_MS);
        }
      } catch (error) {
        this.#fail(error instanceof Violation ? error : new Violation("harness", String(error)));
      }
      group.workers--;
    }
  }

  #chooseGroup(): Group | undefined {
    const free = this.groups.filter(({ model, workers, shared }) =>
      model.unknown < UNKNOWN_MAX && workers < (shared ? SHARED_WORKERS : 1)
    );
    return free[randomInt(this.#options.random, free.length)];
  }

  /** What an outcome means, after the model has been told of it. */
  #judge({ group, id, operation, outcome, tookMs, mustAnswer }: Answered): Verdict {
    const { model } = group;
    if ("gone" in outcome) {
      model.lost(id);
      if (outcome.gone === "hung") {
        this.#fail(this.#violation("hang", group, id, "an operation neither ended nor gave up"));
      }
      return { kind: "unknown" };
    }
    const { code = "" } = outcome;
    // A version that was opened is readable until the trash is emptied.
    const isPurged = operation.kind === "get" && PURGED.includes(code) && tookMs > OPEN_MS;
    const isKnown = outcome.ok || (code === ABSENT && operation.kind !== "put" && !isPurged);
    if (isKnown) {
      const answer = outcome.ok ? answerOf(operation, outcome) : ABSENT;
      if (model.answered(id, answer)) return { kind: "ok", answer };
      this.#fail(this.#explain(group, id, answer, outcome));
      return { kind: "ok", answer };
    }
    if (mustAnswer) {
      const words = `a whole cluster could not answer: ${outcome.message}`;
      this.#fail(this.#violation("I1", group, id, words));
    }
    // An upload whose lease has run out in a long pause is gone, and the put says so.
    const hasRunOut = operation.kind === "put" && /has run out$/.test(outcome.message ?? "");
    if (!EXPECTED.includes(code) && !hasRunOut && !isPurged) {
      const words = `an error that nobody expects: ${code}: ${outcome.message}`;
      this.#fail(this.#violation("I20", group, id, words));
    }
    return this.#settleFailure(group, id, operation, outcome);
  }

  #settleFailure(group: Group, id: number, operation: Operation, outcome: Answer): Verdict {
    const { code = "", untouched } = outcome;
    const isRead = operation.kind === "get" || operation.kind === "list";
    // Only a put's many steps leave doubts about what "nobody listens" has stopped.
    const isCertain = !UNCERTAIN.includes(code) ||
      (code === "no-master" && operation.kind !== "put");
    if (isRead || (untouched !== true && !isCertain)) {
      group.model.lost(id);
      return { kind: isRead ? "failed" : "unknown" };
    }
    if (!group.model.refused(id)) {
      const words = `an operation that failed cleanly (${code}) was done all the same`;
      this.#fail(this.#violation("I2", group, id, words));
    }
    return { kind: "failed" };
  }

  #explain(group: Group, id: number, answer: string, outcome: Answer): Violation {
    const isContent = outcome.digest !== undefined && !this.contents.has(answer);
    const words = isContent
      ? `bytes came back that nobody has put (${answer})`
      : `the answer "${answer}" fits no order of what was done`;
    return this.#violation(isContent ? "I4" : "I5", group, id, words);
  }

  #violation(invariant: string, group: Group, id: number, words: string): Violation {
    const history = group.history.map((fact) => JSON.stringify(fact));
    return new Violation(invariant, `operation ${id} in "${group.dir}": ${words}`, [
      "Possible states:",
      ...group.model.describe(),
      "History:",
      ...history,
    ]);
  }

  #fail(violation: Violation): void {
    this.#running = false;
    this.#options.onViolation(violation);
  }
}

/** The pause between two operations of a worker, at most. */
const PAUSE_MS = 120;

/** A read that takes longer may lose what it reads to the trash's end. */
const OPEN_MS = 5_000;
/** What a slow reader of a version hears that was purged meanwhile. */
const PURGED = [ABSENT, "changed"];

/** An operation that is over, as far as its client is concerned. */
interface Answered {
  group: Group;
  id: number;
  operation: Operation;
  outcome: Outcome;
  tookMs: number;
  mustAnswer: boolean;
}

type Verdict = { kind: "ok"; answer: string } | { kind: "failed" } | { kind: "unknown" };

function answerOf(operation: Operation, outcome: Answer): string {
  if (operation.kind === "get") return `${outcome.sizeBytes}:${outcome.digest}`;
  if (operation.kind !== "list") return DONE;
  const entries = outcome.value as { path: string; size: number; checksum: string }[];
  return listing(Object.fromEntries(
    entries.map(({ path, size, checksum }) => [path, `${size}:${checksum}`]),
  ));
}

function brief(outcome: Outcome): unknown {
  if ("gone" in outcome) return outcome.gone;
  if (!outcome.ok) return `${outcome.code}: ${outcome.message}`;
  const { sizeBytes, digest, value, files } = outcome;
  if (files !== undefined) return files.map((file) => brief({ id: 0, ...file }));
  return digest === undefined ? value : `${sizeBytes}:${digest}`;
}

function wordsOf(outcome: Outcome): string {
  return JSON.stringify(brief(outcome));
}
