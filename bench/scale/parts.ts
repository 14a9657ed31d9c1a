/** The parts of the master that are measured, each alone over one world. */
import { randomInt } from "../../src/base/random.ts";
import { Roster } from "../../src/master/roster.ts";
import { Sentinel } from "../../src/master/sentinel.ts";
import { Slots } from "../../src/master/slots.ts";
import { Tracker } from "../../src/master/tracker.ts";
import { encode } from "../../src/wire/codec.ts";
import { dirList } from "../../src/wire/dir.ts";
import { fileLocate, fileStat } from "../../src/wire/file.ts";
import { makeId } from "../../src/wire/ids.ts";
import type { Rpc } from "../../src/wire/rpc.ts";
import { uploadBegin } from "../../src/wire/upload.ts";
import { type Cost, costOf } from "./cost.ts";
import { COPIES, DIRECTORY_FILES, directoryOf, FILE_BYTES, pathOf } from "./grow.ts";
import type { ScaleWorld } from "./world.ts";

const SMALL_BYTES = 4096;
const SUMS_OF_SMALL = new Uint8Array(8);
const SUMS_OF_FILE = new Uint8Array(8 * FILE_BYTES / 2 ** 20);
/** An entry of a listing takes more: a shorter reply is none of a whole directory. */
const ENTRY_BYTES_MIN = 80;
const WITHIN = { timeoutMs: 60_000 };
/** The sentinel looks at all keepers so often. */
const TICKS_PER_SECOND = 4;

/** Heartbeats: the cost of one, and of the look at all keepers. */
export async function measureBeats(
  world: ScaleWorld,
): Promise<{ beat: Cost; tick: Cost; share: number }> {
  const sentinel = new Sentinel(world.parts);
  sentinel.start();
  world.settle();
  publishAll(world, encodeBeats(world));
  world.load();
  const keepers = world.keepers.length;
  const rounds = 8;
  const messages = Array.from({ length: rounds }, () => encodeBeats(world));
  const beat = await costOf((n) => publishAll(world, messages[n] ?? []), {
    batch: 1,
    batches: rounds - 1,
  });
  const perBeat = { cpuUs: beat.cpuUs / keepers, wallUs: beat.wallUs / keepers };
  const tick = await costOf(() => sentinel.tick(), { batch: 10 });
  await sentinel.stop();
  const share = (keepers * perBeat.cpuUs + TICKS_PER_SECOND * tick.cpuUs) / 1e6;
  return { beat: perBeat, tick, share };
}

/** Where a chunk goes: keepers looked at, chosen, their slots taken and given back. */
export function measurePlacement(world: ScaleWorld): Promise<Cost> {
  const { tables, clock, random, reader } = world;
  const slots = new Slots({ tables, roster: new Roster(reader), clock, random });
  return costOf(() => {
    const chain = slots.takeChain({
      candidates: slots.candidates(),
      ...{ goal: COPIES, minCopies: 2, sizeBytes: FILE_BYTES, avoid: new Set<number>() },
    });
    if (chain.kind !== "chain") throw new Error(`A chunk was not placed: ${chain.kind}`);
    slots.release(chain.hops);
  }, { batch: 50 });
}

/** What a tracker answers: messages decoded, answered from the catalog, encoded. */
export async function measureTracker(
  world: ScaleWorld,
): Promise<{ begin: Cost; list: Cost; locate: Cost; stat: Cost }> {
  const { random, files, subjects } = world;
  const tracker = new Tracker(world.parts);
  tracker.start();
  const anyFile = () => pathOf(randomInt(random, files));
  // The reply stays encoded: to read it is the client's work.
  const ask = <Request, Reply>(procedure: Rpc<Request, Reply>, request: Request) =>
    world.bus.request(subjects.rpc(procedure.name), encode(request), WITHIN);
  const begin = await costOf((n) => {
    const file = { mode: 0o644, mtimeMs: 7, owner: "ann", exclusive: false, resume: false };
    const sums = SUMS_OF_SMALL;
    const only = { seq: 0, offset: 0, sizeBytes: SMALL_BYTES, sums, avoid: [] };
    const path = `${directoryOf(randomInt(random, files))}/none-${n}`;
    return ask(uploadBegin, { path, sizeBytes: SMALL_BYTES, ...file, only });
  }, { batch: 50 });
  const list = await costOf(async () => {
    const path = directoryOf(randomInt(random, files));
    const page = await ask(dirList, { path, recursive: false, limit: DIRECTORY_FILES });
    if (page.length < DIRECTORY_FILES * ENTRY_BYTES_MIN) throw new Error(`${path} lacks files`);
  }, { batch: 20 });
  const locate = await costOf(() => ask(fileLocate, { path: anyFile(), fromSeq: 0 }), {
    batch: 500,
  });
  const stat = await costOf(() => ask(fileStat, { path: anyFile() }), { batch: 500 });
  await tracker.stop();
  world.bus.asked.length = 0;
  return { begin, list, locate, stat };
}

/** Files of one chunk that are committed, in directories all over the catalog. */
export async function measureCommits(world: ScaleWorld): Promise<Cost> {
  const { random, files, keepers, writer } = world;
  const batch = 1_000;
  const half = keepers.length >> 1;
  const idOf = (place: number) => keepers[place % keepers.length]?.id ?? "";
  const threeKeepers = () => {
    const first = randomInt(random, keepers.length);
    const second = first + 1 + randomInt(random, half - 1);
    return [first, second, first + half + randomInt(random, half)].map(idOf);
  };
  const cost = await costOf((n) => {
    const operations = Array.from({ length: batch }, (_, m) => {
      const path = `${directoryOf(randomInt(random, files))}/new-${n * batch + m}`;
      const facts = { mode: 0o644, mtimeMs: 7, owner: "ann", exclusive: false };
      const chunk = { id: makeId(random), sizeBytes: FILE_BYTES, sums: SUMS_OF_FILE, goal: COPIES };
      const file = { path, ...facts };
      return {
        kind: "chunk.stored",
        ...{ chunk, keepers: threeKeepers(), atMs: 1.7e12 },
        commit: { upload: makeId(random), file },
      } as const;
    });
    return Promise.all(operations.map((operation) => writer.submit(operation)));
  }, { batch: 1, batches: 15 });
  return { cpuUs: cost.cpuUs / batch, wallUs: cost.wallUs / batch };
}

function encodeBeats(world: ScaleWorld): { subject: string; payload: Uint8Array }[] {
  return world.beats().map((beat) => ({
    subject: world.subjects.heartbeat(beat.keeper),
    payload: encode(beat),
  }));
}

function publishAll(
  { bus }: ScaleWorld,
  messages: { subject: string; payload: Uint8Array }[],
): void {
  for (const { subject, payload } of messages) bus.publish(subject, payload);
  bus.published.length = 0;
}
