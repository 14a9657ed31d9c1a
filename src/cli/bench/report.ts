/** What a bench has measured: bounded counters of each operation, as people and scripts read it. */
import { formatDuration, formatSize, MIB } from "../../base/bytes.ts";
import { Histogram } from "../../base/histogram.ts";
import type { ErrorCode } from "../../wire/errors.ts";
import type { OperationName } from "./plan.ts";
import { OPERATIONS } from "./plan.ts";
import { alignColumns, formatCount } from "../format/format.ts";

/** What one operation came to. */
export interface Sample {
  elapsedMs: number;
  bytes: number;
  /** Of a get: the time until its first bytes were there, and right. */
  firstByteMs?: number;
}

/** Counters of one kind of operation. */
export class OperationTally {
  /** Times of those that succeeded, in µs. */
  readonly latency = new Histogram();
  readonly firstByte = new Histogram();
  readonly errors = new Map<ErrorCode, number>();
  bytes = 0;

  /** How many succeeded. */
  get done(): number {
    return this.latency.count;
  }

  get failed(): number {
    return [...this.errors.values()].reduce((sum, count) => sum + count, 0);
  }

  add({ elapsedMs, bytes, firstByteMs }: Sample): void {
    this.latency.add(toMicros(elapsedMs));
    if (firstByteMs !== undefined) this.firstByte.add(toMicros(firstByteMs));
    this.bytes += bytes;
  }

  fail(code: ErrorCode): void {
    this.errors.set(code, (this.errors.get(code) ?? 0) + 1);
  }
}

export type Tallies = Record<OperationName, OperationTally>;

/** Counters of all operations, at zero. */
export function newTallies(): Tallies {
  return {
    put: new OperationTally(),
    get: new OperationTally(),
    stat: new OperationTally(),
    delete: new OperationTally(),
  };
}

/** A bench that is over. */
export interface BenchResult {
  prefix: string;
  clients: number;
  objects: number;
  /** From the first operation that counts to the end of the last one. */
  elapsedMs: number;
  tallies: Tallies;
  /** It was stopped before its time. */
  interrupted: boolean;
  /** Objects are left where they are. */
  kept: boolean;
}

const SHARES: readonly [string, number][] = [["p50", 0.5], ["p90", 0.9], ["p99", 0.99], [
  "p99.9",
  0.999,
]];
const HEADINGS = ["", "OPS", "OPS/S", "MiB/S", "ERRORS", "P50", "P90", "P99", "P99.9", "MAX"];

/** The table of results. */
export function formatBench(result: BenchResult): string[] {
  const { clients, elapsedMs, tallies, prefix, kept } = result;
  const used = OPERATIONS.filter((name) => tallies[name].done + tallies[name].failed > 0);
  const rows = used.map((name) => [name, ...tallyCells(tallies[name], elapsedMs)]);
  const { get } = tallies;
  const firstBytes = get.firstByte.count === 0
    ? []
    : [["first byte", "", "", "", "", ...latencyCells(get.firstByte)]];
  const errors = used.flatMap((name) =>
    [...tallies[name].errors].map(([code, count]) => `${name}: ${count} × ${code}`)
  );
  return [
    `${formatCount(clients, "client")} · ${seconds(elapsedMs)} · ` +
    `${formatCount(totalDone(tallies), "operation")}`,
    "",
    ...alignColumns(
      [HEADINGS, ...rows, ...firstBytes],
      HEADINGS.map((_, column) => column).slice(1),
    ),
    ...(errors.length === 0 ? [] : ["", `Errors: ${errors.join(", ")}`]),
    ...(kept ? ["", `The objects are left in ${prefix}`] : []),
  ];
}

/** What `bench --json` prints; scripts rely on it. Times are in ms. */
export function benchJson(result: BenchResult): Record<string, unknown> {
  const { prefix, clients, objects, elapsedMs, tallies, interrupted, kept } = result;
  const operations = Object.fromEntries(
    OPERATIONS.map((name) => [name, tallyJson(tallies[name], elapsedMs)]),
  );
  const ops = totalDone(tallies);
  const bytes = OPERATIONS.reduce((sum, name) => sum + tallies[name].bytes, 0);
  const errors = OPERATIONS.reduce((sum, name) => sum + tallies[name].failed, 0);
  const totals = { ops, errors, bytes, opsPerS: perSecond(ops, elapsedMs) };
  const facts = { prefix, clients, objects, elapsedMs: round(elapsedMs), interrupted, kept };
  return { ...facts, ...totals, operations };
}

/** One line while it runs. */
export function formatBenchProgress(
  tallies: Tallies,
  elapsedMs: number,
  leftMs: number | undefined,
): string {
  const rate = (name: OperationName) =>
    `${name} ${formatSize(Math.round(perSecond(tallies[name].bytes, elapsedMs)))}/s`;
  const failed = OPERATIONS.reduce((sum, name) => sum + tallies[name].failed, 0);
  return [
    leftMs === undefined ? "warming up" : `${formatDuration(leftMs)} left`,
    `${Math.round(perSecond(totalDone(tallies), elapsedMs))} ops/s`,
    rate("put"),
    rate("get"),
    ...(failed > 0 ? [formatCount(failed, "error")] : []),
  ].join(" · ");
}

/** Operations that succeeded. */
export function totalDone(tallies: Tallies): number {
  return OPERATIONS.reduce((sum, name) => sum + tallies[name].done, 0);
}

function tallyCells(tally: OperationTally, elapsedMs: number): string[] {
  return [
    String(tally.done),
    perSecond(tally.done, elapsedMs).toFixed(1),
    tally.bytes === 0 ? "-" : (perSecond(tally.bytes, elapsedMs) / MIB).toFixed(1),
    String(tally.failed),
    ...latencyCells(tally.latency),
  ];
}

function latencyCells(histogram: Histogram): string[] {
  if (histogram.count === 0) return [...SHARES.map(() => "-"), "-"];
  const values = [...SHARES.map(([, share]) => histogram.percentile(share)), histogram.max];
  return values.map((micros) => formatLatency(micros / 1000));
}

/** `0.85 ms`, `12.3 ms`, `1.23 s`: three digits are enough. */
export function formatLatency(ms: number): string {
  if (ms >= 1000) return `${(ms / 1000).toFixed(2)} s`;
  return `${ms.toFixed(ms < 10 ? 2 : ms < 100 ? 1 : 0)} ms`;
}

function tallyJson(tally: OperationTally, elapsedMs: number): Record<string, unknown> {
  const { done: ops, bytes, errors, latency, firstByte } = tally;
  return {
    ops,
    opsPerS: perSecond(ops, elapsedMs),
    bytes,
    bytesPerS: perSecond(bytes, elapsedMs),
    errors: Object.fromEntries(errors),
    latencyMs: latencyJson(latency),
    ...(firstByte.count === 0 ? {} : { firstByteMs: latencyJson(firstByte) }),
  };
}

function latencyJson(histogram: Histogram): Record<string, number> | null {
  if (histogram.count === 0) return null;
  const shares = SHARES.map(([name, share]) => [name, histogram.percentile(share) / 1000]);
  const { min, mean, max } = histogram;
  return {
    min: min / 1000,
    mean: round(mean / 1000),
    ...Object.fromEntries(shares),
    max: max / 1000,
  };
}

function perSecond(amount: number, elapsedMs: number): number {
  return elapsedMs <= 0 ? 0 : round(amount / elapsedMs * 1000);
}

function seconds(ms: number): string {
  return ms < 60_000 ? `${(ms / 1000).toFixed(1)} s` : formatDuration(ms);
}

function round(value: number): number {
  return Math.round(value * 1000) / 1000;
}

function toMicros(ms: number): number {
  return Math.max(0, Math.round(ms * 1000));
}
