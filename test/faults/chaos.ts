/**
 * `npm run chaos`: the machine that breaks a real cluster. Rounds of load and faults, each followed
 * by rest and an independent check; ends with the first broken invariant, or with a table.
 */
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { Namespaces } from "./hosts.ts";
import { Run, type RunOptions } from "./run.ts";

const HELP = `Usage: npm run chaos -- [options]

Starts a real cluster of processes, puts load on it, breaks it in all ways it knows, and checks what
must hold after each round.

Options:
  --minutes N     how long faults go on, in all (5)
  --seed S        what happens follows from it (a random one)
  --keepers K     4 or more (5)
  --round S       seconds of load and faults between two checks (60)
  --size-max M    the largest file, MiB (300)
  --clock         clocks jump, too (needs Debian's libfaketime)
  --no-netns      all on the loopback; without root this is so anyway
  --keep DIR      where the cluster lives; it stays there afterwards
  --help          this text`;

export async function main(args: string[]): Promise<number> {
  const { values } = parseArgs({
    args,
    options: {
      "minutes": { type: "string", default: "5" },
      "seed": { type: "string" },
      "keepers": { type: "string", default: "5" },
      "round": { type: "string", default: "60" },
      "size-max": { type: "string", default: "300" },
      "clock": { type: "boolean", default: false },
      "no-netns": { type: "boolean", default: false },
      "keep": { type: "string" },
      "help": { type: "boolean", default: false },
    },
  });
  if (values.help) {
    console.log(HELP);
    return 0;
  }
  const kept = values.keep === undefined ? undefined : resolve(values.keep);
  const dir = kept ?? mkdtempSync(join(tmpdir(), "tydfs-chaos-"));
  mkdirSync(dir, { recursive: true });
  const options: RunOptions = {
    dir,
    binary: resolve(process.env["TYDFS_BINARY"] ?? "dist/tydfs"),
    seed: Number(values.seed ?? Math.floor(Math.random() * 2 ** 31)),
    faultMs: Number(values.minutes) * 60_000,
    roundMs: Number(values.round) * 1_000,
    keepers: Number(values.keepers),
    sizeMaxBytes: Number(values["size-max"]) * 2 ** 20,
    clock: values.clock,
    netns: !values["no-netns"] && Namespaces.available(),
    print: (line) => console.log(line),
  };
  const run = new Run(options);
  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    process.on(signal, () => run.stop(`it was stopped by ${signal}`));
  }
  const violation = await run.perform();
  console.log(run.report());
  if (violation !== undefined) {
    console.log(`VIOLATION ${violation.message}\n${violation.details.join("\n")}`);
    console.log(`The latest faults:\n${run.latestFaults()}`);
    console.log(`Logs and data stay in ${dir}; to run it again:`);
    const network = (options.netns ? "" : " --no-netns") + (options.clock ? " --clock" : "");
    console.log(
      `  npm run chaos -- --minutes ${values.minutes} --seed ${options.seed} ` +
        `--keepers ${values.keepers} --round ${values.round} --size-max ${
          values["size-max"]
        }${network}`,
    );
    return 1;
  }
  if (kept === undefined) rmSync(dir, { recursive: true, force: true });
  return 0;
}

if (import.meta.main) process.exit(await main(process.argv.slice(2)));
