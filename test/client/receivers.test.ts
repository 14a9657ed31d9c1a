/** Receivers: ranges of a chunk that come into an open file by a thread, and what may go wrong. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import type { AddressInfo } from "node:net";
import { createServer } from "node:net";
import { closeSync, openSync, readFileSync } from "node:fs";
import { MIB } from "../../src/base/bytes.ts";
import { systemClock } from "../../src/base/clock.ts";
import { hasPollSockets } from "../../src/base/poll_socket.ts";
import { systemRandom } from "../../src/base/random.ts";
import { Receivers } from "../../src/client/receiver/receivers.ts";
import { errorResponse, TICKET_HEADER } from "../../src/wire/chunk_http.ts";
import { TydfsError } from "../../src/wire/errors.ts";
import { sumsOf } from "../../src/wire/sums.ts";
import { scratchDirectory, someBytes } from "./scratch.ts";

const CHUNK = "0123456789abcdef".repeat(2);
const bytes = someBytes(5 * MIB + 123);
const sums = sumsOf(bytes);
const STALL_MS = 300;

type Mood = "well" | "wrong" | "busy" | "cut" | "silent" | "nonsense";
let mood: Mood = "well";
const heard: Request[] = [];

const server = Bun.serve({
  hostname: "127.0.0.1",
  port: 0,
  fetch(request) {
    heard.push(request);
    if (mood === "busy") return errorResponse(new TydfsError("busy", "All slots are taken"));
    if (mood === "nonsense") return new Response("hello");
    const [, from = "0", to = "0"] = /bytes=(\d+)-(\d+)/.exec(request.headers.get("range") ?? "") ??
      [];
    const part = bytes.slice(Number(from), Number(to) + 1);
    const victim = 2 * MIB - Number(from) + 7;
    if (mood === "wrong") part[victim] = (part[victim] ?? 0) ^ 1;
    if (mood === "well" || mood === "wrong") return new Response(part, { status: 206 });
    return new Response("never", { status: 500 });
  },
});

/** Answers the beginning of a range, and then closes the connection or says nothing more. */
const cutter = createServer((socket) => {
  socket.on("error", () => {});
  socket.once("data", () => {
    socket.write("HTTP/1.1 206 Partial Content\r\nContent-Length: 9999999\r\n\r\n");
    socket.write(bytes.subarray(MIB, 2 * MIB + 9));
    if (mood === "cut") socket.end();
  });
});

let receivers: Receivers;
beforeAll(async () => {
  await new Promise<void>((resolve) => cutter.listen(0, "127.0.0.1", resolve));
  receivers = new Receivers(systemClock, STALL_MS);
});
afterAll(async () => {
  await receivers.close();
  await server.stop(true);
  cutter.close();
});

async function receive(
  path: string,
  options: { wantStart?: number; signal?: AbortSignal; closed?: boolean } = {},
): Promise<{ received: boolean; next: number; error: unknown; file: Uint8Array }> {
  const { wantStart = MIB, signal = new AbortController().signal, closed = false } = options;
  const fd = openSync(path, closed ? "r" : "w+");
  let next = 0;
  let received = false;
  let error: unknown;
  try {
    const file = { fd, path, wantStart, wantEnd: bytes.length, shift: -MIB };
    const isCut = mood === "cut" || mood === "silent";
    const port = isCut ? (cutter.address() as AddressInfo).port : server.port ?? 0;
    received = await receivers.receive({ host: "127.0.0.1", port }, {
      ...{ chunk: CHUNK, ticket: "leave", chunkBytes: bytes.length, sums, file, signal },
      ...{ start: MIB, end: bytes.length, onNext: (at) => next = at },
    });
  } catch (cause) {
    error = cause;
  } finally {
    closeSync(fd);
  }
  return { received, next, error, file: readFileSync(path) };
}

test("a range comes to its place, with its ticket, and without what is not wanted of it", async () => {
  expect(hasPollSockets).toBe(process.platform === "linux");
  using scratch = scratchDirectory();
  mood = "well";
  const whole = await receive(scratch.path("a"));
  expect(whole).toMatchObject({ received: true, next: bytes.length, error: undefined });
  expect(Buffer.from(whole.file).equals(bytes.subarray(MIB))).toBe(true);
  expect(heard.at(-1)?.headers.get(TICKET_HEADER)).toBe("leave");
  const part = await receive(scratch.path("b"), { wantStart: 3 * MIB + 5 });
  expect(Buffer.from(part.file.subarray(2 * MIB + 5)).equals(bytes.subarray(3 * MIB + 5)))
    .toBe(true);
  expect(part.file.subarray(0, 2 * MIB + 5).every((byte) => byte === 0)).toBe(true);
});

test("what is verified before a wrong block stays, and nothing of that block is written", async () => {
  using scratch = scratchDirectory();
  mood = "wrong";
  const { error, next, file } = await receive(scratch.path("a"));
  expect(error).toMatchObject({ code: "corrupt" });
  expect(next).toBe(2 * MIB);
  expect(Buffer.from(file).equals(bytes.subarray(MIB, 2 * MIB))).toBe(true);
});

test("a refusal is the keeper's own; a cut, silence and nonsense have codes of their own", async () => {
  using scratch = scratchDirectory();
  const codes: Record<string, unknown> = {};
  for (const each of ["busy", "cut", "silent", "nonsense"] as const) {
    mood = each;
    const { error } = await receive(scratch.path(each));
    codes[each] = error instanceof TydfsError ? error.code : error;
  }
  expect(codes).toEqual({
    busy: "busy",
    cut: "unavailable",
    silent: "timeout",
    nonsense: "unavailable",
  });
});

test("an abort ends a range that waits, and a file that can't be written is told as local", async () => {
  using scratch = scratchDirectory();
  mood = "silent";
  const stop = new AbortController();
  const aborted = receive(scratch.path("a"), { signal: stop.signal });
  stop.abort(new TydfsError("interrupted", "Interrupted"));
  expect((await aborted).error).toMatchObject({ code: "interrupted" });
  mood = "well";
  await Bun.write(scratch.path("b"), "old");
  const { error, file } = await receive(scratch.path("b"), { closed: true });
  expect(error).toMatchObject({ code: "local" });
  expect(String(error)).toContain(scratch.path("b"));
  expect(Buffer.from(file).toString()).toBe("old");
});

test("more ranges than there are threads come at once, each to its place", async () => {
  using scratch = scratchDirectory();
  mood = "well";
  const names = Array.from({ length: 9 }, (_, at) => `many-${at}`);
  const all = await Promise.all(names.map((name) => receive(scratch.path(name))));
  for (const { received, next, error, file } of all) {
    expect({ received, next, error }).toEqual({
      received: true,
      next: bytes.length,
      error: undefined,
    });
    expect(Buffer.from(file).equals(bytes.subarray(MIB))).toBe(true);
  }
});

test("an abort ends ranges that wait behind silent ones, too, and the threads go on", async () => {
  using scratch = scratchDirectory();
  mood = "silent";
  const stop = new AbortController();
  const names = Array.from({ length: 9 }, (_, at) => `many-${at}`);
  const all = names.map((name) => receive(scratch.path(name), { signal: stop.signal }));
  stop.abort(new TydfsError("interrupted", "Interrupted"));
  const codes = (await Promise.all(all)).map(({ error }) => (error as TydfsError).code);
  expect(codes).toEqual(names.map(() => "interrupted"));
  mood = "well";
  expect(await receive(scratch.path("after"))).toMatchObject({ received: true, error: undefined });
});

test("nobody is there, or has no address of the kind", async () => {
  using scratch = scratchDirectory();
  const wanted = { fd: 0, path: scratch.path("a"), wantStart: 0, wantEnd: MIB, shift: 0 };
  const request = {
    ...{ chunk: CHUNK, ticket: "", chunkBytes: MIB, sums, start: 0, end: MIB, file: wanted },
    ...{ signal: new AbortController().signal, onNext: () => {} },
  };
  const port = 1 + Math.floor(systemRandom.next() * 1000);
  await expect(receivers.receive({ host: "127.0.0.1", port }, request)).rejects.toMatchObject({
    code: "unavailable",
  });
  expect(await receivers.receive({ host: "::1", port }, request)).toBe(false);
});
