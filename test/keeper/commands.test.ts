/** What the master commands: copies made and verified, chunks removed, stale masters refused. */
import { expect, test } from "bun:test";
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { MIB } from "../../src/base/bytes.ts";
import { systemClock } from "../../src/base/clock.ts";
import { chunkPath, sidecarPath } from "../../src/chunks/places.ts";
import { call } from "../../src/wire/bus.ts";
import {
  commandCheck,
  commandDelete,
  commandInventory,
  commandReplicate,
  commandVerify,
} from "../../src/wire/command.ts";
import type { ErrorCode } from "../../src/wire/errors.ts";
import { TydfsError } from "../../src/wire/errors.ts";
import { makeId } from "../../src/wire/ids.ts";
import { CLOCK_LEEWAY_MS } from "../../src/wire/ticket.ts";
import type { PutTicket } from "../../src/wire/ticket.ts";
import type { TestKeeper } from "./world.ts";
import { getTicket, put, putTicket, random, subjects, World } from "./world.ts";

const BYTES = random.bytes(2 * MIB + 1);
const WITHIN = { timeoutMs: 5_000 };

async function codeOf(task: Promise<unknown>): Promise<ErrorCode | "ok"> {
  try {
    await task;
    return "ok";
  } catch (error) {
    if (error instanceof TydfsError) return error.code;
    throw error;
  }
}

async function stored(keeper: TestKeeper, bytes = BYTES): Promise<PutTicket> {
  const ticket = putTicket(bytes, [keeper.hop]);
  expect((await put(keeper, ticket, bytes)).status).toBe(200);
  return ticket;
}

const holder = ({ id, port }: TestKeeper) => ({
  keeper: id,
  name: id.slice(0, 4),
  host: "127.0.0.1",
  ports: [port],
});

function replicate(
  world: World,
  to: TestKeeper,
  ticket: PutTicket,
  sources: TestKeeper[],
  bytesPerSecond?: number,
) {
  const { chunk, sizeBytes, sums } = ticket;
  return call(world.bus, subjects.command(to.id, "replicate"), commandReplicate, {
    ...{ epoch: 1, chunk, sizeBytes, sums, goal: 3 },
    sources: sources.map(holder),
    ticket: getTicket(chunk),
    ...(bytesPerSecond === undefined ? {} : { bytesPerSecond }),
  }, WITHIN);
}

test("replicate copies a chunk, sidecar and all, and reports it", async () => {
  await using world = new World();
  const [from, to] = [await world.keeper(), await world.keeper()];
  const ticket = await stored(from);
  await replicate(world, to, ticket, [from]);
  expect(await to.store.verify(ticket.chunk)).toBe("good");
  expect(world.stored.at(-1)).toMatchObject({ keepers: [to.id], head: false });
  const sidecar = readFileSync(join(to.directory, sidecarPath(ticket.chunk)), "utf8");
  expect(JSON.parse(sidecar)).toMatchObject({ ...ticket.origin, path: "/x", goal: 3 });
});

test("replicate keeps to the pace that it is told", async () => {
  await using world = new World();
  const [from, to] = [await world.keeper(), await world.keeper()];
  const ticket = await stored(from);
  const startMs = systemClock.monotonicMs();
  await replicate(world, to, ticket, [from], 2 * MIB);
  // 2 MiB and 1 byte at 2 MiB/s, less what a pacer lets one make up for.
  expect(systemClock.monotonicMs() - startMs).toBeGreaterThan(850);
  expect(readFileSync(join(to.directory, chunkPath(ticket.chunk)))).toEqual(Buffer.from(BYTES));
});

test("replicate keeps to the pace that it is told", async () => {
  await using world = new World();
  const [from, to] = [await world.keeper(), await world.keeper()];
  const ticket = await stored(from);
  const startMs = systemClock.monotonicMs();
  await replicate(world, to, ticket, [from], 2 * MIB);
  // 2 MiB and 1 byte at 2 MiB/s, less what a pacer lets one make up for.
  expect(systemClock.monotonicMs() - startMs).toBeGreaterThan(850);
  expect(readFileSync(join(to.directory, chunkPath(ticket.chunk)))).toEqual(Buffer.from(BYTES));
});

test("replicate falls over from a corrupt and a missing source to a good one", async () => {
  await using world = new World();
  const [corrupt, empty, good, to] = [
    await world.keeper(),
    await world.keeper(),
    await world.keeper(),
    await world.keeper(),
  ];
  const ticket = await stored(good);
  await put(corrupt, { ...ticket, hops: [corrupt.hop] }, BYTES);
  writeFileSync(join(corrupt.directory, chunkPath(ticket.chunk)), BYTES.with(MIB, 1));
  await replicate(world, to, ticket, [corrupt, empty, good]);
  expect(await to.store.verify(ticket.chunk)).toBe("good");
  expect(await codeOf(replicate(world, empty, ticket, [corrupt]))).toBe("corrupt");
  expect(empty.store.chunks).toBe(0);
});

test("replicate of what is here already only reports it", async () => {
  await using world = new World();
  const keeper = await world.keeper();
  const ticket = await stored(keeper);
  await replicate(world, keeper, ticket, [{ ...keeper, port: 1 }]);
  expect(world.stored.length).toBe(2);
});

test("delete removes chunks, and names also those that were not here", async () => {
  await using world = new World();
  const keeper = await world.keeper();
  const ticket = await stored(keeper);
  const chunks = [ticket.chunk, makeId(random)];
  const subject = subjects.command(keeper.id, "delete");
  const request = { epoch: 1, chunks, expiresMs: systemClock.wallMs() };
  const { gone } = await call(world.bus, subject, commandDelete, request, WITHIN);
  expect(gone.toSorted()).toEqual(chunks.toSorted());
  expect(keeper.store.chunks).toBe(0);
});

test("delete that comes too late is refused and removes nothing; clocks may differ", async () => {
  await using world = new World();
  const keeper = await world.keeper();
  const { chunk } = await stored(keeper);
  const subject = subjects.command(keeper.id, "delete");
  const remove = (lateMs: number) => {
    const request = { epoch: 1, chunks: [chunk], expiresMs: systemClock.wallMs() - lateMs };
    return codeOf(call(world.bus, subject, commandDelete, request, WITHIN));
  };
  expect(await remove(CLOCK_LEEWAY_MS + 1_000)).toBe("expired");
  expect(await keeper.store.verify(chunk)).toBe("good");
  expect(await remove(CLOCK_LEEWAY_MS - 5_000)).toBe("ok");
  expect(keeper.store.chunks).toBe(0);
});

test("verify tells good, corrupt and missing; a corrupt copy is put aside and reported", async () => {
  await using world = new World();
  const keeper = await world.keeper();
  const { chunk } = await stored(keeper);
  const subject = subjects.command(keeper.id, "verify");
  const verify = async () =>
    (await call(world.bus, subject, commandVerify, { epoch: 1, chunk }, WITHIN)).state;
  expect(await verify()).toBe("good");
  writeFileSync(join(keeper.directory, chunkPath(chunk)), BYTES.with(3, 1));
  expect(await verify()).toBe("corrupt");
  expect(await verify()).toBe("missing");
  // What is missing is told, too: the master has it on record, else it had not asked.
  await world.until(() => world.lost.length === 2);
  expect(world.lost).toEqual([
    { keeper: keeper.id, chunks: [chunk], reason: "corrupt" },
    { keeper: keeper.id, chunks: [chunk], reason: "missing" },
  ]);
});

test("verify that can't read now says so, and puts nothing aside", async () => {
  await using world = new World();
  let isShort = false;
  const keeper = await world.keeper({
    disk: (disk) => ({
      open(path) {
        if (isShort) throw Object.assign(new Error("EMFILE: injected"), { code: "EMFILE" });
        return disk.open(path);
      },
    }),
  });
  const { chunk } = await stored(keeper);
  const subject = subjects.command(keeper.id, "verify");
  const verify = () => call(world.bus, subject, commandVerify, { epoch: 1, chunk }, WITHIN);
  isShort = true;
  expect(await codeOf(verify())).toBe("unavailable");
  isShort = false;
  expect(await verify()).toEqual({ state: "good" });
  expect(world.lost).toEqual([]);
});

test("inventory sends all chunks", async () => {
  await using world = new World();
  const keeper = await world.keeper();
  const tickets = [await stored(keeper), await stored(keeper, random.bytes(10))];
  const subject = subjects.command(keeper.id, "inventory");
  await call(world.bus, subject, commandInventory, { epoch: 1 }, WITHIN);
  const chunks = tickets.map(({ chunk, sizeBytes }) => [chunk, sizeBytes] as [string, number]);
  expect(world.inventories).toEqual([
    { after: "", chunks: chunks.toSorted(([a], [b]) => a < b ? -1 : 1), last: true },
  ]);
});

test("a master that is not the newest is refused, in every thread", async () => {
  await using world = new World();
  const keeper = await world.keeper();
  const { chunk } = await stored(keeper);
  const verify = (epoch: number) => {
    const subject = subjects.command(keeper.id, "verify");
    return codeOf(call(world.bus, subject, commandVerify, { epoch, chunk }, WITHIN));
  };
  expect(await verify(5)).toBe("ok");
  expect(await verify(4)).toBe("stale-epoch");
  expect(await verify(5)).toBe("ok");
  await expect(keeper.masterEpoch.check(4)).rejects.toThrow("is over");
});

test("check names chunks that are missing, of another size, or without a sidecar", async () => {
  await using world = new World();
  const keeper = await world.keeper();
  const tickets = [await stored(keeper), await stored(keeper), await stored(keeper)];
  const [good, short, bare] = tickets.map(({ chunk }) => chunk);
  writeFileSync(join(keeper.directory, chunkPath(short ?? "")), BYTES.subarray(1));
  rmSync(join(keeper.directory, sidecarPath(bare ?? "")));
  const missing = makeId(random);
  const chunks = [good, short, bare, missing]
    .map((chunk): [string, number] => [chunk ?? "", BYTES.length]);
  const subject = subjects.command(keeper.id, "check");
  expect(await call(world.bus, subject, commandCheck, { epoch: 1, chunks }, WITHIN))
    .toEqual({ missing: [missing], wrongSize: [short ?? "", bare ?? ""] });
});

test("check does not take the chunks of a disk that is gone for missing", async () => {
  await using world = new World();
  const keeper = await world.keeper();
  const { chunk } = await stored(keeper);
  rmSync(join(keeper.directory, "chunks"), { recursive: true });
  const request = { epoch: 1, chunks: [[chunk, BYTES.length] as [string, number]] };
  const asked = call(
    world.bus,
    subjects.command(keeper.id, "check"),
    commandCheck,
    request,
    WITHIN,
  );
  expect(await codeOf(asked)).toBe("unavailable");
});
