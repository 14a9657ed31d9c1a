/**
 * One pass of a system, or of the limits, over the rows: each figure goes to `report`. What can't
 * be measured is told with its reason, and does not stop the others.
 */
import { mkdirSync, rmSync } from "node:fs";
import { dirname, join } from "node:path";
import { GIB, MIB } from "../../src/base/bytes.ts";
import { median, timed } from "../figure.ts";
import type { Aside } from "./aside.ts";
import type { Filler } from "./filler.ts";
import type { Limits } from "./limits.ts";
import { taken } from "./limits.ts";
import { runTool } from "./processes.ts";
import { progress } from "./progress.ts";
import type { GroupName } from "./rows.ts";
import type { Sources } from "./sources.ts";
import { makeDirectories, mustHold, numbers } from "./sources.ts";
import type { Pace, PeerSystem, Tree } from "./system.ts";
import type { Pair, Work } from "./work.ts";
import { pairsOf, rateOf } from "./work.ts";

const SINGLE_CLIENTS = 16;
const TREE_CLIENTS = 32;
const LISTINGS = 9;
const STATS = 20_000;
const STAT_MS = 5_000;
const NAMES_EACH = 1000;
const REPAIR_MS = 180_000;
const LARGE = "large/large.bin";

export interface Pass {
  sources: Sources;
  groups: ReadonlySet<GroupName>;
  /** Where what comes back lies. */
  directory: string;
  /** How long a row of many small pieces may take. */
  boundMs: number;
  /** Where what is done with goes. */
  aside: Aside;
  /** Keeps memory full; not where gets are cold. */
  filler: Filler | undefined;
  /** Gets read from the disk, not from the page cache. */
  cold: boolean;
  /** The run is being given up. */
  signal: AbortSignal;
  report: (row: string, value: number, note?: string) => void;
  fail: (group: string, error: unknown) => void;
}

/** All groups but `repair`, which wants a system that holds nothing else. */
export async function passSystem(create: () => PeerSystem, pass: Pass): Promise<void> {
  await settleDisk(pass);
  const system = create();
  try {
    const startMs = await timed(async () => {
      await system.start();
      await firstPut(system, pass);
    });
    if (pass.groups.has("start")) pass.report("start", startMs / 1000);
    if (pass.groups.has("memory")) {
      const total = sumOf(system.processes.memory().map(({ proportionalMb }) => proportionalMb));
      pass.report("rest-memory", total);
    }
    const groups: [GroupName, () => Promise<void>][] = [
      ["large", () => large(system, pass)],
      ["parallel", () => parallel(system, pass)],
      ["medium", () => medium(system, pass)],
      // Before the row that removes a tree: some systems go on with that behind the answer.
      ["single", () => single(system, pass)],
      ["tree", () => tree(system, pass)],
      ["memory", () => peakMemory(system, pass)],
      // It starts a master anew, which would forget the peak.
      ["names", () => names(system, pass)],
    ];
    for (const [group, run] of groups) await guarded(group, pass, run);
  } finally {
    await system.stop();
  }
}

/** One server and its disk are lost, and an empty one takes its place. */
export async function passRepair(create: () => PeerSystem, pass: Pass): Promise<void> {
  const system = create();
  const { replaceServer, isWhole } = system;
  if (replaceServer === undefined || isWhole === undefined) return;
  await settleDisk(pass);
  try {
    await system.start();
    await firstPut(system, pass);
    const files = [1, 2].map((n) => ({ local: pass.sources.large, remote: `repair-${n}.bin` }));
    await system.putLarge(files);
    const bytes = pass.sources.repairBytes;
    await system.processes.until(
      "everything is whole before a server is lost",
      () => isWhole.call(system, bytes),
    );
    await settleDisk(pass);
    const ms = await timed(async () => {
      await replaceServer.call(system);
      const what = "the lost copies are made anew";
      await system.processes.until(what, () => isWhole.call(system, bytes), REPAIR_MS);
    });
    pass.report("repair", ms / 1000);
  } catch (error) {
    pass.fail("repair", error);
  } finally {
    await system.stop();
  }
}

/** The same work by plain copies and a plain server. */
export async function passLimits(limits: Limits, synced: boolean, pass: Pass): Promise<void> {
  const { sources, groups } = pass;
  const files = [{ local: sources.large, remote: "large.bin" }];
  const some = parallelFiles(pass).map(({ remote }, n) => ({
    local: sources.parallel[n] ?? "",
    remote,
  }));
  await guarded("large", pass, async () => {
    await settleDisk(pass);
    const put = await taken(undefined, () => limits.putLarge(files, synced));
    pass.report("put-large", rate(sources.largeBytes, put.ms));
    pass.report("put-cpu", put.cpuSeconds * GIB / sources.largeBytes);
    if (!synced) return;
    const get = await taken(undefined, () => limits.getLarge(files));
    pass.report("get-large", rate(sources.largeBytes, get.ms));
    pass.report("get-cpu", get.cpuSeconds * GIB / sources.largeBytes);
    const through = await timed(() => limits.loopback(sources.large));
    progress(`loopback: ${rate(sources.largeBytes, through).toFixed(0)} MiB/s`);
  });
  limits.clear(removeNow);
  await guarded("parallel", pass, async () => {
    await settleDisk(pass);
    const bytes = some.length * sources.parallelBytes;
    pass.report("put-parallel", rate(bytes, await timed(() => limits.putLarge(some, synced))));
    if (synced) pass.report("get-parallel", rate(bytes, await timed(() => limits.getLarge(some))));
  });
  limits.clear(removeNow);
  await guarded("single", pass, async () => {
    const source = sources.tree("single");
    const pace = { clients: SINGLE_CLIENTS, boundMs: pass.boundMs };
    await settleDisk(pass);
    reportRate(pass, "put-single", await limits.putSingles(pairsOf(source), pace, synced));
    if (!synced) return;
    const back = { ...source, local: join(pass.directory, "back") };
    makeDirectories(back.local, back.names);
    reportRate(pass, "get-single", await limits.getSingles(pairsOf(back), pace));
    pass.aside.put(back.local);
  });
  limits.clear((path) => pass.aside.put(path));
  for (const name of ["medium", "tree"] as const) {
    if (!synced || !groups.has(name) || pass.signal.aborted) continue;
    const source = sources.tree(name);
    const back = { ...source, local: join(pass.directory, "back") };
    await settleDisk(pass);
    const put = await limits.putTree(source);
    const get = await limits.getTree(back);
    pass.aside.put(back.local);
    const removed = await limits.removeTree(source);
    const factor = name === "tree" ? 1 : sources.mediumBytes / MIB;
    pass.report(`put-${name}`, rateOf(put) * factor);
    pass.report(`get-${name}`, rateOf(get) * factor);
    if (name === "tree") pass.report("delete-tree", rateOf(removed));
  }
}

function removeNow(path: string): void {
  rmSync(path, { recursive: true, force: true });
}

async function large(system: PeerSystem, pass: Pass): Promise<void> {
  const { sources } = pass;
  const back = join(pass.directory, "large.back");
  const put = await taken(
    system.processes,
    () => system.putLarge([{ local: sources.large, remote: LARGE }]),
  );
  pass.report("put-large", rate(sources.largeBytes, put.ms));
  pass.report("put-cpu", put.cpuSeconds * GIB / sources.largeBytes);
  await beforeGets(system, pass);
  const get = await taken(
    system.processes,
    () => system.getLarge([{ local: back, remote: LARGE }]),
  );
  await runTool(["cmp", sources.large, back]);
  rmSync(back);
  pass.report("get-large", rate(sources.largeBytes, get.ms));
  pass.report("get-cpu", get.cpuSeconds * GIB / sources.largeBytes);
  await remove(system, pass, [LARGE]);
}

async function parallel(system: PeerSystem, pass: Pass): Promise<void> {
  const { sources } = pass;
  const backs = parallelFiles(pass);
  const files = backs.map(({ remote }, n) => ({ local: sources.parallel[n] ?? "", remote }));
  const bytes = files.length * sources.parallelBytes;
  pass.report("put-parallel", rate(bytes, await timed(() => system.putLarge(files))));
  await beforeGets(system, pass);
  pass.report("get-parallel", rate(bytes, await timed(() => system.getLarge(backs))));
  for (const { local } of backs) rmSync(local);
  await remove(system, pass, files.map(({ remote }) => remote));
}

/** The disk is not to hold the files of all rows at once. */
async function remove(system: PeerSystem, pass: Pass, files: string[]): Promise<void> {
  await system.removeTree(dirname(files[0] ?? ""), files, { clients: 1, boundMs: pass.boundMs });
}

async function medium(system: PeerSystem, pass: Pass): Promise<void> {
  await throughTree(system, pass, "medium", pass.sources.mediumBytes);
}

async function tree(system: PeerSystem, pass: Pass): Promise<void> {
  const { source, put } = await throughTree(system, pass, "tree", 4096);
  const files = source.names.slice(0, put.done).map((name) => `${source.remote}/${name}`);
  const pace = { clients: TREE_CLIENTS, boundMs: pass.boundMs };
  reportRate(pass, "delete-tree", await system.removeTree(source.remote, files, pace));
}

/** A tree there and back; where the time was over before all were put, those come back. */
async function throughTree(
  system: PeerSystem,
  pass: Pass,
  name: "medium" | "tree",
  bytesEach: number,
): Promise<{ source: Tree; put: Work }> {
  const source = pass.sources.tree(name);
  const pace: Pace = { clients: TREE_CLIENTS, boundMs: pass.boundMs };
  const factor = name === "tree" ? 1 : bytesEach / MIB;
  let put: Work = { done: 0, wanted: 0, ms: 0 };
  const { cpuSeconds } = await taken(system.processes, async () => {
    put = await system.putTree(source, pace);
  });
  reportRate(pass, `put-${name}`, put, factor);
  if (name === "tree") pass.report("tree-cpu", cpuSeconds / put.done * 1000);
  await beforeGets(system, pass);
  const local = join(pass.directory, "back");
  // Several at once finish in another order than they began: the last ones are left out.
  const count = put.done < put.wanted ? Math.max(1, put.done - TREE_CLIENTS) : put.done;
  const back = { ...source, local, names: source.names.slice(0, count) };
  makeDirectories(local, back.names);
  const get = await system.getTree(back, pace);
  const isAll = get.done === get.wanted && put.done === put.wanted;
  if (isAll) mustHold(local, source.names.length, source.names.length * bytesEach);
  pass.aside.put(local);
  reportRate(pass, `get-${name}`, get, factor);
  return { source, put };
}

async function single(system: PeerSystem, pass: Pass): Promise<void> {
  const source = pass.sources.tree("single");
  const pace = { clients: SINGLE_CLIENTS, boundMs: pass.boundMs };
  let put: Work = { done: 0, wanted: 0, ms: 0 };
  const { cpuSeconds } = await taken(system.processes, async () => {
    put = await system.putSingles(pairsOf(source), pace);
  });
  reportRate(pass, "put-single", put);
  pass.report("single-cpu", cpuSeconds / put.done * 1000);
  await beforeGets(system, pass);
  const back = { ...source, local: join(pass.directory, "back") };
  const got = put.done < put.wanted ? Math.max(1, put.done - TREE_CLIENTS) : put.done;
  back.names = source.names.slice(0, got);
  makeDirectories(back.local, back.names);
  reportRate(pass, "get-single", await system.getSingles(pairsOf(back), pace));
  pass.aside.put(back.local);
}

async function peakMemory(system: PeerSystem, pass: Pass): Promise<void> {
  const memory = system.processes.memory();
  const each = memory.map(({ name, peakMb }) => `${name} ${peakMb.toFixed(0)}`).join(", ");
  pass.report("peak-memory", sumOf(memory.map(({ peakMb }) => peakMb)), each);
}

/** Stats and listings among many names; where they can't be made in time, among fewer. */
async function names(system: PeerSystem, pass: Pass): Promise<void> {
  const nameOf = (n: number) => `names/d${Math.floor(n / NAMES_EACH)}/f${n % NAMES_EACH}`;
  let made = 0;
  for (const [at, count] of pass.sources.names.entries()) {
    const label = at === 0 ? "100k" : "1m";
    const remotes = numbers(count - made).map((n) => nameOf(made + n));
    const startMs = performance.now();
    const pace = { clients: TREE_CLIENTS, boundMs: pass.boundMs };
    const fill = await system.fillNames(remotes, pace);
    made += fill.done;
    const perSecond = fill.done / (performance.now() - startMs) * 1000;
    progress(`  ${made} names, made at ${perSecond.toFixed(0)} a second`);
    await beforeGets(system, pass);
    const note = made < count ? `among ${made} files only` : undefined;
    // Those that were under way when the time was over may be missing in the last directories.
    const whole = Math.max(1, Math.floor((made - TREE_CLIENTS * NAMES_EACH) / NAMES_EACH));
    const directories = made < count ? whole : count / NAMES_EACH;
    const picked = numbers(Math.min(STATS, directories * NAMES_EACH)).map((n) =>
      nameOf(n * 7919 % (directories * NAMES_EACH))
    );
    const stats = await system.statSingles(picked, {
      clients: SINGLE_CLIENTS,
      boundMs: STAT_MS,
    });
    pass.report(`stat-${label}`, rateOf(stats), note);
    const times: number[] = [];
    for (const n of numbers(LISTINGS)) {
      const directory = `names/d${n * 31 % directories}`;
      times.push(
        await timed(async () => {
          const entries = await system.list(directory);
          if (entries !== NAMES_EACH && note === undefined) {
            throw new Error(`a listing has ${entries} entries`);
          }
        }),
      );
      if (sumOf(times) > STAT_MS) break;
    }
    pass.report(`list-${label}`, median(times), note);
    if (note !== undefined) return;
  }
}

async function firstPut(system: PeerSystem, pass: Pass): Promise<void> {
  const tree = pass.sources.tree("single");
  const local = join(tree.local, tree.names[0] ?? "");
  const pace = { clients: 1, boundMs: pass.boundMs };
  await system.processes.until("a first put succeeds", async () => {
    await system.putSingles([{ local, remote: "first" }], pace);
    return true;
  });
}

/** What the row before has left to be written back, or freed, must not slow this one down. */
async function settleDisk(pass: Pass): Promise<void> {
  await runTool(["sync", "-f", pass.directory]);
  await pass.filler?.fill();
}

async function beforeGets(system: PeerSystem, pass: Pass): Promise<void> {
  await system.settle?.();
  await settleDisk(pass);
  if (pass.cold) await Bun.write("/proc/sys/vm/drop_caches", "3");
  await system.forget?.();
}

async function guarded(
  group: GroupName,
  pass: Pass,
  run: () => Promise<void>,
): Promise<void> {
  if (!pass.groups.has(group) || pass.signal.aborted) return;
  progress(`  ${group}`);
  try {
    await settleDisk(pass);
    await run();
  } catch (error) {
    pass.fail(group, error);
    pass.aside.put(join(pass.directory, "back"));
  }
  mkdirSync(pass.directory, { recursive: true });
}

function reportRate(pass: Pass, row: string, work: Work, factor = 1): void {
  const seconds = (work.ms / 1000).toFixed(0);
  const note = work.done < work.wanted
    ? `${work.done} of ${work.wanted} in ${seconds} s`
    : undefined;
  pass.report(row, rateOf(work) * factor, note);
}

function parallelFiles(pass: Pass): Pair[] {
  return numbers(8).map((n) => ({
    local: join(pass.directory, `parallel-${n}.back`),
    remote: `parallel/${n}.bin`,
  }));
}

function rate(bytes: number, ms: number): number {
  return bytes / MIB / (ms / 1000);
}

function sumOf(values: number[]): number {
  return values.reduce((sum, value) => sum + value, 0);
}
