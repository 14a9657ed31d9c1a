/**
 * Chains of keepers: who gets a copy, when the answer comes, and that each copy is reported once.
 */
import { expect, test } from "bun:test";
import { MIB } from "../../src/base/bytes.ts";
import { systemClock } from "../../src/base/clock.ts";
import { httpTransport } from "../../src/wire/chunk_http.ts";
import { TydfsError } from "../../src/wire/errors.ts";
import { makeId } from "../../src/wire/ids.ts";
import type { TestKeeper } from "./world.ts";
import { put, putTicket, random, World } from "./world.ts";

const BYTES = random.bytes(3 * MIB + 9);
const SMALL = random.bytes(100);

async function three(world: World): Promise<[TestKeeper, TestKeeper, TestKeeper]> {
  return [await world.keeper(), await world.keeper(), await world.keeper()];
}

const idsOf = (keepers: TestKeeper[]) => keepers.map(({ id }) => id);
const hopsOf = (keepers: TestKeeper[]) => keepers.map(({ hop }) => hop);

function fault(code: string): Error {
  return Object.assign(new Error(`${code}: injected`), { code });
}

test("a chain of three has three copies, reported by its head", async () => {
  await using world = new World();
  const keepers = await three(world);
  for (const bytes of [BYTES, SMALL]) {
    const ticket = putTicket(bytes, hopsOf(keepers));
    const answer = await put(keepers[0], ticket, bytes);
    expect(answer).toMatchObject({ status: 200, keepers: idsOf(keepers) });
    for (const { store } of keepers) expect(await store.verify(ticket.chunk)).toBe("good");
    const reports = world.stored.filter(({ chunk }) => chunk === ticket.chunk);
    expect(reports).toMatchObject([{ head: true, keepers: idsOf(keepers) }]);
  }
  for (const { ports } of keepers) expect(ports.held(0)).toEqual([]);
});

test("a hop that is dead is passed over", async () => {
  await using world = new World();
  const [head, middle, tail] = await three(world);
  await middle.stop();
  const ticket = putTicket(BYTES, hopsOf([head, middle, tail]), { minCopies: 2 });
  const answer = await put(head, ticket, BYTES);
  expect(answer).toMatchObject({ status: 200, keepers: idsOf([head, tail]) });
  expect(await tail.store.verify(ticket.chunk)).toBe("good");
});

test("a hop that hangs is found out by asking, and passed over", async () => {
  await using world = new World();
  const limits = { hopMs: 60_000, bytesPerSecond: MIB, pingEveryMs: 20, pingMs: 20 };
  const hung = { keeper: makeId(random), host: "127.0.0.1", port: 1, grant: 99 };
  const head = await world.keeper({
    chainLimits: limits,
    transport: {
      put: (address, request) =>
        address.port !== hung.port
          ? httpTransport.put(address, request)
          : new Promise((_, reject) => {
            request.signal.addEventListener("abort", () => reject(request.signal.reason));
          }),
      ping: (address, signal) =>
        address.port !== hung.port
          ? Promise.resolve()
          : new Promise((_, reject) => signal.addEventListener("abort", () => reject("late"))),
    },
  });
  const tail = await world.keeper();
  const ticket = putTicket(BYTES, [head.hop, hung, tail.hop], { minCopies: 2 });
  const answer = put(head, ticket, BYTES);
  await world.until(() => head.ports.held(0).includes(hung.grant));
  expect(await answer).toMatchObject({ status: 200, keepers: idsOf([head, tail]) });
  await world.until(() => head.ports.held(0).length === 0);
});

test("too few copies are an error that names them; they are reported without a commit", async () => {
  await using world = new World();
  const [head, middle, tail] = await three(world);
  await tail.stop();
  const ticket = putTicket(BYTES, hopsOf([head, middle, tail]));
  const answer = await put(head, ticket, BYTES);
  expect(answer).toMatchObject({
    status: 503,
    code: "no-keepers",
    data: { copies: 2, need: 3, keepers: idsOf([head, middle]) },
  });
  await world.until(() => world.stored.length === 1);
  expect(world.stored).toMatchObject([{ head: false, keepers: idsOf([head, middle]) }]);
});

test("an answer comes with the copies that are needed; a later copy reports itself", async () => {
  await using world = new World();
  const late = Promise.withResolvers<void>();
  const head = await world.keeper();
  const middle = await world.keeper();
  const tail = await world.keeper({
    disk: (disk) => ({
      receive: async (path, request) => {
        await disk.receive(path, request);
        await late.promise;
      },
    }),
  });
  const ticket = putTicket(BYTES, hopsOf([head, middle, tail]), { minCopies: 2 });
  const answer = await put(head, ticket, BYTES);
  expect(answer.keepers).toEqual(idsOf([head, middle]));
  await world.until(() => middle.ports.held(0).includes(tail.hop.grant));
  late.resolve();
  await world.until(() => world.stored.length === 2);
  expect(world.stored[1]).toMatchObject({ head: false, keepers: [tail.id] });
  await world.until(() => middle.ports.held(0).length === 0);
});

test("one copy is enough when the ticket says so; the others report themselves", async () => {
  await using world = new World();
  const keepers = await three(world);
  const ticket = putTicket(SMALL, hopsOf(keepers), { minCopies: 1 });
  const answer = await put(keepers[0], ticket, SMALL);
  expect(answer.keepers).toEqual([keepers[0].id]);
  await world.until(() => world.stored.length === 3);
  const reported = world.stored.flatMap((report) => report.keepers).toSorted();
  expect(reported).toEqual(idsOf(keepers).toSorted());
  expect(world.stored.filter(({ head }) => head).length).toBe(1);
});

test("a head whose disk fails says so, and reports the copies that others have made", async () => {
  await using world = new World();
  const head = await world.keeper({
    disk: (disk) => ({
      open: (path) => ({ ...disk.open(path), datasync: () => Promise.reject(fault("EIO")) }),
    }),
  });
  const tail = await world.keeper();
  const ticket = putTicket(BYTES, hopsOf([head, tail]));
  expect((await put(head, ticket, BYTES)).code).toBe("unavailable");
  expect(await head.store.find(ticket.chunk)).toEqual({ kind: "missing" });
  await world.until(() => head.ports.held(0).length === 0);
  if ((await tail.store.find(ticket.chunk)).kind === "found") {
    await world.until(() => world.stored.length === 1);
    expect(world.stored).toMatchObject([{ head: false, keepers: [tail.id] }]);
  }
});

test("bytes that are wrong go no further than the first keeper", async () => {
  await using world = new World();
  const [head, middle] = await three(world);
  const ticket = putTicket(BYTES, hopsOf([head, middle]));
  expect((await put(head, ticket, BYTES.with(5, 1))).code).toBe("corrupt");
  expect(middle.ports.counts(0).bytesIn).toBe(0);
});

test("what the master refuses is the client's answer", async () => {
  await using world = new World();
  const keeper = await world.keeper();
  world.onStored = () => {
    throw new TydfsError("exists", "File is there");
  };
  expect((await put(keeper, putTicket(SMALL, [keeper.hop]), SMALL)).code).toBe("exists");
  await world.until(() => keeper.ports.held(0).length === 0);
});

test("a client that goes before the copies are made gets no commit; the copies are told", async () => {
  await using world = new World();
  const late = Promise.withResolvers<void>();
  const head = await world.keeper();
  const tail = await world.keeper({
    disk: (disk) => ({
      receive: async (path, request) => {
        await disk.receive(path, request);
        await late.promise;
      },
    }),
  });
  const ticket = putTicket(BYTES, hopsOf([head, tail]));
  const client = new AbortController();
  const answer = put(head, ticket, BYTES, { signal: client.signal });
  answer.catch(() => {});
  await world.until(() => tail.ports.held(0).length === 1);
  await world.until(() => head.store.chunks === 1);
  client.abort(new Error("the client has gone"));
  await expect(answer).rejects.toThrow("has gone");
  // The head learns of it by its socket's end, some turns of the loop later.
  await systemClock.sleep(50);
  late.resolve();
  await world.until(() => world.stored.length > 0 && head.ports.held(0).length === 0);
  expect(world.stored).toMatchObject([{ head: false, keepers: idsOf([head, tail]) }]);
});

test("a client that goes while the master does not answer gets no commit later", async () => {
  await using world = new World();
  const keeper = await world.keeper();
  let isAway = true;
  let asked = 0;
  world.onStored = () => {
    asked++;
    if (isAway) throw new TydfsError("unavailable", "The master is restarting");
  };
  const client = new AbortController();
  const ticket = putTicket(SMALL, [keeper.hop]);
  const answer = put(keeper, ticket, SMALL, { signal: client.signal });
  answer.catch(() => {});
  await world.until(() => asked > 0);
  client.abort(new Error("the client has gone"));
  await expect(answer).rejects.toThrow("has gone");
  await systemClock.sleep(50);
  isAway = false;
  await world.until(() => world.stored.length > 0);
  expect(world.stored).toMatchObject([{ head: false, keepers: [keeper.id] }]);
});
