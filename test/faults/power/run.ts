/**
 * Loses power in cycles, and tells what that cost: nothing, or the harness ends with status 1. Run
 * as root; it enters a mount and a process namespace of its own, so that nothing stays behind.
 */
import { parseArgs } from "node:util";
import type { FileSystem } from "./disk_image.ts";
import { type CycleReport, OCCASIONS, PowerCluster, type Victims } from "./cycle.ts";
import { seededRandom } from "../ledger.ts";

const HELP = `Usage: bun test/faults/power/run.ts [options]

Options:
  --cycles N          losses of power (10)
  --seed S            where the draws begin (1)
  --fs ext4|xfs       the file system of all disks; both in turn unless given
  --what WHO          keeper, master or all; each in turn unless given
  --at WHEN           moment, step (a named one) or answer; any unless given
  --until-loss        end with status 0 at the first loss, and 1 when there was none
  --help              this text

TYDFS_BINARY names the binary, dist/tydfs unless set.`;

const FILE_SYSTEMS: readonly FileSystem[] = ["ext4", "xfs"];
const VICTIMS: readonly Victims[] = ["all", "keeper", "master"];
/** A client tries for 30 s to read what it can't; who waits for a loss need not wait for that. */
const PATIENCE_MS = 45_000;
const PATIENCE_FOR_LOSS_MS = 4_000;
const INSIDE = "TYDFS_TEST_NAMESPACE";

function parse() {
  const { values } = parseArgs({
    options: {
      cycles: { type: "string", default: "10" },
      seed: { type: "string", default: "1" },
      fs: { type: "string" },
      what: { type: "string" },
      at: { type: "string" },
      "until-loss": { type: "boolean", default: false },
      help: { type: "boolean", default: false },
    },
  });
  const fileSystems = FILE_SYSTEMS.filter((name) => (values.fs ?? name) === name);
  const victims = VICTIMS.filter((name) => (values.what ?? name) === name);
  const occasions = OCCASIONS.filter((name) => (values.at ?? name) === name);
  const [cycles, seed] = [Number(values.cycles), Number(values.seed)];
  const untilLoss = values["until-loss"];
  const isWrong = fileSystems.length * victims.length * occasions.length === 0 || !(cycles > 0) ||
    Number.isNaN(seed);
  return {
    ...{ fileSystems, victims, occasions, cycles, seed, untilLoss },
    patienceMs: untilLoss ? PATIENCE_FOR_LOSS_MS : PATIENCE_MS,
    help: values.help || isWrong,
    status: isWrong ? 2 : 0,
  };
}

async function main(): Promise<number> {
  const options = parse();
  if (options.help) {
    console.log(HELP);
    return options.status;
  }
  if (process.env[INSIDE] === undefined) return await enterNamespace();
  const random = seededRandom(options.seed);
  const reports: CycleReport[] = [];
  console.log("cycle  disk  power of  lost at                      ack  doubt  lost  torn     s");
  for (const [index, fileSystem] of options.fileSystems.entries()) {
    const count = Math.floor((options.cycles + index) / options.fileSystems.length);
    const cluster = await PowerCluster.start(fileSystem, random);
    try {
      for (let cycle = 0; cycle < count; cycle++) {
        const victims = options.victims[cycle % options.victims.length] ?? "all";
        const report = await cluster.cycle(victims, options);
        reports.push(report);
        print(reports.length, fileSystem, report);
        if (options.untilLoss && report.lost.length > 0) return 0;
      }
      if (!options.untilLoss) await cluster.settle();
    } finally {
      await cluster.stop();
    }
  }
  const sum = (of: (report: CycleReport) => number) =>
    reports.reduce((all, one) => all + of(one), 0);
  const [lost, torn] = [sum((one) => one.lost.length), sum((one) => one.torn.length)];
  console.log(
    `${reports.length} cycles, ${sum((one) => one.acknowledged)} changes acknowledged, ` +
      `${sum((one) => one.doubtful)} in doubt, ${lost} lost, ${torn} torn (seed ${options.seed})`,
  );
  return options.untilLoss || lost + torn > 0 ? 1 : 0;
}

function print(number: number, fileSystem: FileSystem, report: CycleReport): void {
  const { victims, at, acknowledged, doubtful, lost, torn, seconds } = report;
  console.log(
    `${String(number).padStart(5)}  ${fileSystem.padEnd(4)}  ${victims.padEnd(8)}  ` +
      `${at.padEnd(25)}${String(acknowledged).padStart(6)}${String(doubtful).padStart(7)}` +
      `${String(lost.length).padStart(6)}${String(torn.length).padStart(6)}` +
      `${seconds.toFixed(1).padStart(6)}`,
  );
  for (const line of [...lost, ...torn].slice(0, 5)) console.log(`       ${line}`);
}

/** Runs this very command again where its mounts are nobody else's and end with it. */
async function enterNamespace(): Promise<number> {
  const namespace = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"];
  const child = Bun.spawn([...namespace, process.execPath, ...process.argv.slice(1)], {
    env: { ...process.env, [INSIDE]: "1" },
    stdio: ["ignore", "inherit", "inherit"],
  });
  return await child.exited;
}

// A connection to a dead master may still wait for its time to be over.
process.exit(await main());
