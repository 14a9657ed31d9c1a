/** The bus over a real nats-server: what it bears, what it refuses, and what it tells. */
import { expect, test } from "bun:test";
import { connect } from "@nats-io/transport-node";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import type { AddressInfo, Server as NetServer, Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { systemClock } from "../../src/base/clock.ts";
import { silentLog } from "../../src/base/log.ts";
import type { Bus } from "../../src/wire/bus.ts";
import { connectNats, NatsBus } from "../../src/wire/bus_nats.ts";
import type { TydfsError } from "../../src/wire/errors.ts";

function findNatsServer(): string {
  const built = join(import.meta.dir, "../../.build/nats-server");
  const found = process.env["TYDFS_NATS_SERVER"] ??
    (existsSync(built) ? built : Bun.which("nats-server"));
  if (found === null) {
    throw new Error("No nats-server: set TYDFS_NATS_SERVER, or run ./cluster.sh build");
  }
  return found;
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** Answers each connection as a nats-server does to one that shows no secret in time. */
class LateServer implements AsyncDisposable {
  readonly #server: NetServer;
  tries = 0;

  private constructor() {
    this.#server = createServer((socket) => {
      this.tries++;
      socket.on("error", () => {});
      const info = { server_id: "late", version: "2.9.10", proto: 1, auth_required: true };
      socket.write(`INFO ${JSON.stringify({ ...info, max_payload: 2 ** 20 })}\r\n`);
      socket.once("data", () => socket.end("-ERR 'Authentication Timeout'\r\n"));
    });
  }

  static async start(): Promise<LateServer> {
    const late = new LateServer();
    await new Promise<void>((resolve) => late.#server.listen(0, "127.0.0.1", resolve));
    return late;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await new Promise((resolve) => this.#server.close(resolve));
  }
}

async function until(what: () => boolean | Promise<boolean>): Promise<void> {
  const endMs = systemClock.monotonicMs() + 15_000;
  while (!await what()) {
    if (systemClock.monotonicMs() > endMs) throw new Error(`In vain: ${what}`);
    await systemClock.sleep(50);
  }
}

/** A nats-server whose one user's password may change; it keeps its port. */
class Server {
  readonly #directory = mkdtempSync(join(tmpdir(), "tydfs-bus-"));
  readonly port: number;
  #process: Bun.Subprocess | undefined;

  constructor(port: number) {
    this.port = port;
  }

  async start(password: string): Promise<void> {
    await this.stop();
    const path = join(this.#directory, "nats.conf");
    const user = `{user: keeper, password: "${password}"}`;
    writeFileSync(
      path,
      `host: "127.0.0.1"\nport: ${this.port}\nauthorization { users = [${user}] }\n`,
    );
    const stdio: ["ignore", "ignore", "ignore"] = ["ignore", "ignore", "ignore"];
    this.#process = Bun.spawn([findNatsServer(), "-c", path], { stdio });
    await until(async () => {
      try {
        const socket = { data() {} };
        const hello = await Bun.connect({ hostname: "127.0.0.1", port: this.port, socket });
        hello.terminate();
        return true;
      } catch {
        return false;
      }
    });
  }

  async stop(): Promise<void> {
    this.#process?.kill("SIGKILL");
    await this.#process?.exited;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
    rmSync(this.#directory, { recursive: true, force: true });
  }
}

function joinAs(port: number, secret: string, waitOnFirstConnect = true): Promise<Bus> {
  const url = { role: "keeper", secret, host: "127.0.0.1", port, cluster: "main" } as const;
  return connectNats({ url, name: "k", log: silentLog, connectMs: 2_000, waitOnFirstConnect });
}

test("NatsBus comes back after a spell in which its secret is refused", async () => {
  await using server = new Server(await freePort());
  await server.start("right");
  const bus = await joinAs(server.port, "right");
  bus.subscribe("x", {}, (message) => message.respond(new Uint8Array([7])));
  const answers = async () => {
    try {
      return (await bus.request("x", new Uint8Array(), { timeoutMs: 500 }))[0] === 7;
    } catch {
      return false;
    }
  };
  expect(await answers()).toBe(true);
  await server.start("wrong");
  // Some tries long: the second refusal in a row is the one that NATS's client gives up at.
  await systemClock.sleep(2_500);
  await server.start("right");
  await until(answers);
  await bus.close();
}, 30_000);

test("connectNats refuses a wrong secret at once, also where it would wait for a server", async () => {
  await using server = new Server(await freePort());
  await server.start("right");
  for (const wait of [true, false]) {
    const startMs = systemClock.monotonicMs();
    await expect(joinAs(server.port, "wrong", wait)).rejects.toMatchObject({ code: "denied" });
    expect(systemClock.monotonicMs() - startMs).toBeLessThan(1_500);
  }
});

test("connectNats waits for a server only when told to", async () => {
  await using server = new Server(await freePort());
  await expect(joinAs(server.port, "right", false)).rejects.toMatchObject({ code: "no-master" });
  const waiting = joinAs(server.port, "right");
  await systemClock.sleep(200);
  await server.start("right");
  await (await waiting).close();
});

/** Joins as a command does; `waits` hears for how long it will try. */
function joinBriefly(host: string, port: number, waits: number[]): Promise<Bus> {
  const url = { role: "keeper", secret: "right", host, port, cluster: "main" } as const;
  const retry = { onWait: (ms: number) => void waits.push(ms) };
  return connectNats({ url, name: "c", log: silentLog, connectMs: 2_000, retry });
}

test("connectNats that retries joins a server that comes within its time, and says that it waits", async () => {
  await using server = new Server(await freePort());
  await server.start("right");
  await server.stop();
  const waits: number[] = [];
  const joining = joinBriefly("127.0.0.1", server.port, waits);
  await until(() => Promise.resolve(waits.length > 0));
  await server.start("right");
  await (await joining).close();
  expect(waits).toEqual([2_000]);
});

test("connectNats that retries gives up in its time, and at once on a host that is unknown", async () => {
  const port = await freePort();
  const spentMs = async (host: string) => {
    const startMs = systemClock.monotonicMs();
    await expect(joinBriefly(host, port, [])).rejects.toMatchObject({ code: "no-master" });
    return systemClock.monotonicMs() - startMs;
  };
  const spent = await spentMs("127.0.0.1");
  expect(spent).toBeGreaterThan(1_200);
  expect(spent).toBeLessThan(2_500);
  expect(await spentMs("no-such-host.invalid")).toBeLessThan(1_200);
});

test("connectNats takes a secret that came too late for no wrong one, and tries again", async () => {
  await using late = await LateServer.start();
  const waits: number[] = [];
  await expect(joinBriefly("127.0.0.1", late.port, waits)).rejects.toMatchObject({
    code: "no-master",
  });
  expect(waits).toEqual([2_000]);
  expect(late.tries).toBeGreaterThan(1);
});

test("NatsBus tells of an end that nobody asked for, and of no other", async () => {
  await using server = new Server(await freePort());
  await server.start("right");
  const servers = `127.0.0.1:${server.port}`;
  const ends: TydfsError[] = [];
  const options = { log: silentLog, onClosed: (error: TydfsError) => void ends.push(error) };
  const asked = new NatsBus(await connect({ servers, user: "keeper", pass: "right" }), options);
  await asked.close();
  const connection = await connect({ servers, user: "keeper", pass: "right" });
  const bus = new NatsBus(connection, options);
  await bus.flush();
  expect(ends).toEqual([]);
  await connection.close();
  await until(() => ends.length > 0);
  expect(ends).toMatchObject([{ code: "unavailable" }]);
});

test("connectNats speaks TLS to a server that wants it", async () => {
  const hellos: number[] = [];
  const server = createServer((socket: Socket) => {
    socket.on("error", () => {});
    const info = { server_id: "tls", version: "2.9.10", proto: 1, tls_required: true };
    socket.write(`INFO ${JSON.stringify({ ...info, max_payload: 2 ** 20 })}\r\n`);
    socket.once("data", (bytes: Uint8Array) => {
      hellos.push(bytes[0] ?? -1);
      socket.destroy();
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  try {
    await expect(joinAs(port, "right", false)).rejects.toMatchObject({ code: "no-master" });
    // A record of a TLS handshake begins so; nothing was said in the clear.
    expect(new Set(hellos)).toEqual(new Set([0x16]));
  } finally {
    await new Promise((resolve) => server.close(resolve));
  }
});
