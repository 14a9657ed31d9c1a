/**
 * One suite over HTTP and the simulated transport, both to a real streamer: what arrives, what is
 * answered, and how it fails.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { MIB } from "../../src/base/bytes.ts";
import type { ChunkTransport, PortAddress } from "../../src/wire/chunk_http.ts";
import { httpTransport } from "../../src/wire/chunk_http.ts";
import { serve } from "../../src/wire/bus.ts";
import { TydfsError } from "../../src/wire/errors.ts";
import { reportStored } from "../../src/wire/report.ts";
import { subjectsOf } from "../../src/wire/subjects.ts";
import type { Hop, PutTicket } from "../../src/wire/ticket.ts";
import { signTicket } from "../../src/wire/ticket.ts";
import { KEY, putTicket, random, World } from "../keeper/world.ts";
import { CLUSTER, Cluster, TICKET_KEY } from "../sim/cluster.ts";
import { KeeperNode } from "../sim/keeper_node.ts";
import { SimTransport } from "../sim/transport.ts";
import { pump } from "./pump.ts";

interface OpenTransport {
  transport: ChunkTransport;
  hop: Hop;
  key: string;
  /** Wall time on which its tickets stand, in ms. */
  wallMs: () => number;
  stop(): void | Promise<void>;
}

const never = new AbortController().signal;

async function codeOf(task: Promise<unknown>): Promise<string> {
  try {
    await task;
    return "ok";
  } catch (error) {
    return error instanceof TydfsError ? error.code : String(error);
  }
}

async function gather(pieces: AsyncIterable<Uint8Array>): Promise<Uint8Array> {
  const all: Uint8Array[] = [];
  for await (const piece of pieces) all.push(piece.slice());
  return Buffer.concat(all);
}

function suite(name: string, start: () => Promise<OpenTransport>): void {
  describe(name, () => {
    let world: OpenTransport;
    beforeAll(async () => void (world = await start()));
    afterAll(() => world.stop());

    const signed = (bytes: Uint8Array, changes: Partial<PutTicket> = {}) => {
      const expiresMs = world.wallMs() + 60_000;
      const ticket = putTicket(bytes, [world.hop], { expiresMs, ...changes });
      return { chunk: ticket.chunk, ticket: signTicket(world.key, ticket) };
    };
    const toRead = (chunk: string) => {
      const expiresMs = world.wallMs() + 60_000;
      return { chunk, ticket: signTicket(world.key, { op: "get", chunk, expiresMs }) };
    };
    const put = async (bytes: Uint8Array, body: Blob | Uint8Array = bytes) => {
      const { chunk, ticket } = signed(bytes);
      const request = { chunk, ticket, body, signal: never };
      return { chunk, answer: await world.transport.put(world.hop, request) };
    };

    test("what is put is got again, whole and in parts, small and large", async () => {
      for (const size of [0, 1, 70_000, MIB, 2 * MIB + 5]) {
        const bytes = random.bytes(size);
        const body = size % 2 === 0 ? bytes : new Blob([bytes as BlobPart]);
        const { chunk, answer } = await put(bytes, body);
        expect(answer).toMatchObject({ ok: true, keepers: [world.hop.keeper] });
        for (const [offset, end] of [[0, size], [Math.floor(size / 3), Math.ceil(size / 2)]]) {
          const length = (end ?? 0) - (offset ?? 0);
          if (length <= 0) continue;
          const part = { offset: offset ?? 0, length, signal: never };
          const pieces = await world.transport.get(world.hop, { ...toRead(chunk), ...part });
          expect(Buffer.compare(await gather(pieces), bytes.subarray(offset, end))).toBe(0);
        }
      }
    });

    test("what a keeper refuses is thrown with its code", async () => {
      const { transport, hop } = world;
      const bytes = random.bytes(3_000);
      const wrong = { ...signed(random.bytes(3_000)), body: bytes, signal: never };
      expect(await codeOf(transport.put(hop, wrong))).toBe("corrupt");
      const short = { ...signed(random.bytes(3_001)), body: bytes, signal: never };
      expect(await codeOf(transport.put(hop, short))).toBe("invalid");
      const forged = { ...signed(bytes), ticket: "nonsense", body: bytes, signal: never };
      expect(await codeOf(transport.put(hop, forged))).toBe("denied");
      const part = { offset: 0, length: 10, signal: never };
      expect(await codeOf(transport.get(hop, { ...toRead("0".repeat(32)), ...part })))
        .toBe("not-found");
      const old = { ...signed(bytes, { expiresMs: 1 }), body: bytes, signal: never };
      expect(await codeOf(transport.put(hop, old))).toBe("expired");
    });

    test("a range that does not lie in the chunk is no bytes, but an error", async () => {
      const { chunk } = await put(random.bytes(100));
      const beyond = { ...toRead(chunk), offset: 200, length: 10, signal: never };
      expect(await codeOf(world.transport.get(world.hop, beyond))).toBe("unavailable");
      const longer = { ...toRead(chunk), offset: 50, length: 100, signal: never };
      const read = world.transport.get(world.hop, longer).then(gather);
      expect(await codeOf(read)).toBe("unavailable");
    });

    test("an aborted signal ends a call with its reason, before it begins and in its course", async () => {
      const bytes = random.bytes(2 * MIB);
      const { chunk } = await put(bytes);
      const gone = new AbortController();
      gone.abort(new TydfsError("interrupted", "Stop"));
      const before = { ...toRead(chunk), offset: 0, length: 10, signal: gone.signal };
      expect(await codeOf(world.transport.get(world.hop, before))).toBe("interrupted");
      const stop = new AbortController();
      const request = { ...signed(bytes), body: bytes, signal: stop.signal };
      const putting = codeOf(world.transport.put(world.hop, request));
      stop.abort(new TydfsError("timeout", "Late"));
      expect(await putting).toBe("timeout");
    });

    test("where nobody listens everything is unavailable", async () => {
      const nowhere: PortAddress = { host: world.hop.host, port: 1 };
      const bytes = random.bytes(10);
      const request = { ...signed(bytes), body: bytes, signal: never };
      expect(await codeOf(world.transport.put(nowhere, request))).toBe("unavailable");
      const part = { offset: 0, length: 10, signal: never };
      const read = world.transport.get(nowhere, { ...toRead("1".repeat(32)), ...part });
      expect(await codeOf(read)).toBe("unavailable");
      expect(await codeOf(world.transport.ping(nowhere, never))).not.toBe("ok");
    });

    test("ping, progress and origin are answered", async () => {
      const { transport, hop } = world;
      await transport.ping(hop, never);
      const { chunk } = await put(random.bytes(10));
      const origin = await transport.origin(hop, { ...toRead(chunk), signal: never });
      expect(origin).toMatchObject({ path: "/x", seq: 0 });
      const unknown = { ...signed(random.bytes(10)), signal: never };
      expect(await codeOf(transport.progress(hop, unknown))).toBe("not-found");
    });
  });
}

suite("httpTransport", async () => {
  const world = new World();
  const { hop } = await world.keeper();
  const stop = () => world[Symbol.asyncDispose]();
  return { transport: httpTransport, hop, key: KEY, wallMs: () => Date.now(), stop };
});

suite("SimTransport", async () => {
  const cluster = new Cluster(1, {});
  const stop = pump(cluster.time);
  const client = cluster.process("client", "client");
  const master = cluster.nats.connect(cluster.process("master", "master"));
  const subject = subjectsOf(CLUSTER).report("*", reportStored.name);
  serve(master, subject, reportStored, { onFailure: () => {} }, () => ({}));
  const keeper = new KeeperNode(cluster, "keeper-0", 1);
  keeper.start();
  const port = 7000;
  while (cluster.ports.find({ host: keeper.name, port }) === undefined) {
    await new Promise((resolve) => setImmediate(resolve));
  }
  return {
    transport: new SimTransport(cluster.ports, client),
    hop: { keeper: keeper.id ?? "", host: keeper.name, port, grant: 1 },
    ...{ key: TICKET_KEY, wallMs: () => client.clock.wallMs(), stop },
  };
});
