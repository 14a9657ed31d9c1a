/** Contract: what the bus relies on of nats-server and its client, with a real server. */
import {
  AuthorizationError,
  connect,
  type ConnectionOptions,
  type NatsConnection,
  NoRespondersError,
  PermissionViolationError,
  RequestError,
} from "@nats-io/transport-node";
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { makeTemporaryDir, until } from "./fixture.ts";

const configuration = `
host: "127.0.0.1"
port: -1
max_payload: 65536
authorization {
  users = [
    { user: master, password: m }
    { user: client, password: c, permissions: {
      publish: ["rpc.>"]
      subscribe: ["_INBOX.>", "event.>"]
    } }
  ]
}`;

function findNatsServer(): string {
  const fetched = join(import.meta.dir, "../../.build/nats-server");
  const fromEnvironment = process.env["TYDFS_NATS_SERVER"];
  if (fromEnvironment !== undefined && fromEnvironment !== "") return fromEnvironment;
  const onPath = Bun.which("nats-server");
  if (onPath !== null) return onPath;
  if (existsSync(fetched)) return fetched;
  throw new Error("Cannot find nats-server: run ./cluster.sh build, which fetches one");
}

describe("NATS", () => {
  const dir = makeTemporaryDir();
  let server: Bun.Subprocess | undefined;
  let servers = "";

  beforeAll(async () => {
    writeFileSync(dir.file("nats.conf"), configuration);
    server = Bun.spawn(
      [findNatsServer(), "-c", dir.file("nats.conf"), "--ports_file_dir", dir.path],
      { stdio: ["ignore", "ignore", "ignore"] },
    );
    const portsFile = () => readdirSync(dir.path).find((name) => name.endsWith(".ports"));
    await until("the ports file is there", () => {
      const name = portsFile();
      return name !== undefined && readFileSync(dir.file(name), "utf8").includes("nats://");
    });
    const ports = JSON.parse(readFileSync(dir.file(portsFile() ?? ""), "utf8")) as {
      nats: string[];
    };
    servers = ports.nats[0] ?? "";
  });

  afterAll(async () => {
    server?.kill();
    await server?.exited;
    dir[Symbol.dispose]();
  });

  const as = (user: string, options: ConnectionOptions = {}): Promise<NatsConnection> =>
    connect({ servers, user, pass: user.slice(0, 1), ...options });

  test("a publish without permission is refused, and reported on the status stream", async () => {
    await using client = await as("client");
    await using master = await as("master");
    let heard = 0;
    master.subscribe("heartbeat.>", {
      callback: () => {
        heard += 1;
      },
    });
    await master.flush();
    const violation = new Promise<Error>((resolve) => {
      (async () => {
        for await (const status of client.status()) {
          if (status.type === "error") resolve(status.error);
        }
      })();
    });
    client.publish("heartbeat.k1", "forged");
    const error = await violation;
    expect(error).toBeInstanceOf(PermissionViolationError);
    expect(error.message).toContain("heartbeat.k1");
    await master.flush();
    expect(heard).toBe(0);
  });

  test("a wrong password is an AuthorizationError at once", async () => {
    const start = performance.now();
    const attempt = as("client", { pass: "wrong" });
    expect(await attempt.then(() => undefined, (error: unknown) => error)).toBeInstanceOf(
      AuthorizationError,
    );
    expect(performance.now() - start).toBeLessThan(1_000);
  });

  test("a request that nobody answers fails at once, not at its time limit", async () => {
    await using client = await as("client");
    const start = performance.now();
    const error = await client.request("rpc.nobody", "", { timeout: 5_000 })
      .then(() => undefined, (cause: unknown) => cause);
    expect(error).toBeInstanceOf(RequestError);
    expect((error as RequestError).isNoResponders()).toBe(true);
    expect((error as Error).cause).toBeInstanceOf(NoRespondersError);
    expect(performance.now() - start).toBeLessThan(1_000);
  });

  test("a queue group hands each request to one member, and spreads them", async () => {
    await using client = await as("client");
    await using master = await as("master");
    await using other = await as("master");
    const counts = [0, 0];
    for (const [index, connection] of [master, other].entries()) {
      connection.subscribe("rpc.spread", {
        queue: "trackers",
        callback: (_error, message) => {
          counts[index] = (counts[index] ?? 0) + 1;
          message.respond(message.data);
        },
      });
      await connection.flush();
    }
    for (let round = 0; round < 100; round += 1) {
      expect((await client.request("rpc.spread", `${round}`)).string()).toBe(`${round}`);
    }
    expect((counts[0] ?? 0) + (counts[1] ?? 0)).toBe(100);
    expect(Math.min(...counts)).toBeGreaterThan(10);
  });

  test("a message beyond the payload limit throws at the sender, who stays connected", async () => {
    await using client = await as("client");
    expect(client.info?.max_payload).toBe(65_536);
    expect(() => client.publish("rpc.x", new Uint8Array(65_537))).toThrow(/max_payload/i);
    client.publish("rpc.x", new Uint8Array(65_536));
    await client.flush();
    expect(client.isClosed()).toBe(false);
  });
});
