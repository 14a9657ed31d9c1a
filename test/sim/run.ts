/**
 * Runs simulated clusters: `bun test/sim/run.ts SEED` plays one seed and shows it;
 * `--seeds N [--from S] [--minutes M] [--jobs J]` plays many and shows what broke.
 */
import { parseArgs } from "node:util";
import type { Verdict } from "./scenario.ts";
import { play } from "./scenario.ts";

const later = globalThis.setImmediate;

/** Plays a seed outside all promises, and counts rejections that nobody has handled. */
export async function playSeed(seed: number): Promise<Verdict> {
  const unhandled: unknown[] = [];
  const onUnhandled = (error: unknown) => void unhandled.push(error);
  process.on("unhandledRejection", onUnhandled);
  const verdict = await new Promise<Verdict>((resolve) => later(() => resolve(play(seed))));
  await new Promise((resolve) => later(resolve));
  await new Promise((resolve) => later(resolve));
  process.off("unhandledRejection", onUnhandled);
  for (const error of unhandled) {
    if (error instanceof Error && error.name === "DeadProcess") continue;
    const words = error instanceof Error ? error.stack ?? error.message : String(error);
    verdict.violations.push(`a rejection that nothing handled: ${words}`);
  }
  return verdict;
}

/** What a broken seed is told with. */
export function wordsOf({ seed, violations, trace }: Verdict): string {
  return [
    ...trace,
    "",
    `Seed ${seed} broke:`,
    ...violations.map((violation) => `  ${violation}`),
    `Replay it with: deno task sim ${seed}`,
  ].join("\n");
}

interface Totals {
  seeds: number;
  broken: number[];
  operations: number;
  events: number;
}

async function playMany(
  first: number,
  step: number,
  count: number,
  endMs: number,
  isVerbose: boolean,
): Promise<Totals> {
  const totals: Totals = { seeds: 0, broken: [], operations: 0, events: 0 };
  for (let index = 0; index < count && performance.now() < endMs; index++) {
    const verdict = await playSeed(first + index * step);
    totals.seeds++;
    totals.operations += verdict.operations;
    totals.events += verdict.events;
    if (verdict.violations.length === 0) continue;
    totals.broken.push(verdict.seed);
    if (isVerbose) console.log(wordsOf(verdict));
    else console.log(`Seed ${verdict.seed} broke: ${verdict.violations[0]}`);
  }
  return totals;
}

async function main(): Promise<number> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      seeds: { type: "string" },
      from: { type: "string", default: "1" },
      minutes: { type: "string" },
      jobs: { type: "string", default: "1" },
      step: { type: "string", default: "1" },
      short: { type: "boolean", default: false },
    },
  });
  const endMs = values.minutes === undefined
    ? Infinity
    : performance.now() + Number(values.minutes) * 60_000;
  const [seed] = positionals;
  if (seed !== undefined) {
    const verdict = await playSeed(Number(seed));
    console.log(verdict.violations.length > 0 ? wordsOf(verdict) : verdict.trace.join("\n"));
    console.log(
      `${verdict.events} events, ${verdict.operations} operations, ` +
        `${Math.round(verdict.lastedMs / 1000)} s of virtual time, hash ${verdict.hash}`,
    );
    return verdict.violations.length > 0 ? 1 : 0;
  }
  const startMs = performance.now();
  const count = Number(values.seeds ?? "Infinity");
  const totals = await playMany(
    Number(values.from),
    Number(values.step),
    count,
    endMs,
    !values.short,
  );
  const seconds = (performance.now() - startMs) / 1000;
  console.log(
    `${totals.seeds} seeds, ${totals.operations} operations, ${totals.events} events in ` +
      `${seconds.toFixed(1)} s; broken: ${totals.broken.length} ${
        totals.broken.slice(0, 50).join(" ")
      }`,
  );
  return totals.broken.length > 0 ? 1 : 0;
}

if (import.meta.main) process.exitCode = await main();
