/** The log of a run: each fault and each operation, a line of JSON with its time. */
import { closeSync, openSync, writeSync } from "node:fs";

export interface LoggedFact {
  /** Ms since the run's start. */
  ms: number;
  kind: string;
  [fact: string]: unknown;
}

/** Facts of one kind that are remembered for the report of a violation. */
const FAULTS_MAX = 40;

export class EventLog {
  readonly #fd: number;
  readonly #startMs = performance.now();
  readonly #faults: LoggedFact[] = [];

  constructor(path: string) {
    this.#fd = openSync(path, "w");
  }

  get ms(): number {
    return Math.round(performance.now() - this.#startMs);
  }

  /** Writes a fact down. */
  note(kind: string, facts: Record<string, unknown> = {}): LoggedFact {
    const fact = { ms: this.ms, kind, ...facts };
    writeSync(this.#fd, JSON.stringify(fact) + "\n");
    if (kind !== "operation") this.#faults.push(fact);
    if (this.#faults.length > FAULTS_MAX) this.#faults.shift();
    return fact;
  }

  /** The latest facts that are no operations, the oldest first. */
  get latest(): readonly LoggedFact[] {
    return this.#faults;
  }

  close(): void {
    closeSync(this.#fd);
  }
}
