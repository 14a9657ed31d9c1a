/** Contract: how `Bun.serve` takes an upload to disk, and how a stalled or lost client is seen. */
import { expect, test } from "bun:test";
import { existsSync, readFileSync, statSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { makeBytes, makeTemporaryDir, until } from "./fixture.ts";

type Verdict = "running" | "done" | "failed";

interface Landing {
  server: Bun.Server<undefined>;
  path: string;
  verdict: Verdict;
  request: Request | undefined;
}

/** A server that writes the body of its one request to a file. */
function serveLanding(path: string, idleTimeoutS: number, onStart: (it: Landing) => void): Landing {
  const server = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    idleTimeout: idleTimeoutS,
    async fetch(request) {
      landing.request = request;
      onStart(landing);
      try {
        await Bun.write(path, new Response(request.body));
        landing.verdict = "done";
        return new Response("ok");
      } catch {
        landing.verdict = "failed";
        return new Response("failed", { status: 500 });
      }
    },
  });
  const landing: Landing = { server, path, verdict: "running", request: undefined };
  return landing;
}

function timeoutOf(landing: Landing, seconds: number): void {
  if (landing.request !== undefined) landing.server.timeout(landing.request, seconds);
}

/** A client that sends the head of a PUT, and then only what it is told to. */
async function startPut(landing: Landing, length: number): Promise<Socket> {
  const socket = connect(landing.server.port ?? 0, "127.0.0.1");
  socket.on("error", () => {});
  await new Promise((resolve) => socket.once("connect", resolve));
  socket.write(`PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: ${length}\r\n\r\n`);
  return socket;
}

const sizeOf = (path: string) => existsSync(path) ? statSync(path).size : 0;

test("Bun.write of a request grows the file with each piece that arrives", async () => {
  using dir = makeTemporaryDir();
  const landing = serveLanding(dir.file("body"), 10, () => {});
  const bytes = makeBytes(400_000);
  const socket = await startPut(landing, bytes.length);
  for (let sent = 0; sent < bytes.length; sent += 100_000) {
    socket.write(bytes.subarray(sent, sent + 100_000));
    await until("the piece is in the file", () => sizeOf(landing.path) === sent + 100_000);
  }
  await until("the request is done", () => landing.verdict === "done");
  expect(Buffer.compare(readFileSync(landing.path), bytes)).toBe(0);
  socket.destroy();
  await landing.server.stop(true);
});

test("Bun.write of a request rejects when the client leaves in mid-body", async () => {
  using dir = makeTemporaryDir();
  const landing = serveLanding(dir.file("body"), 10, () => {});
  const socket = await startPut(landing, 1_000_000);
  socket.write(makeBytes(100_000));
  await until("a piece is in the file", () => sizeOf(landing.path) > 0);
  socket.destroy();
  await until("the write is rejected", () => landing.verdict === "failed", 2_000);
  expect(sizeOf(landing.path)).toBeLessThan(1_000_000);
  await landing.server.stop(true);
});

test.concurrent(
  "a slow steady upload outlives idleTimeout by timeout(request, 0) only",
  async () => {
    using dir = makeTemporaryDir();
    const plain = serveLanding(dir.file("plain"), 1, () => {});
    const rearmed = serveLanding(dir.file("rearmed"), 1, (it) => timeoutOf(it, 3));
    const endless = serveLanding(dir.file("endless"), 1, (it) => timeoutOf(it, 0));
    const all = [plain, rearmed, endless];
    const sockets = await Promise.all(all.map((landing) => startPut(landing, 1_000_000)));
    const drip = setInterval(() => {
      for (const socket of sockets) socket.write(makeBytes(1_000));
      timeoutOf(rearmed, 3);
    }, 100);
    try {
      await until("the plain upload is cut", () => plain.verdict === "failed");
      await until("the upload that is re-armed is cut too", () => rearmed.verdict === "failed");
      const size = sizeOf(endless.path);
      await until("the endless upload goes on", () => sizeOf(endless.path) > size + 5_000);
      expect(endless.verdict).toBe("running");
    } finally {
      clearInterval(drip);
      for (const socket of sockets) socket.destroy();
      await Promise.all(all.map((landing) => landing.server.stop(true)));
    }
  },
  20_000,
);

test.concurrent(
  "timeout(request, 1) makes the write of a stalled upload reject within seconds",
  async () => {
    using dir = makeTemporaryDir();
    const landing = serveLanding(dir.file("body"), 255, (it) => timeoutOf(it, 0));
    const socket = await startPut(landing, 1_000_000);
    socket.write(makeBytes(1_000));
    await until("a piece is in the file", () => sizeOf(landing.path) === 1_000);
    timeoutOf(landing, 1);
    await until("the write is rejected", () => landing.verdict === "failed", 8_000);
    socket.destroy();
    await landing.server.stop(true);
  },
  20_000,
);

test("bytes() of a request whose sender goes, or is cut, rejects", async () => {
  const verdicts: string[] = [];
  const server = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    async fetch(request) {
      const { pathname } = new URL(request.url);
      if (pathname === "/silent") server.timeout(request, 1);
      const verdict = await request.bytes().then(({ length }) => `${length}`, () => "failed");
      verdicts.push(`${pathname} ${verdict}`);
      return new Response("ok");
    },
  });
  const put = (path: string, bytes: number, end: (socket: Socket) => void) => {
    const socket = connect(server.port ?? 0, "127.0.0.1", () => {
      const head = `PUT ${path} HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n`;
      socket.write(head + "x".repeat(bytes), () => end(socket));
    });
    socket.on("error", () => {});
    return socket;
  };
  put("/gone", 10, (socket) => socket.destroy());
  put("/reset", 10, (socket) => socket.resetAndDestroy());
  put("/ended", 10, (socket) => socket.end());
  const silent = put("/silent", 10, () => {});
  // No more than was announced is taken.
  put("/long", 2_000, (socket) => socket.end());
  await until("all are over", () => verdicts.length === 5);
  silent.destroy();
  await server.stop(true);
  const failed = ["/ended failed", "/gone failed"];
  expect(verdicts.sort()).toEqual([...failed, "/long 1000", "/reset failed", "/silent failed"]);
}, 20_000);
