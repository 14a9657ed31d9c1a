/** What the workers of the load do next, what they put, and how a client is told of it. */
import type { Random } from "../../src/base/random.ts";
import { randomInt } from "../../src/base/random.ts";
import type { Order } from "./client_process.ts";
import { Content } from "./content.ts";
import type { Operation } from "./model.ts";
import { chooseSize, chooseSmallSize } from "./sizes.ts";

/** The names of a group. */
export const NAMES = ["a.bin", "b.bin", "c.mp4", "d d.txt", "e.txt", "f.txt", "g"];
/** An order may take this long, then its client gives up. */
export const TIMEOUT_MS = 60_000;
/** Files that are put or got together, at most; of a group with several workers. */
const TOGETHER_MAX = 6;
const TOGETHER_SHARED_MAX = 2;
const WORDS: readonly [Operation["kind"] | Together, number][] = [
  ["put", 28],
  ["put-many", 16],
  ["get", 20],
  ["get-many", 8],
  ["remove", 10],
  ["rename", 7],
  ["copy", 4],
  ["list", 9],
];

/** Several files of a group by one order; for the model each is an operation of its own. */
export type Together = "put-many" | "get-many";

export type PutOrGet = Extract<Operation, { kind: "put" | "get" }>;

/** Operations that one order carries out. */
export interface Chosen {
  together: Together;
  operations: PutOrGet[];
}

/** A directory in which something is to be done. */
interface Place {
  readonly dir: string;
  /** Several workers are at it at once. */
  readonly shared: boolean;
}

export interface ChoiceOptions {
  seed: number;
  random: Random;
  /** The largest file, bytes. */
  sizeMax: number;
}

/** What is sent on average: after a large file only small ones, until it is paid for. */
const BYTES_PER_MS = 20_000;
/** The share of operations that are done by a command of its own, where there is one. */
const COMMAND_SHARE = 0.08;
const COMMAND_SHARE_TOGETHER = 0.25;
const COMMANDS = { put: true, get: true, remove: true };
const CREDIT_MAX = 64 * 2 ** 20;
const SMALL_BYTES = 2 ** 16;
const MEMORY_MAX = 8 * 2 ** 20;

export class Choice {
  /** What was ever put, by what reading it answers. */
  readonly contents = new Map<string, { name: string; sizeBytes: number }>();
  readonly #options: ChoiceOptions;
  #versions = 0;
  #credit = { bytes: 0, ms: performance.now() };

  constructor(options: ChoiceOptions) {
    this.#options = options;
  }

  /** What is to be done in a group: one operation, or several together. */
  chooseOperation(group: Place): Operation | Chosen {
    const { random } = this.#options;
    const path = `${group.dir}/${pick(random, NAMES)}`;
    const kind = weighted(random, WORDS);
    if (kind === "list") return { kind };
    if (kind === "put-many" || kind === "get-many") {
      return { together: kind, operations: this.#chooseTogether(group, kind) };
    }
    if (kind === "get" || kind === "remove") return { kind, path };
    if (kind === "put") return { kind, path, content: this.#newContent(path) };
    const others = NAMES.map((name) => `${group.dir}/${name}`).filter((other) => other !== path);
    return { kind, path, to: pick(random, others) };
  }

  #chooseTogether(group: Place, kind: Together): PutOrGet[] {
    const { random } = this.#options;
    const most = group.shared ? TOGETHER_SHARED_MAX : TOGETHER_MAX;
    const names = [...NAMES];
    const count = 2 + randomInt(random, most - 1);
    return Array.from({ length: count }, (): PutOrGet => {
      const [name = ""] = names.splice(randomInt(random, names.length), 1);
      const path = `${group.dir}/${name}`;
      if (kind === "get-many") return { kind: "get", path };
      return { kind: "put", path, content: this.#noteContent(path, chooseSmallSize(random)) };
    });
  }

  #newContent(path: string): string {
    const { random, sizeMax } = this.#options;
    const nowMs = performance.now();
    const earned = this.#credit.bytes + (nowMs - this.#credit.ms) * BYTES_PER_MS;
    this.#credit = { bytes: Math.min(CREDIT_MAX, earned), ms: nowMs };
    const sizeBytes = chooseSize(random, earned > 0 ? sizeMax : SMALL_BYTES);
    return this.#noteContent(path, sizeBytes);
  }

  #noteContent(path: string, sizeBytes: number): string {
    const { seed } = this.#options;
    this.#credit.bytes -= sizeBytes;
    const name = `${seed}:${path}#${++this.#versions}`;
    const content = `${sizeBytes}:${new Content(name, sizeBytes).digest()}`;
    this.contents.set(content, { name, sizeBytes });
    return content;
  }

  /** An operation as a client is told of it. */
  orderOf(id: number, group: Place, operation: Operation): Order {
    const { random } = this.#options;
    const hows = ["memory", "stream", "file"] as const;
    const byCommand = random.next() < COMMAND_SHARE && operation.kind in COMMANDS;
    const how = byCommand ? "command" : pick(random, hows);
    const base = { id, timeoutMs: TIMEOUT_MS };
    if (operation.kind === "list") return { ...base, kind: "list", path: group.dir };
    if (operation.kind !== "put") return { ...base, how, ...operation };
    const facts = this.contents.get(operation.content);
    const small = (facts?.sizeBytes ?? 0) <= MEMORY_MAX;
    const { kind, path } = operation;
    return { ...base, kind, path, ...facts, how: how === "memory" && !small ? "file" : how };
  }

  /** Several operations as one order. */
  orderOfMany(id: number, group: Place, kind: Together, operations: readonly PutOrGet[]): Order {
    const { random } = this.#options;
    const apart = random.next() < 0.5 ? "singles" : "file";
    const how = random.next() < COMMAND_SHARE_TOGETHER ? "command" : apart;
    const files = operations.map((operation) => ({
      path: operation.path,
      ...(operation.kind === "put" ? this.contents.get(operation.content) : {}),
    }));
    return { id, kind, path: group.dir, files, how, timeoutMs: TIMEOUT_MS };
  }
}

/** One of several, each as likely. */
export function pick<T>(random: Random, from: readonly T[]): T {
  const chosen = from[randomInt(random, from.length)];
  if (chosen === undefined) throw new Error("Nothing to choose from");
  return chosen;
}

function weighted<T>(random: Random, from: readonly (readonly [T, number])[]): T {
  let at = random.next() * from.reduce((sum, [, weight]) => sum + weight, 0);
  for (const [value, weight] of from) {
    at -= weight;
    if (at < 0) return value;
  }
  return pick(random, from)[0];
}
