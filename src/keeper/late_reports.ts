/**
 * Gathers reports of stored copies that nobody waits for: with many small chunks every third copy
 * makes one, and a message of its own for each costs more than the rest of its record. Bounded in
 * number and in time.
 */
import type { Clock, Timer } from "../base/clock.ts";
import { KIB } from "../base/bytes.ts";
import type { StoredRequest } from "../wire/report.ts";
import { STORED_MANY_MAX } from "../wire/report.ts";

/** Time for which a report may wait for others. */
const GATHER_MS = 100;
/** The copy of a larger chunk has a slot that is wanted back. */
const CHUNK_BYTES_MAX = 256 * KIB;
/** So many tickets of this length fit into one message. */
const TICKET_CHARS_MAX = 4 * KIB;

export class LateReports {
  readonly #clock: Clock;
  readonly #send: (reports: StoredRequest[]) => void;
  #waiting: StoredRequest[] = [];
  #timer: Timer | undefined;

  /** `send` takes what has been gathered. */
  constructor(clock: Clock, send: (reports: StoredRequest[]) => void) {
    this.#clock = clock;
    this.#send = send;
  }

  /** Adds a report, which is sent at once when it can't wait. */
  add(report: StoredRequest): void {
    const { ticket = "", sizeBytes } = report;
    if (ticket.length > TICKET_CHARS_MAX || sizeBytes > CHUNK_BYTES_MAX) {
      return this.#send([report]);
    }
    this.#waiting.push(report);
    if (this.#waiting.length >= STORED_MANY_MAX) return this.flush();
    this.#timer ??= this.#clock.after(GATHER_MS, () => this.flush());
  }

  /** Sends what waits. */
  flush(): void {
    this.#timer?.stop();
    this.#timer = undefined;
    const reports = this.#waiting;
    this.#waiting = [];
    if (reports.length > 0) this.#send(reports);
  }
}
