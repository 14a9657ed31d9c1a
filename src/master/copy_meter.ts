/** How fast copies have been made lately, and how long what waits will take. */

/** The weight of the latest copy in the mean. */
const MEAN_WEIGHT = 0.2;

export class CopyMeter {
  #bytesPerSecond: number | undefined;

  /** A copy was made. */
  note(sizeBytes: number, tookMs: number): void {
    const now = sizeBytes / tookMs * 1_000;
    const before = this.#bytesPerSecond ?? now;
    this.#bytesPerSecond = before * (1 - MEAN_WEIGHT) + now * MEAN_WEIGHT;
  }

  /** What `running` copies bring in a second; 0 while that is not known. */
  rate(running: number): number {
    return (this.#bytesPerSecond ?? 0) * running;
  }

  /** Time for so many bytes by `streams` copies at once, in ms; undefined while not known. */
  etaMs(sizeBytes: number, streams: number): number | undefined {
    const rate = this.rate(streams);
    return rate === 0 || sizeBytes === 0 ? undefined : sizeBytes / rate * 1_000;
  }
}
