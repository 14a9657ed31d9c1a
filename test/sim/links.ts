/**
 * Which machines reach which, and how long that takes: each direction of a link can be cut alone.
 * A cut link loses what is sent; nobody is told.
 */
import type { Random } from "../../src/base/random.ts";

/** The machine that NATS runs on, as links know it. */
export const NATS = "nats";

/** How a network misbehaves; all 0 and false: it does not. */
export interface Weather {
  /** The share of messages on the bus that are lost. */
  loss: number;
  /** The share that come twice. */
  double: number;
  /** Messages may overtake each other. */
  reorder: boolean;
  /** The share that come late, and by how much at most. */
  late: number;
  lateMs: number;
  /** The share of HTTP streams that break, stall, or carry a wrong bit. */
  cut: number;
  stall: number;
  flip: number;
}

export const FAIR: Weather = {
  loss: 0,
  double: 0,
  reorder: false,
  late: 0,
  lateMs: 0,
  cut: 0,
  stall: 0,
  flip: 0,
};

const LATENCY_MS = 2;

export class Links {
  readonly random: Random;
  weather: Weather = FAIR;
  readonly #cut = new Set<string>();
  #onChange: (() => void)[] = [];

  constructor(random: Random) {
    this.random = random;
  }

  /** Whether what `from` sends comes to `to`. */
  passes(from: string, to: string): boolean {
    if (this.#cut.size === 0) return true;
    return !this.#cut.has(`${from}>${to}`) && !this.#cut.has(`${from}>*`) &&
      !this.#cut.has(`*>${to}`);
  }

  /** Cuts one direction; `*` stands for every machine. */
  cut(from: string, to: string): void {
    this.#cut.add(`${from}>${to}`);
    for (const callback of this.#onChange) callback();
  }

  /** All links are whole again. */
  heal(): void {
    this.#cut.clear();
    this.weather = FAIR;
    for (const callback of this.#onChange) callback();
  }

  /** Calls back whenever a link was cut or mended. */
  onChange(callback: () => void): void {
    this.#onChange.push(callback);
  }

  /** Time that a message takes now, in ms. */
  delayMs(): number {
    const usual = 0.05 + this.random.next() * LATENCY_MS;
    const { late, lateMs } = this.weather;
    return this.chance(late) ? usual + this.random.next() * lateMs : usual;
  }

  /** Whether something happens that has this probability. */
  chance(probability: number): boolean {
    return probability > 0 && this.random.next() < probability;
  }
}
