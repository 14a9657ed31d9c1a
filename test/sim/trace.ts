/**
 * What happened, a line per event: the last ones are kept for people, and all of them make a hash,
 * which two runs of one seed must have in common.
 */

export class Trace {
  /** Lines that are kept. */
  keptMax = 240;
  readonly #nowMs: () => number;
  readonly #startMs: number;
  readonly #lines: string[] = [];
  #hash = 0n;
  #count = 0;

  constructor(nowMs: () => number) {
    this.#nowMs = nowMs;
    this.#startMs = nowMs();
  }

  /** Notes that `event` happened at `place`. */
  note(place: string, event: string, detail = ""): void {
    const time = ((this.#nowMs() - this.#startMs) / 1000).toFixed(4);
    const line = `${time.padStart(10)} ${place.padEnd(10)} ${event.padEnd(10)} ${detail}`;
    this.#hash = Bun.hash.xxHash3(line, this.#hash);
    this.#lines[this.#count++ % this.keptMax] = line;
  }

  /** Events so far. */
  get count(): number {
    return this.#count;
  }

  /** The hash over all events. */
  get hash(): string {
    return this.#hash.toString(16);
  }

  /** The last events, the oldest first. */
  lines(): string[] {
    const start = Math.max(0, this.#count - this.keptMax);
    return Array.from(
      { length: this.#count - start },
      (_, index) => this.#lines[(start + index) % this.keptMax] ?? "",
    );
  }
}
