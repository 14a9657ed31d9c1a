/** The socket under the bus: what is sent arrives whole and in order, and each end is told once. */
import { afterEach, expect, test } from "bun:test";
import type { ConnectionOptions, Server } from "@nats-io/nats-core/internal";
import { SocketTransport, TlsWanted } from "../../src/wire/nats_transport.ts";

const INFO = `INFO ${JSON.stringify({ version: "2.10.0", proto: 1, max_payload: 1024 })}\r\n`;
const servers: { stop(force: boolean): void }[] = [];
afterEach(() => servers.splice(0).forEach((server) => server.stop(true)));

/** A server that says `hello`, takes bytes only while it is told to, and hands its socket out. */
function serve(hello: string, hear: (bytes: Uint8Array) => void = () => {}) {
  const joined = Promise.withResolvers<Bun.Socket>();
  const server = Bun.listen({
    hostname: "127.0.0.1",
    port: 0,
    socket: {
      open(socket) {
        socket.write(hello);
        joined.resolve(socket);
      },
      data: (_socket, bytes) => hear(bytes),
    },
  });
  servers.push(server);
  return {
    address: { hostname: "127.0.0.1", port: server.port } as Server,
    joined: joined.promise,
  };
}

const options = {} as ConnectionOptions;

async function nextOf(transport: AsyncIterator<Uint8Array>): Promise<string> {
  return new TextDecoder().decode((await transport.next()).value as Uint8Array);
}

test("SocketTransport gives the server's first words to the library, also in pieces", async () => {
  const { address, joined } = serve(INFO.slice(0, 9));
  const transport = new SocketTransport();
  const connecting = transport.connect(address, options);
  const peer = await joined;
  await Bun.sleep(5);
  peer.write(INFO.slice(9));
  await connecting;
  const frames = transport[Symbol.asyncIterator]();
  let text = "";
  while (text.length < INFO.length) text += await nextOf(frames);
  expect(text).toBe(INFO);
  peer.write("PING\r\n");
  expect(await nextOf(frames)).toBe("PING\r\n");
  await transport.close();
});

test("SocketTransport sends what a slow server could not take at once, whole and in order", async () => {
  const hasher = new Bun.CryptoHasher("sha256");
  const wanted = new Bun.CryptoHasher("sha256");
  let heard = 0;
  const { address, joined } = serve(INFO, (bytes) => {
    heard += bytes.length;
    hasher.update(bytes);
  });
  const transport = new SocketTransport();
  await transport.connect(address, options);
  const peer = await joined;
  peer.pause();
  const frames = Array.from({ length: 40 }, (_, n) => new Uint8Array(500_000 + n).fill(n));
  for (const frame of frames) {
    wanted.update(frame);
    transport.send(frame);
  }
  await Bun.sleep(20);
  peer.resume();
  const total = frames.reduce((sum, frame) => sum + frame.length, 0);
  const endMs = performance.now() + 10_000;
  while (heard < total && performance.now() < endMs) await Bun.sleep(5);
  expect(heard).toBe(total);
  expect(hasher.digest("hex")).toBe(wanted.digest("hex"));
  await transport.close();
});

test("SocketTransport gives up a server that takes nothing at all", async () => {
  const { address, joined } = serve(INFO);
  const transport = new SocketTransport();
  await transport.connect(address, options);
  (await joined).pause();
  for (let n = 0; n < 100 && !transport.isClosed; n++) transport.send(new Uint8Array(1_000_000));
  const reason = await transport.closed();
  expect(reason instanceof Error ? reason.message : "").toContain("takes no more");
});

test("SocketTransport tells the end of a connection once, after what came before it", async () => {
  const { address, joined } = serve(INFO);
  const transport = new SocketTransport();
  await transport.connect(address, options);
  const peer = await joined;
  peer.write("-ERR 'Authorization Violation'\r\n");
  peer.end();
  await transport.closed();
  let text = "";
  for await (const frame of transport) text += new TextDecoder().decode(frame);
  expect(text).toBe(`${INFO}-ERR 'Authorization Violation'\r\n`);
  expect(transport.isClosed).toBe(true);
  transport.send(new Uint8Array(1));
  await transport.close();
});

test("SocketTransport says what keeps it from connecting", async () => {
  const { address } = serve(INFO);
  servers.splice(0).forEach((server) => server.stop(true));
  await expect(new SocketTransport().connect(address, options)).rejects.toThrow("refused");

  const foreign = serve("HTTP/1.1 400 Bad Request\r\n\r\n");
  await expect(new SocketTransport().connect(foreign.address, options)).rejects.toThrow(
    "unexpected response",
  );
  const required = serve(INFO.replace("{", `{"tls_required":true,`));
  await expect(new SocketTransport().connect(required.address, options)).rejects.toThrow(TlsWanted);
  const offered = serve(INFO.replace("{", `{"tls_available":true,`));
  await expect(new SocketTransport().connect(offered.address, options)).rejects.toThrow(TlsWanted);
});

test("SocketTransport that is discarded while it waits ends its wait", async () => {
  const { address, joined } = serve("");
  const transport = new SocketTransport();
  const connecting = transport.connect(address, options);
  await joined;
  transport.discard();
  await expect(connecting).rejects.toThrow("connection closed");
});
