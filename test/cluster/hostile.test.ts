/**
 * Hostile peers: forged tickets, tricks in ids, malformed messages. Refused with a code, and the
 * processes live on.
 */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { silentLog } from "../../src/base/log.ts";
import { systemRandom } from "../../src/base/random.ts";
import type { Bus } from "../../src/wire/bus.ts";
import { call } from "../../src/wire/bus.ts";
import { connectNats } from "../../src/wire/bus_nats.ts";
import { TICKET_HEADER } from "../../src/wire/chunk_http.ts";
import { decode, encode } from "../../src/wire/codec.ts";
import type { FileLocateReply } from "../../src/wire/file.ts";
import { fileLocate } from "../../src/wire/file.ts";
import { makeId } from "../../src/wire/ids.ts";
import { ReplyEnvelope } from "../../src/wire/rpc.ts";
import { roleSecret, ticketKey } from "../../src/wire/secrets.ts";
import { subjectsOf } from "../../src/wire/subjects.ts";
import { sumsOf } from "../../src/wire/sums.ts";
import type { PutTicket } from "../../src/wire/ticket.ts";
import { signTicket } from "../../src/wire/ticket.ts";
import { parseClusterUrl } from "../../src/wire/url.ts";
import { MIB, sameBytes, TestCluster } from "./harness.ts";

let cluster: TestCluster;
let bus: Bus;
let located: FileLocateReply;
let source: string;
const subjects = subjectsOf("main");

beforeAll(async () => {
  cluster = await TestCluster.start();
  source = cluster.file("there.bin", 2 * MIB);
  await cluster.ok("put", source, "/there");
  const url = parseClusterUrl(cluster.clientUrl);
  bus = await connectNats({ url, name: "test", log: silentLog, connectMs: 3000 });
  located = await call(bus, subjects.rpc("file.locate"), fileLocate, {
    path: "/there",
    fromSeq: 0,
  }, { timeoutMs: 3000 });
}, 60_000);

afterAll(async () => {
  await bus?.close();
  await cluster.stop();
});

function address(): { id: string; base: string; port: number } {
  const holder = located.holders[0];
  const port = holder?.ports[0];
  if (holder === undefined || port === undefined) throw new Error("no holder");
  return { id: holder.keeper, base: `http://${holder.host}:${port}`, port };
}

function realKey(): string {
  const key = readFileSync(join(cluster.masterDir, "cluster.key"), "utf8").trim();
  return ticketKey(roleSecret(key, "keeper"));
}

function putTicket(bytes: Uint8Array, changes: Partial<PutTicket> = {}): PutTicket {
  const { id, port } = address();
  return {
    op: "put",
    chunk: makeId(systemRandom),
    sizeBytes: bytes.length,
    sums: sumsOf(bytes),
    origin: { path: "/x", upload: makeId(systemRandom), seq: 0, offset: 0 },
    hops: [{ keeper: id, host: "127.0.0.1", port, grant: 1 }],
    minCopies: 1,
    goal: 1,
    expiresMs: Date.now() + 60_000,
    ...changes,
  };
}

async function put(
  ticket: PutTicket,
  key: string,
  body: Uint8Array<ArrayBuffer>,
  id?: string,
): Promise<{ status: number; code: string }> {
  const response = await fetch(`${address().base}/chunk/${id ?? ticket.chunk}`, {
    method: "PUT",
    headers: { [TICKET_HEADER]: signTicket(key, ticket) },
    body,
  });
  const answer = await response.json() as { code?: string };
  return { status: response.status, code: answer.code ?? "ok" };
}

const BYTES = new Uint8Array(1000).fill(5);

test("a ticket that is in order is served: the control of the tests below", async () => {
  expect((await put(putTicket(BYTES), realKey(), BYTES)).code).toBe("ok");
});

test("forged, foreign, expired and misused tickets are refused with their codes", async () => {
  const key = realKey();
  const other = makeId(systemRandom);
  const foreign = [{ keeper: other, host: "127.0.0.1", port: 1, grant: 1 }];
  expect((await put(putTicket(BYTES), "forged", BYTES)).code).toBe("denied");
  expect((await put(putTicket(BYTES, { expiresMs: 1 }), key, BYTES)).code).toBe("expired");
  expect((await put(putTicket(BYTES, { hops: foreign }), key, BYTES)).code).toBe("unavailable");
  expect((await put(putTicket(BYTES), key, BYTES, other)).code).toBe("denied");
  const get = signTicket(key, { op: "get", chunk: other, expiresMs: Date.now() + 9999 });
  const misused = await fetch(`${address().base}/chunk/${other}`, {
    method: "PUT",
    headers: { [TICKET_HEADER]: get },
    body: BYTES,
  });
  expect(misused.status).toBe(403);
  expect((await fetch(`${address().base}/chunk/${other}`)).status).toBe(403);
});

test("wrong lengths and wrong sums are refused, and no chunk is made", async () => {
  const before = cluster.replicas(1).length;
  expect((await put(putTicket(BYTES), realKey(), BYTES.subarray(1))).code).not.toBe("ok");
  const wrong = BYTES.slice();
  wrong[3] = 6;
  expect((await put(putTicket(BYTES), realKey(), wrong)).code).toBe("corrupt");
  expect(cluster.replicas(1).length).toBe(before);
});

test("tricks in chunk ids never reach the disk", async () => {
  const tricks = [
    "../../keeper.json",
    "..%2f..%2fkeeper.json",
    "%2e%2e%2fkeeper.json",
    "a%00b",
    "//etc/passwd",
    "A".repeat(32),
    "0".repeat(31),
  ];
  for (const trick of tricks) {
    const response = await fetch(`${address().base}/chunk/${trick}`);
    expect([400, 403, 404]).toContain(response.status);
    await response.text();
  }
});

function raw(text: string): Promise<string> {
  return new Promise((resolve, reject) => {
    let answer = "";
    const socket = connect(address().port, "127.0.0.1", () => socket.end(text));
    socket.setTimeout(5000, () => reject(new Error("no answer")));
    socket.on("data", (piece) => answer += piece.toString());
    socket.on("error", () => resolve(answer));
    socket.on("close", () => resolve(answer));
  });
}

test("malformed HTTP is answered or closed", async () => {
  expect(await raw("GET /chunk/x\r\n\r\n")).not.toContain(" 200 ");
  expect(await raw("\0\0\0\0\r\n\r\n")).not.toContain(" 200 ");
  expect(await raw(`GET /chunk/x HTTP/1.1\r\nHost: a\r\nA: ${"x".repeat(100_000)}\r\n\r\n`)).not
    .toContain(" 200 ");
  expect(await raw("PUT /chunk/x HTTP/1.1\r\nHost: a\r\nContent-Length: -5\r\n\r\n")).not
    .toContain(" 200 ");
  expect((await fetch(`${address().base}/health`)).status).toBe(200);
});

test("malformed CBOR is answered with invalid by every tracker", async () => {
  const payloads = [
    new Uint8Array([0xff]),
    new Uint8Array(0),
    encode({ path: 5 }),
    encode({ path: "/a/../b", recursive: false, limit: 10 }),
    encode([[[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]]]),
  ];
  for (const payload of payloads) {
    for (let round = 0; round < 4; round++) {
      const reply = await bus.request(subjects.rpc("dir.list"), payload, { timeoutMs: 3000 });
      expect(decode(ReplyEnvelope, reply, "a reply")).toMatchObject({ ok: false, code: "invalid" });
    }
  }
});

test("a client can't send heartbeats, reports or commands", async () => {
  const { id } = address();
  for (const subject of [subjects.report(id, "lost"), subjects.command(id, "delete")]) {
    const request = bus.request(subject, encode({}), { timeoutMs: 1500 });
    await expect(request).rejects.toMatchObject({ name: "TydfsError" });
  }
  bus.publish(subjects.heartbeat(id), encode({ keeper: id }));
  await bus.flush();
});

test("after all this the cluster is whole and serves the right bytes", async () => {
  await cluster.untilAlive(3);
  await cluster.ok("get", "/there", join(cluster.dir, "back"));
  expect(await sameBytes(source, join(cluster.dir, "back"))).toBe(true);
  for (const k of [1, 2, 3]) expect(cluster.log(`keeper-${k}`)).not.toContain("Invariant broken");
});
