/**
 * What a bench is to do: its flags as values, and the choice of each operation. Pure but for the
 * randomness that it is given.
 */
import { GIB, MIB, parseSize } from "../../base/bytes.ts";
import type { Random } from "../../base/random.ts";
import { randomInt } from "../../base/random.ts";
import { ConfigError } from "../../config/load.ts";

export const OPERATIONS = ["put", "get", "stat", "delete"] as const;
export type OperationName = typeof OPERATIONS[number];

/** Something of a weight: it comes up in proportion to it. */
export interface Weighted<T> {
  value: T;
  weight: number;
}

export const SIZE_MAX_BYTES = 4 * GIB;
/** Pieces of an object that are held in memory at once are no larger. */
const PIECE_BYTES_MAX = 64 * MIB;
/** Where in the buffer an object may begin: as many objects differ. */
const VARIATIONS = MIB;
const FILL_BYTES = 64 * 1024;
const WEIGHT_MAX = 1_000_000;

/** Parses `4KiB,1MiB=3`: sizes, with weights of 1 unless given. Throws `ConfigError`. */
export function parseSizes(text: string): Weighted<number>[] {
  return parseWeighted("--sizes", text, (word) => {
    const bytes = parseSize(word);
    return bytes !== undefined && bytes <= SIZE_MAX_BYTES ? bytes : undefined;
  }, "sizes up to 4 GiB, as in 4KiB,1MiB=3");
}

/** Parses `put=30,get=60,stat=5,delete=5`. Throws `ConfigError`. */
export function parseMix(text: string): Weighted<OperationName>[] {
  const find = (word: string) => OPERATIONS.find((name) => name === word);
  return parseWeighted("--mix", text, find, "operations, as in put=30,get=60,stat=5,delete=5");
}

function parseWeighted<T>(
  flag: string,
  text: string,
  parse: (word: string) => T | undefined,
  wanted: string,
): Weighted<T>[] {
  const parsed = text.split(",").map((part): Weighted<T> | undefined => {
    const [word = "", weightText = "1", ...rest] = part.trim().split("=");
    const value = parse(word);
    const weight = /^\d+$/.test(weightText) ? Number(weightText) : NaN;
    if (value === undefined || rest.length > 0 || !(weight <= WEIGHT_MAX)) return undefined;
    return { value, weight };
  });
  const good = parsed.filter((part) => part !== undefined);
  if (good.length === parsed.length && good.some(({ weight }) => weight > 0)) return good;
  throw new ConfigError(`Cannot use ${JSON.stringify(text)} for ${flag}: give ${wanted}`);
}

/** Chooses one of the values, in proportion to their weights. */
export function chooseWeighted<T>(values: readonly Weighted<T>[], random: Random): T | undefined {
  const total = values.reduce((sum, { weight }) => sum + weight, 0);
  let at = random.next() * total;
  for (const { value, weight } of values) {
    at -= weight;
    if (at < 0 && weight > 0) return value;
  }
  return values.findLast(({ weight }) => weight > 0)?.value;
}

/**
 * The next operation: as the mix says, but for one that needs an object where there is none, which
 * becomes a put.
 */
export function chooseOperation(
  mix: readonly Weighted<OperationName>[],
  objects: number,
  random: Random,
): OperationName {
  const chosen = chooseWeighted(mix, random) ?? "put";
  return objects === 0 ? "put" : chosen;
}

/** Random bytes of which any number of objects is cut, each at a place of its own: all differ. */
export class BytePool {
  readonly #bytes: Uint8Array;
  readonly #random: Random;

  /** Enough for objects of up to `sizeMaxBytes`. */
  constructor(sizeMaxBytes: number, random: Random) {
    this.#bytes = new Uint8Array(Math.min(sizeMaxBytes, PIECE_BYTES_MAX) + VARIATIONS);
    this.#random = random;
    for (let at = 0; at < this.#bytes.length; at += FILL_BYTES) {
      this.#bytes.set(random.bytes(Math.min(FILL_BYTES, this.#bytes.length - at)), at);
    }
  }

  /** The bytes of a new object; nothing is copied. */
  object(sizeBytes: number): { sizeBytes: number; slice(start: number, end: number): Uint8Array } {
    const shift = randomInt(this.#random, VARIATIONS);
    return {
      sizeBytes,
      // Large objects differ from piece to piece, too.
      slice: (start, end) => {
        const at = (shift + Math.floor(start / PIECE_BYTES_MAX) * 4099) % VARIATIONS;
        return this.#bytes.subarray(at, at + end - start);
      },
    };
  }
}

/** The objects that are there, and are not in use by an operation that the next one would upset. */
export class ObjectPool {
  readonly #paths: string[] = [];
  readonly #busy = new Map<string, number>();

  /** Objects that are there. */
  get size(): number {
    return this.#paths.length;
  }

  add(path: string): void {
    this.#paths.push(path);
  }

  /** An object for reading: until `release` it is not handed out for removal. */
  borrow(random: Random): string | undefined {
    const path = this.#paths[randomInt(random, this.#paths.length)];
    if (path !== undefined) this.#busy.set(path, (this.#busy.get(path) ?? 0) + 1);
    return path;
  }

  /** Gives a borrowed object back. */
  release(path: string): void {
    const users = (this.#busy.get(path) ?? 0) - 1;
    if (users > 0) this.#busy.set(path, users);
    else this.#busy.delete(path);
  }

  /** Takes an object out for good, one that nobody reads; undefined when none is found at once. */
  take(random: Random): string | undefined {
    for (let attempt = 0; attempt < 8 && this.#paths.length > 0; attempt++) {
      const index = randomInt(random, this.#paths.length);
      const path = this.#paths[index];
      const last = this.#paths.at(-1);
      if (path === undefined || last === undefined || this.#busy.has(path)) continue;
      this.#paths[index] = last;
      this.#paths.pop();
      return path;
    }
    return undefined;
  }
}
