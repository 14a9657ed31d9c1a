/** Ranges over own sockets: given up by their signal at any time, and nothing left open. */
import { expect, test } from "bun:test";
import { dlopen, ptr } from "bun:ffi";
import { createServer } from "node:net";
import type { AddressInfo, Socket } from "node:net";
import { systemClock } from "../../src/base/clock.ts";
import { openRange } from "../../src/wire/range_socket.ts";

const { symbols: libc } = dlopen("libc.so.6", {
  socket: { args: ["i32", "i32", "i32"], returns: "i32" },
  bind: { args: ["i32", "ptr", "u32"], returns: "i32" },
  listen: { args: ["i32", "i32"], returns: "i32" },
  getsockname: { args: ["i32", "ptr", "ptr"], returns: "i32" },
  close: { args: ["i32"], returns: "i32" },
});

const AF_INET = 2;
const SOCK_STREAM = 1;

/** A socket that listens and whose backlog is full: the kernel drops what else would connect. */
async function deafListener() {
  const handle = libc.socket(AF_INET, SOCK_STREAM, 0);
  // sockaddr_in: family, port 0 (any), 127.0.0.1
  const address = new Uint8Array(16);
  address.set([AF_INET, 0, 0, 0, 127, 0, 0, 1]);
  expect(libc.bind(handle, ptr(address), 16)).toBe(0);
  expect(libc.listen(handle, 0)).toBe(0);
  libc.getsockname(handle, ptr(address), ptr(new Uint32Array([16])));
  const port = new DataView(address.buffer).getUint16(2);
  const fillers: Promise<Bun.Socket>[] = [];
  for (let n = 0; n < 4; n++) {
    const socket = { data() {}, error() {}, connectError() {} };
    const filler = Bun.connect({ hostname: "127.0.0.1", port, socket });
    filler.catch(() => {});
    fillers.push(filler);
  }
  await systemClock.sleep(50);
  return {
    port,
    [Symbol.dispose]() {
      libc.close(handle);
      for (const filler of fillers) void filler.then((socket) => socket.terminate(), () => {});
    },
  };
}

async function until(what: () => boolean): Promise<void> {
  const endMs = systemClock.monotonicMs() + 5_000;
  while (!what()) {
    if (systemClock.monotonicMs() > endMs) throw new Error(`In vain: ${what}`);
    await systemClock.sleep(5);
  }
}

test("openRange ends by its signal while the host does not answer the connection", async () => {
  using listener = await deafListener();
  const stop = new AbortController();
  const startMs = systemClock.monotonicMs();
  const { port } = listener;
  const opening = openRange({
    ...{ host: "127.0.0.1", port, path: "/x", headers: {}, signal: stop.signal },
  });
  opening.catch(() => {});
  systemClock.after(100, () => stop.abort(new Error("given up")));
  await expect(opening).rejects.toThrow("given up");
  expect(systemClock.monotonicMs() - startMs).toBeLessThan(900);
});

test("openRange that was given up sends nothing should it still connect", async () => {
  const heard: string[] = [];
  const open = new Set<Socket>();
  let connections = 0;
  const server = createServer((socket) => {
    connections++;
    open.add(socket);
    socket.on("data", (piece) => heard.push(piece.toString()));
    socket.on("error", () => {});
    socket.on("close", () => open.delete(socket));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  const stop = new AbortController();
  const opening = openRange({
    ...{ host: "127.0.0.1", port, path: "/x", headers: {}, signal: stop.signal },
  });
  stop.abort(new Error("given up"));
  await expect(opening).rejects.toThrow("given up");
  await until(() => connections === 1);
  await until(() => open.size === 0);
  expect(heard).toEqual([]);
  server.close();
});

test("openRange of a port where nobody listens says so at once", async () => {
  const { signal } = new AbortController();
  const opening = openRange({ host: "127.0.0.1", port: 1, path: "/x", headers: {}, signal });
  await expect(opening).rejects.toThrow();
});
