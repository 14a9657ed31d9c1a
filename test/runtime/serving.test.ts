/** Contract: slices of files go over HTTP byte for byte, in both directions, and are counted. */
import { expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { connect } from "node:net";
import { makeBytes, makeTemporaryDir, until } from "./fixture.ts";

const local = { port: 0, hostname: "127.0.0.1" } as const;

test("fetch sends exactly a slice of a file, with its content-length", async () => {
  using dir = makeTemporaryDir();
  const bytes = makeBytes(3_000_000);
  writeFileSync(dir.file("source"), bytes);
  await using server = Bun.serve({
    ...local,
    async fetch(request) {
      const body = await request.bytes();
      const isSame = Buffer.compare(body, bytes.subarray(1_000_001, 2_500_000)) === 0;
      return Response.json({ length: request.headers.get("content-length"), isSame });
    },
  });
  const answer = await fetch(server.url, {
    method: "PUT",
    body: Bun.file(dir.file("source")).slice(1_000_001, 2_500_000),
  });
  expect(await answer.json()).toEqual({ length: "1499999", isSame: true });
});

test("a response with a slice of a file delivers exactly it, with the headers given", async () => {
  using dir = makeTemporaryDir();
  const bytes = makeBytes(3_000_000);
  writeFileSync(dir.file("source"), bytes);
  await using server = Bun.serve({
    ...local,
    fetch: () =>
      new Response(Bun.file(dir.file("source")).slice(70_001, 2_000_000), {
        status: 206,
        headers: { "content-range": "bytes 70001-1999999/3000000", "x-sums": "abc" },
      }),
  });
  const answer = await fetch(server.url);
  const body = await answer.bytes();
  expect(answer.status).toBe(206);
  expect(answer.headers.get("content-range")).toBe("bytes 70001-1999999/3000000");
  expect(answer.headers.get("content-length")).toBe("1929999");
  expect(answer.headers.get("x-sums")).toBe("abc");
  expect(Buffer.compare(body, bytes.subarray(70_001, 2_000_000))).toBe(0);
});

test("pendingRequests counts a file on its way, and no longer when the client leaves", async () => {
  using dir = makeTemporaryDir();
  // More than all socket buffers hold
  writeFileSync(dir.file("source"), Buffer.alloc(64 * 2 ** 20, 7));
  await using server = Bun.serve({
    ...local,
    fetch: () => new Response(Bun.file(dir.file("source"))),
  });
  expect(server.pendingRequests).toBe(0);
  const sockets = [1, 2].map(() => connect(server.port ?? 0, "127.0.0.1"));
  for (const socket of sockets) {
    socket.on("error", () => {});
    socket.pause();
    socket.write("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
  }
  await until("both are counted", () => server.pendingRequests === 2);
  sockets[0]?.destroy();
  await until("one is left", () => server.pendingRequests === 1, 2_000);
  sockets[1]?.destroy();
  await until("none is left", () => server.pendingRequests === 0, 2_000);
});

test("pendingRequests drops when a file has been sent whole", async () => {
  using dir = makeTemporaryDir();
  writeFileSync(dir.file("source"), makeBytes(500_000));
  await using server = Bun.serve({
    ...local,
    fetch: () => new Response(Bun.file(dir.file("source"))),
  });
  expect((await (await fetch(server.url)).bytes()).length).toBe(500_000);
  await until("none is left", () => server.pendingRequests === 0, 2_000);
});
