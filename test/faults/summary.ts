/** Counts of a run, and the table at its end. */

export type OperationVerdict = "ok" | "failed" | "unknown";

export class Tally {
  readonly #operations = new Map<string, Record<OperationVerdict, number>>();
  readonly #faults = new Map<string, number>();
  readonly #facts = new Map<string, string>();

  operation(kind: string, verdict: OperationVerdict): void {
    const row = this.#operations.get(kind) ?? { ok: 0, failed: 0, unknown: 0 };
    row[verdict]++;
    this.#operations.set(kind, row);
  }

  fault(kind: string): void {
    this.#faults.set(kind, (this.#faults.get(kind) ?? 0) + 1);
  }

  /** A line of the table's end; what is told last stands. */
  fact(name: string, value: string): void {
    this.#facts.set(name, value);
  }

  get operations(): number {
    return [...this.#operations.values()]
      .reduce((sum, { ok, failed, unknown }) => sum + ok + failed + unknown, 0);
  }

  get faults(): number {
    return [...this.#faults.values()].reduce((sum, count) => sum + count, 0);
  }

  /** The table. */
  format(): string {
    const lines = [line("operation", "ok", "failed", "unknown")];
    for (const [kind, row] of [...this.#operations].sort()) {
      lines.push(line(kind, row.ok, row.failed, row.unknown));
    }
    lines.push("", line("fault", "times"));
    for (const [kind, count] of [...this.#faults].sort()) lines.push(line(kind, count));
    lines.push("", line("all operations", this.operations), line("all faults", this.faults));
    for (const [name, value] of this.#facts) lines.push(line(name, value));
    return lines.join("\n");
  }
}

function line(name: string, ...values: (string | number)[]): string {
  return [name.padEnd(26), ...values.map((value) => String(value).padStart(9))].join(" ");
}
