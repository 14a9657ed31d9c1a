/** The streamer over real HTTP: what it serves, what it refuses, and what it survives. */
import { describe, expect, test } from "bun:test";
import { readdirSync, truncateSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { MIB } from "../../src/base/bytes.ts";
import { systemClock } from "../../src/base/clock.ts";
import { randomHex } from "../../src/base/random.ts";
import { chunkPath } from "../../src/chunks/places.ts";
import { httpTransport, TICKET_HEADER } from "../../src/wire/chunk_http.ts";
import { TydfsError } from "../../src/wire/errors.ts";
import { signTicket } from "../../src/wire/ticket.ts";
import type { TestKeeper } from "./world.ts";
import { get, getTicket, KEY, put, putTicket, random, World } from "./world.ts";

const BYTES = random.bytes(2 * MIB + 100);

/** A connection that sends what it is told, and remembers what came back. */
function dial(port: number): { send(data: string): void; answer(): string; destroy(): void } {
  let answer = "";
  const socket = connect(port, "127.0.0.1");
  socket.on("data", (piece) => answer += piece.toString("latin1"));
  socket.on("error", () => {});
  return {
    send: (data) => void socket.write(data),
    answer: () => answer,
    destroy: () => void socket.destroy(),
  };
}

/** Begins a PUT by hand, and sends only three bytes of its body. */
function beginPut(keeper: TestKeeper, bytes = BYTES) {
  const ticket = putTicket(bytes, [keeper.hop]);
  const socket = dial(keeper.port);
  socket.send(
    `PUT /chunk/${ticket.chunk} HTTP/1.1\r\nhost: x\r\n` +
      `${TICKET_HEADER}: ${signTicket(KEY, ticket)}\r\ncontent-length: ${bytes.length}\r\n\r\nabc`,
  );
  return { ticket, socket };
}

/** Asks how far a PUT is; the bytes, or the code of the refusal. */
async function progressOf(
  keeper: TestKeeper,
  chunk: string,
  ticket: string,
): Promise<number | string> {
  const address = { host: "127.0.0.1", port: keeper.port };
  const signal = AbortSignal.timeout(5_000);
  return await httpTransport.progress(address, { chunk, ticket, signal }).catch((error) => {
    if (error instanceof TydfsError) return error.code;
    throw error;
  });
}

describe("PUT", () => {
  test("stores a chunk, reports it, and answers with the commit", async () => {
    await using world = new World();
    const keeper = await world.keeper();
    const ticket = putTicket(BYTES, [keeper.hop]);
    const answer = await put(keeper, ticket, BYTES);
    expect(answer).toMatchObject({ status: 200, keepers: [keeper.id], committed: { copies: 1 } });
    expect(world.stored).toMatchObject([{ chunk: ticket.chunk, head: true, keepers: [keeper.id] }]);
    expect(await keeper.store.verify(ticket.chunk)).toBe("good");
    expect(keeper.ports.held(0)).toEqual([]);
    expect(keeper.ports.counts(0).bytesIn).toBe(BYTES.length);
  });

  test("of a chunk that is here answers the same; other bytes conflict", async () => {
    await using world = new World();
    const keeper = await world.keeper();
    const ticket = putTicket(BYTES, [keeper.hop]);
    await put(keeper, ticket, BYTES);
    expect((await put(keeper, ticket, BYTES)).status).toBe(200);
    const other = BYTES.toReversed();
    const forged = putTicket(other, [keeper.hop], { chunk: ticket.chunk });
    expect((await put(keeper, forged, other)).code).toBe("conflict");
    expect(keeper.store.chunks).toBe(1);
  });

  test("refuses tickets that are forged, expired, foreign or for something else", async () => {
    await using world = new World();
    const keeper = await world.keeper();
    const other = await world.keeper();
    const ticket = putTicket(BYTES, [keeper.hop]);
    const codes = {
      forged: await put(keeper, ticket, BYTES, { key: "another key" }),
      expired: await put(keeper, { ...ticket, expiresMs: 1 }, BYTES),
      foreign: await put(keeper, putTicket(BYTES, [other.hop]), BYTES),
      otherChunk: await put(keeper, ticket, BYTES, { id: randomHex(random, 16) }),
      none: await put(keeper, ticket, BYTES, { headers: { [TICKET_HEADER]: "" } }),
      toRead: await put(keeper, ticket, BYTES, {
        headers: { [TICKET_HEADER]: getTicket(ticket.chunk) },
      }),
      badNeed: await put(keeper, ticket, BYTES, { headers: { "x-tydfs-need": "many" } }),
    };
    expect(Object.entries(codes).map(([name, { code }]) => [name, code])).toEqual([
      ["forged", "denied"],
      ["expired", "expired"],
      ["foreign", "unavailable"],
      ["otherChunk", "denied"],
      ["none", "denied"],
      ["toRead", "denied"],
      ["badNeed", "invalid"],
    ]);
    expect(world.stored).toEqual([]);
  });

  test("refuses wrong lengths and wrong bytes, and leaves nothing", async () => {
    await using world = new World();
    const keeper = await world.keeper();
    const ticket = putTicket(BYTES, [keeper.hop]);
    expect((await put(keeper, ticket, BYTES.subarray(1))).code).toBe("invalid");
    expect((await put(keeper, ticket, BYTES.with(MIB + 1, 77))).code).toBe("corrupt");
    const chunked = dial(keeper.port);
    chunked.send(
      `PUT /chunk/${ticket.chunk} HTTP/1.1\r\nhost: x\r\n${TICKET_HEADER}: ` +
        `${signTicket(KEY, ticket)}\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n`,
    );
    await world.until(() => chunked.answer().includes('"invalid"'));
    chunked.destroy();
    expect(readdirSync(join(keeper.directory, "tmp"))).toEqual([]);
    expect(world.stored).toEqual([]);
    expect(keeper.ports.held(0)).toEqual([]);
  });

  test("holds its grant while it runs, and lets it go when the client dies", async () => {
    await using world = new World();
    const keeper = await world.keeper();
    const { socket } = beginPut(keeper);
    await world.until(() => keeper.ports.held(0).includes(keeper.hop.grant));
    socket.destroy();
    await world.until(() => keeper.ports.held(0).length === 0);
    await world.until(() => readdirSync(join(keeper.directory, "tmp")).length === 0);
    await world.until(() => keeper.ports.counts(0).inUse === 0);
  });

  test("cuts an upload that stalls", async () => {
    await using world = new World();
    const limits = { checkEveryMs: 20, stallMs: 100, bytesPerSecond: 1, graceMs: 60_000 };
    const keeper = await world.keeper({ stallLimits: limits });
    const { socket } = beginPut(keeper);
    await world.until(() => keeper.ports.held(0).length === 1);
    await world.until(() => keeper.ports.held(0).length === 0);
    expect(readdirSync(join(keeper.directory, "tmp"))).toEqual([]);
    socket.destroy();
  });

  test("answers busy at once when a port carries twice its slots", async () => {
    await using world = new World();
    const keeper = await world.keeper({ slots: 1 });
    const held = [beginPut(keeper), beginPut(keeper)];
    await world.until(() => keeper.ports.held(0).length === 2);
    expect((await put(keeper, putTicket(BYTES, [keeper.hop]), BYTES)).code).toBe("busy");
    expect((await fetch(`${keeper.base}/health`)).status).toBe(200);
    const slotless = { ...keeper.hop, grant: 0 };
    expect((await put(keeper, putTicket(BYTES, [slotless]), BYTES)).code).toBe("ok");
    for (const { socket } of held) socket.destroy();
  });

  test("asks the master until it answers; a refusal is the client's answer", async () => {
    await using world = new World();
    const keeper = await world.keeper();
    let asked = 0;
    world.onStored = () => {
      if (++asked < 3) throw new Error("the master is restarting");
    };
    expect((await put(keeper, putTicket(BYTES, [keeper.hop]), BYTES)).status).toBe(200);
    expect(asked).toBe(3);
  });
});

describe("GET /progress", () => {
  test("tells how much of a PUT has come, and knows nothing of one that is over", async () => {
    await using world = new World();
    const keeper = await world.keeper();
    const { ticket, socket } = beginPut(keeper);
    const { chunk } = ticket;
    const text = signTicket(KEY, ticket);
    const seen: (number | string)[] = [];
    const untilSeen = async (wanted: number | string) => {
      while (seen.at(-1) !== wanted) seen.push(await progressOf(keeper, chunk, text));
    };
    await untilSeen(3);
    socket.send("x".repeat(1000));
    await untilSeen(1003);
    socket.destroy();
    await untilSeen("not-found");
    expect(await put(keeper, ticket, BYTES)).toMatchObject({ status: 200 });
    expect(await progressOf(keeper, chunk, text)).toBe("not-found");
  });

  test("tells all bytes while they are made durable, and counts the latest try", async () => {
    await using world = new World();
    const keeper = await world.keeper();
    const { ticket, socket } = beginPut(keeper);
    const text = signTicket(KEY, ticket);
    await world.until(() => keeper.ports.held(0).length === 1);
    const received: (number | string)[] = [];
    world.onStored = async () => {
      received.push(await progressOf(keeper, ticket.chunk, text));
      socket.destroy();
    };
    expect(await put(keeper, ticket, BYTES)).toMatchObject({ status: 200 });
    expect(received).toEqual([BYTES.length]);
    // The end of the older one does not make it forget, nor the other way round.
    await world.until(() => keeper.ports.counts(0).inUse === 0);
    expect(await progressOf(keeper, ticket.chunk, text)).toBe("not-found");
  });

  test("refuses whoever has no ticket for that PUT", async () => {
    await using world = new World();
    const keeper = await world.keeper();
    const { ticket, socket } = beginPut(keeper);
    const { chunk } = ticket;
    await world.until(() => keeper.ports.held(0).length === 1);
    const codes = {
      forged: await progressOf(keeper, chunk, signTicket("another key", ticket)),
      expired: await progressOf(keeper, chunk, signTicket(KEY, { ...ticket, expiresMs: 1 })),
      otherChunk: await progressOf(keeper, randomHex(random, 16), signTicket(KEY, ticket)),
      none: await progressOf(keeper, chunk, ""),
      toRead: await progressOf(keeper, chunk, getTicket(chunk)),
      noChunk: await progressOf(keeper, "..%2Fmaster", signTicket(KEY, ticket)),
    };
    socket.destroy();
    expect(Object.entries(codes).map(([name, code]) => [name, code])).toEqual([
      ["forged", "denied"],
      ["expired", "expired"],
      ["otherChunk", "denied"],
      ["none", "denied"],
      ["toRead", "denied"],
      ["noChunk", "invalid"],
    ]);
  });
});

describe("GET", () => {
  test("gives the whole chunk, or a range of it", async () => {
    await using world = new World();
    const keeper = await world.keeper();
    const ticket = putTicket(BYTES, [keeper.hop]);
    await put(keeper, ticket, BYTES);
    const size = BYTES.length;
    const whole = await get(keeper, ticket.chunk);
    expect(whole.status).toBe(200);
    expect(whole.headers.get("content-length")).toBe(String(size));
    expect(Buffer.from(await whole.bytes()).equals(BYTES)).toBe(true);
    const ranges: [string, number, number][] = [
      ["bytes=0-0", 0, 1],
      ["bytes=10-19", 10, 20],
      [`bytes=${MIB}-`, MIB, size],
      ["bytes=-5", size - 5, size],
      [`bytes=5-${10 * size}`, 5, size],
      [`bytes=-${10 * size}`, 0, size],
    ];
    for (const [range, start, end] of ranges) {
      const part = await get(keeper, ticket.chunk, { headers: { range } });
      expect([range, part.status]).toEqual([range, 206]);
      expect(part.headers.get("content-range")).toBe(`bytes ${start}-${end - 1}/${size}`);
      expect(Buffer.from(await part.bytes()).equals(BYTES.subarray(start, end))).toBe(true);
    }
    for (const range of ["bytes=5-4", `bytes=${size}-`, "bytes=-0", "bytes=a-b", "bytes=0-1,3-4"]) {
      const bad = await get(keeper, ticket.chunk, { headers: { range } });
      expect([range, bad.status]).toEqual([range, 416]);
      expect(bad.headers.get("content-range")).toBe(`bytes */${size}`);
    }
  });

  test("takes the ticket from the query, too; HEAD tells the size", async () => {
    await using world = new World();
    const keeper = await world.keeper();
    const ticket = putTicket(BYTES, [keeper.hop]);
    await put(keeper, ticket, BYTES);
    const url = `${keeper.base}/chunk/${ticket.chunk}?ticket=${getTicket(ticket.chunk)}`;
    expect((await (await fetch(url)).bytes()).length).toBe(BYTES.length);
    const head = await fetch(url, { method: "HEAD" });
    expect(head.headers.get("content-length")).toBe(String(BYTES.length));
    expect((await fetch(`${keeper.base}/chunk/${ticket.chunk}`)).status).toBe(403);
  });

  test("of a chunk that is missing or damaged says so, and tells the master", async () => {
    await using world = new World();
    const keeper = await world.keeper();
    const ticket = putTicket(BYTES, [keeper.hop]);
    await put(keeper, ticket, BYTES);
    truncateSync(join(keeper.directory, chunkPath(ticket.chunk)), 100);
    expect((await get(keeper, ticket.chunk)).status).toBe(410);
    expect((await get(keeper, ticket.chunk)).status).toBe(404);
    expect((await get(keeper, ticket.chunk)).status).toBe(404);
    await world.until(() => world.lost.length === 2);
    expect(world.lost.map(({ reason }) => reason)).toEqual(["corrupt", "missing"]);
    expect(readdirSync(join(keeper.directory, "quarantine")).length).toBe(2);
  });
});

describe("a passing want of file handles", () => {
  test("is answered unavailable; nothing is put aside, overwritten or reported", async () => {
    await using world = new World();
    let isShort = false;
    const keeper = await world.keeper({
      disk: (disk) => ({
        read: (path) =>
          isShort
            ? Promise.reject(Object.assign(new Error("EMFILE: injected"), { code: "EMFILE" }))
            : disk.read(path),
      }),
    });
    const ticket = putTicket(BYTES, [keeper.hop]);
    await put(keeper, ticket, BYTES);
    isShort = true;
    expect((await get(keeper, ticket.chunk)).status).toBe(503);
    const other = BYTES.toReversed();
    const forged = putTicket(other, [keeper.hop], { chunk: ticket.chunk });
    expect((await put(keeper, forged, other)).code).toBe("unavailable");
    isShort = false;
    const again = await get(keeper, ticket.chunk);
    expect(again.status).toBe(200);
    expect(Buffer.from(await again.bytes()).equals(BYTES)).toBe(true);
    expect(readdirSync(join(keeper.directory, "quarantine"))).toEqual([]);
    expect(world.lost).toEqual([]);
  });
});

describe("anything else", () => {
  test("is refused by a code: tricks in ids, other paths, other methods", async () => {
    await using world = new World();
    const keeper = await world.keeper();
    const tricks = [
      "..%2f..%2fkeeper.json",
      "%2e%2e%2fkeeper.json",
      "a%00b",
      "%",
      "",
      "A".repeat(32),
      "0".repeat(31),
      `${"0".repeat(32)}.json`,
      `${"0".repeat(32)}%2f`,
    ];
    for (const trick of tricks) {
      const response = await fetch(`${keeper.base}/chunk/${trick}`);
      expect([trick, response.status]).toEqual([trick, 400]);
    }
    expect((await fetch(`${keeper.base}/../../etc/passwd`)).status).toBe(404);
    expect((await fetch(`${keeper.base}//etc/passwd`)).status).toBe(404);
    const id = "0".repeat(32);
    expect((await fetch(`${keeper.base}/chunk/${id}`, { method: "DELETE" })).status).toBe(400);
  });

  test("even garbage instead of HTTP leaves the streamer alive", async () => {
    await using world = new World();
    const keeper = await world.keeper();
    const garbage = ["\0\x01\x02", "GET\r\n\r\n", `GET / HTTP/1.1\r\n${"x".repeat(100_000)}`];
    const sockets = garbage.map((text) => {
      const socket = dial(keeper.port);
      socket.send(text);
      return socket;
    });
    const ticket = putTicket(BYTES, [keeper.hop]);
    expect((await put(keeper, ticket, BYTES)).status).toBe(200);
    for (const socket of sockets) socket.destroy();
    expect(keeper.broken).toEqual([]);
  });
});

test("stop ends when the streams have ended, and refuses new ones meanwhile", async () => {
  await using world = new World();
  const keeper = await world.keeper();
  const { ticket, socket } = beginPut(keeper, BYTES.subarray(0, 6));
  await world.until(() => keeper.ports.held(0).length === 1);
  const startMs = systemClock.monotonicMs();
  const stopped = keeper.streamer.stop(4_000);
  socket.send(Buffer.from("xyz").toString());
  await stopped;
  expect(systemClock.monotonicMs() - startMs).toBeLessThan(2_000);
  expect(socket.answer()).toContain("422");
  expect(await keeper.store.find(ticket.chunk)).toEqual({ kind: "missing" });
  socket.destroy();
});
