/**
 * Runs simulated clusters: `bun test/sim/run.ts SEED [--lines N]` plays one seed and shows it;
 * `--seeds N [--from S] [--minutes M] [--jobs J] [--short] [--first]` plays many, and shows those
 * that broke (in a line each, or only the first).
 */
import { parseArgs } from "node:util";
import type { Verdict } from "./scenario.ts";
import { play } from "./scenario.ts";

// The engine's own: a simulation puts another one in its place.
const later = globalThis.setImmediate;
const nextTurn = () => new Promise<void>((resolve) => void later(() => resolve()));

/** Plays a seed outside all promises, and counts rejections that nobody has handled. */
export async function playSeed(seed: number, keptMax?: number): Promise<Verdict> {
  const unhandled: unknown[] = [];
  const onUnhandled = (error: unknown) => void unhandled.push(error);
  process.on("unhandledRejection", onUnhandled);
  const verdict = await new Promise<Verdict>((resolve) => {
    later(() => resolve(play(seed, keptMax)));
  });
  await nextTurn();
  await nextTurn();
  process.off("unhandledRejection", onUnhandled);
  for (const error of unhandled) {
    if (error instanceof Error && error.name === "DeadProcess") continue;
    const words = error instanceof Error ? error.stack ?? error.message : String(error);
    verdict.violations.push(`a rejection that nothing handled: ${words}`);
  }
  return verdict;
}

/** What a broken seed is told with: the last events, what broke, and how to see it again. */
export function wordsOf({ seed, violations, trace }: Verdict): string {
  return [
    ...trace,
    "",
    `Seed ${seed} broke:`,
    ...violations.map((violation) => `  ${violation}`),
    `Replay it with: deno task sim ${seed}`,
  ].join("\n");
}

interface Many {
  first: number;
  step: number;
  seeds: number;
  endMs: number;
  /** A line for each that breaks, in place of its events. */
  short: boolean;
  /** Stop at the first that breaks. */
  stop: boolean;
}

async function playMany({ first, step, seeds, endMs, short, stop }: Many): Promise<number> {
  const startMs = performance.now();
  const broken: number[] = [];
  let [played, operations, events] = [0, 0, 0];
  while (played < seeds && performance.now() < endMs && !(stop && broken.length > 0)) {
    const verdict = await playSeed(first + played * step);
    played++;
    operations += verdict.operations;
    events += verdict.events;
    if (verdict.violations.length === 0) continue;
    broken.push(verdict.seed);
    console.log(short ? `Seed ${verdict.seed} broke: ${verdict.violations[0]}` : wordsOf(verdict));
  }
  const seconds = ((performance.now() - startMs) / 1000).toFixed(1);
  console.log(
    `${played} seeds, ${operations} operations, ${events} events in ${seconds} s; ` +
      `${broken.length} broke${broken.length === 0 ? "" : `: ${broken.slice(0, 50).join(" ")}`}`,
  );
  return broken.length > 0 ? 1 : 0;
}

async function playOne(seed: number, keptMax: number): Promise<number> {
  const verdict = await playSeed(seed, keptMax);
  const { violations, trace, events, operations, lastedMs, hash } = verdict;
  console.log(violations.length > 0 ? wordsOf(verdict) : trace.join("\n"));
  const seconds = Math.round(lastedMs / 1000);
  console.log(`${events} events, ${operations} operations, ${seconds} s of time, hash ${hash}`);
  return violations.length > 0 ? 1 : 0;
}

/** Shares the seeds among processes: each plays every `jobs`-th. */
async function playInJobs(jobs: number, from: number, seeds: number): Promise<number> {
  const shared = process.argv.slice(2).filter((_, index, all) =>
    ![all[index], all[index - 1]].some((word) =>
      ["--jobs", "--from", "--seeds"].includes(word ?? "")
    )
  );
  const statuses = await Promise.all(Array.from({ length: jobs }, (_, index) => {
    const own = Math.ceil((seeds - index) / jobs);
    const part = ["--from", String(from + index), "--step", String(jobs)];
    const count = Number.isFinite(own) ? ["--seeds", String(own)] : [];
    const command = [process.execPath, import.meta.path, ...shared, ...part, ...count];
    return Bun.spawn(command, { stdio: ["ignore", "inherit", "inherit"] }).exited;
  }));
  return Math.max(...statuses);
}

async function main(): Promise<number> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      seeds: { type: "string", default: "Infinity" },
      from: { type: "string", default: "1" },
      step: { type: "string", default: "1" },
      minutes: { type: "string", default: "Infinity" },
      jobs: { type: "string", default: "1" },
      short: { type: "boolean", default: false },
      lines: { type: "string", default: "240" },
      first: { type: "boolean", default: false },
    },
  });
  const [seed] = positionals;
  if (seed !== undefined) return await playOne(Number(seed), Number(values.lines));
  const [jobs, from, seeds] = [Number(values.jobs), Number(values.from), Number(values.seeds)];
  if (jobs > 1) return await playInJobs(jobs, from, seeds);
  return await playMany({
    ...{ first: from, step: Number(values.step), seeds, short: values.short, stop: values.first },
    endMs: performance.now() + Number(values.minutes) * 60_000,
  });
}

if (import.meta.main) process.exitCode = await main();
