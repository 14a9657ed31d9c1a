/**
 * How many ports of a keeper get short chunks: as few as bear them. A thread that has few of them
 * does each at a multiple of its cost, since its code is still being compiled, and it shares fewer
 * syncs of directories.
 */

const WINDOW_MS = 100;
/** Short chunks in a window that one port takes: a streamer can do more than twice as many. */
const PER_WINDOW = 100;

/** Deals short chunks to ports, by how many have come of late. */
export class ShortPorts {
  #startMs = -Infinity;
  #count = 0;
  #before = 0;

  /** The number of the port for one more short chunk: below `ports`, which is 1 at least. */
  next(ports: number, nowMs: number): number {
    const spentMs = nowMs - this.#startMs;
    if (spentMs >= WINDOW_MS) {
      this.#before = spentMs < 2 * WINDOW_MS ? this.#count : 0;
      this.#startMs = nowMs;
      this.#count = 0;
    }
    const load = Math.max(this.#count, this.#before);
    const used = Math.min(ports, 1 + Math.floor(load / PER_WINDOW));
    return this.#count++ % used;
  }
}
