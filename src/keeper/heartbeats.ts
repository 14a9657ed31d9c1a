/**
 * Heartbeats: each second, this keeper's own truth about its ports and its disk. Sent from the main
 * thread, which never touches a transfer; a disk that hangs makes the keeper read-only, not silent.
 * Watches that each streamer's event loop turns.
 */
import type { Clock, Timer } from "../base/clock.ts";
import type { ChunkStore } from "../chunks/chunk_store.ts";
import type { DiskSpace } from "../chunks/disk.ts";
import type { PortTable } from "../tables/port_table.ts";
import type { Bus } from "../wire/bus.ts";
import { encode } from "../wire/codec.ts";
import type { Heartbeat, PortBeat } from "../wire/heartbeat.ts";
import type { Subjects } from "../wire/subjects.ts";
import type { ScrubShare } from "./scrub_share.ts";

export interface HeartbeatOptions {
  keeperId: string;
  epoch: number;
  bus: Bus;
  subjects: Subjects;
  ports: PortTable;
  /** Rows of `ports` that are in use: 0 to this. */
  streamers: number;
  store: ChunkStore;
  scrub: ScrubShare;
  clock: Clock;
  /** A streamer's event loop has stood still for many beats. */
  onHung: (row: number) => void;
}

/** Checks without a sign of life after which a streamer counts as hung. */
const STILL_MAX = 10;
/** A disk that does not tell its space within this time takes no uploads. */
const DISK_HUNG_MS = 10_000;

export class Heartbeats {
  readonly #options: HeartbeatOptions;
  #beat = 0;
  #leaving = false;
  #readOnly = false;
  #timer: Timer | undefined;
  #space: DiskSpace = { totalBytes: 0, freeBytes: 0 };
  #looking = false;
  #lookedMs: number;
  readonly #ticks: number[] = [];
  readonly #still: number[] = [];

  constructor(options: HeartbeatOptions) {
    this.#options = options;
    this.#lookedMs = options.clock.monotonicMs();
  }

  /**
   * Sends a beat now, and then one each `beatMs`; again with another pace when called again. With
   * `readOnly` they ask for no uploads, whatever the disk says.
   */
  async start(beatMs: number, options: { readOnly?: boolean } = {}): Promise<void> {
    this.#readOnly = options.readOnly ?? false;
    await this.#look();
    this.#timer?.stop();
    this.beatNow();
    this.#timer = this.#options.clock.every(beatMs, () => {
      this.#watchStreamers();
      void this.#look();
      this.beatNow();
    });
  }

  /** Sends one beat at once. */
  beatNow(): void {
    const { bus, subjects, keeperId } = this.#options;
    bus.publish(subjects.heartbeat(keeperId), encode(this.#compose()));
  }

  /** Says goodbye and falls silent. */
  leave(): void {
    this.#timer?.stop();
    this.#leaving = true;
    this.beatNow();
  }

  #compose(): Heartbeat {
    const { keeperId, epoch, store, streamers, clock, scrub } = this.#options;
    const isHung = clock.monotonicMs() - this.#lookedMs > DISK_HUNG_MS;
    const fault = isHung ? "broken" : store.fault;
    return {
      keeper: keeperId,
      epoch,
      beat: ++this.#beat,
      ports: Array.from({ length: streamers }, (_, row) => this.#portBeat(row)),
      ...this.#space,
      chunks: store.chunks,
      readOnly: this.#readOnly || fault !== undefined,
      ...(fault === undefined ? {} : { fault }),
      leaving: this.#leaving,
      aside: store.aside,
      scrub: { ...scrub.progress, bad: store.bad },
    };
  }

  #portBeat(row: number): PortBeat {
    const { ports } = this.#options;
    return {
      port: ports.port(row),
      slots: ports.slots(row),
      ...ports.counts(row),
      grants: ports.held(row),
    };
  }

  /** Looks at the disk without making the beat wait for it. */
  async #look(): Promise<void> {
    if (this.#looking) return;
    this.#looking = true;
    try {
      this.#space = await this.#options.store.space();
      this.#lookedMs = this.#options.clock.monotonicMs();
    } catch {
      // What can't be looked at grows old, and then counts as hung.
    } finally {
      this.#looking = false;
    }
  }

  #watchStreamers(): void {
    const { ports, streamers, onHung } = this.#options;
    for (let row = 0; row < streamers; row++) {
      const ticks = ports.ticks(row);
      const still = ticks === this.#ticks[row] ? (this.#still[row] ?? 0) + 1 : 0;
      this.#ticks[row] = ticks;
      this.#still[row] = still;
      if (still >= STILL_MAX) onHung(row);
    }
  }
}
