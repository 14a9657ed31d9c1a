/** `tydfs bench`: a load generator that reports throughput and latency. */
import type { Command } from "@commander-js/extra-typings";
import { parseDuration } from "../base/bytes.ts";
import { systemClock } from "../base/clock.ts";
import { randomHex, systemRandom } from "../base/random.ts";
import { ConfigError } from "../config/load.ts";
import { TydfsError } from "../wire/errors.ts";
import type { Tallies } from "./bench/report.ts";
import type { BenchOptions } from "./bench/run.ts";
import { exitStatusOf } from "./exit.ts";
import type { ClientSession, Session } from "./session.ts";
import { addGlobals, addSettings } from "./settings_flags.ts";

const CLIENTS_MAX = 256;
const OBJECTS_MAX = 100_000;
const DURATION_MAX_MS = 24 * 3_600_000;
const CLEAR_LINE = "\r\x1b[2K";

const EXAMPLES = `
Sizes and operations come up in proportion to their weights. Objects are made
of random bytes, no two alike; each get checks all blocks. They live in a
directory of their own, which must be empty or missing and is removed at the
end, also after Ctrl-C. Their bytes leave the keepers' disks when the trash is
emptied, as those of any removed file (see trash-ttl).

All clients share one process, one connection to the master and one CPU core,
which checks and sums what they move: when that is the bound, run several.

Examples:
  tydfs bench
  tydfs bench --sizes 4KiB --clients 32 --mix put=1,get=4 --duration 1m
  tydfs bench --sizes 1MiB=9,64MiB=1 --objects 200 --warmup 5s
  tydfs bench --json | jq '.operations.get.latencyMs.p99'
`;

/** Declares the command. */
export function addBench(program: Command, session: Session): void {
  const command = program.command("bench")
    .description("Load the cluster, and report throughput and latency")
    .option("--sizes <list>", "Sizes of objects, with weights: 4KiB,1MiB=3", "1MiB")
    .option("--clients <n>", "Operations under way at once", "8")
    .option("--mix <list>", "Operations, with weights", "put=30,get=60,stat=5,delete=5")
    .option("--duration <time>", "How long it measures", "30s")
    .option("--warmup <time>", "How long it works before that", "0s")
    .option("--objects <n>", "Objects that are put before it begins", "50")
    .option("--prefix <path>", "The directory for all objects (default /bench-XXXXXXXX)")
    .option("--keep", "Leave the objects where they are")
    .addHelpText("after", EXAMPLES)
    .action(async (flags, self) => {
      const { parseMix, parseSizes } = await import("./bench/plan.ts");
      const plan = {
        sizes: parseSizes(flags.sizes),
        mix: parseMix(flags.mix),
        clients: parseCount("--clients", flags.clients, 1, CLIENTS_MAX),
        objects: parseCount("--objects", flags.objects, 0, OBJECTS_MAX),
        durationMs: parseTime("--duration", flags.duration, 1),
        warmupMs: parseTime("--warmup", flags.warmup, 0),
        prefix: flags.prefix ?? `/bench-${randomHex(systemRandom, 4)}`,
        keep: flags.keep === true,
      };
      // Waiting for ports is a part of what is measured.
      const silent = { tellWaits: false };
      await session.withClient(self, (connected) => bench(session, connected, plan), silent);
    });
  addSettings(command, "client", false);
  addGlobals(command, false);
}

type BenchPlan = Omit<BenchOptions, "clock" | "random" | "signal" | "onProgress">;

async function bench(
  session: Session,
  { client, signal, output, json, quiet }: ClientSession,
  plan: BenchPlan,
): Promise<void> {
  const { runBench } = await import("./bench/run.ts");
  const { benchJson, formatBench, formatBenchProgress, totalDone } = await import(
    "./bench/report.ts"
  );
  const shown = output.messagesOnTerminal && !json && !quiet;
  if (shown) output.draw(`preparing ${plan.objects} objects in ${plan.prefix}`);
  const result = await runBench(client, {
    ...plan,
    signal,
    clock: systemClock,
    random: systemRandom,
    onProgress: (tallies, elapsedMs, leftMs) => {
      if (!shown) return;
      const line = formatBenchProgress(tallies, elapsedMs, leftMs);
      output.draw(CLEAR_LINE + line.slice(0, output.columns - 1));
    },
  }).finally(() => {
    if (shown) output.draw(CLEAR_LINE);
  });
  if (json) output.line(JSON.stringify(benchJson(result)));
  else formatBench(result).forEach((line) => output.line(line));
  // What was measured is told; that it is not the whole of it, too.
  signal.throwIfAborted();
  session.exitStatus = statusOf(result.tallies, totalDone(result.tallies));
}

/** Wrong bytes are never a mere figure, and a bench in which nothing succeeded has failed. */
function statusOf(tallies: Tallies, done: number): number {
  const codes = Object.values(tallies).flatMap(({ errors }) => [...errors.keys()]);
  const grave = codes.find((code) => code === "corrupt" || code === "lost") ??
    (done === 0 ? codes[0] : undefined);
  return grave === undefined ? 0 : exitStatusOf(new TydfsError(grave, "An operation failed"));
}

function parseCount(flag: string, text: string, min: number, max: number): number {
  const count = /^\d+$/.test(text) ? Number(text) : NaN;
  if (count >= min && count <= max) return count;
  throw new ConfigError(`Cannot use ${JSON.stringify(text)} for ${flag}: give ${min} to ${max}`);
}

function parseTime(flag: string, text: string, minMs: number): number {
  const ms = parseDuration(text);
  if (ms !== undefined && ms >= minMs && ms <= DURATION_MAX_MS) return ms;
  throw new ConfigError(`Cannot use ${JSON.stringify(text)} for ${flag}: give a time as in 30s`);
}
