/**
 * The embedded nats-server: comes up, confines each role to its subjects, is restarted, and leaves
 * nothing behind.
 */
import { afterEach, expect, test } from "bun:test";
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { systemClock } from "../../src/base/clock.ts";
import { silentLog } from "../../src/base/log.ts";
import { systemRandom } from "../../src/base/random.ts";
import { NatsServer, type NatsServerOptions } from "../../src/master/nats_server.ts";
import type { Bus } from "../../src/wire/bus.ts";
import { connectNats } from "../../src/wire/bus_nats.ts";
import { hasCode } from "../../src/wire/errors.ts";
import { roleSecret } from "../../src/wire/secrets.ts";
import { subjectsOf } from "../../src/wire/subjects.ts";
import type { Role } from "../../src/wire/url.ts";

const KEY = "ab".repeat(32);
const KEEPER = "cd".repeat(16);
const subjects = subjectsOf("main");
const cleanups: (() => void | Promise<void>)[] = [];

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

function findNatsServer(): string {
  const built = join(import.meta.dir, "../../.build/nats-server");
  const found = process.env["TYDFS_NATS_SERVER"] ??
    (existsSync(built) ? built : Bun.which("nats-server"));
  if (found === null) {
    throw new Error("No nats-server: set TYDFS_NATS_SERVER, or run ./cluster.sh build");
  }
  return found;
}

function makeRoot(): string {
  const root = mkdtempSync(join(tmpdir(), "tydfs-nats-"));
  cleanups.push(() => rmSync(root, { recursive: true, force: true }));
  return root;
}

async function start(root: string, more: Partial<NatsServerOptions> = {}): Promise<NatsServer> {
  const server = await NatsServer.start({
    root,
    cluster: "main",
    clusterKey: KEY,
    host: "127.0.0.1",
    port: 0,
    embedded: Bun.file(findNatsServer()),
    clock: systemClock,
    random: systemRandom,
    log: silentLog,
    onGiveUp: (error) => {
      throw error;
    },
    ...more,
  });
  cleanups.push(() => server.stop());
  return server;
}

async function connectAs(server: NatsServer, role: Role, secret?: string): Promise<Bus> {
  const bus = await connectNats({
    url: {
      role,
      secret: secret ?? roleSecret(KEY, role),
      host: "127.0.0.1",
      port: server.port,
      cluster: "main",
    },
    name: `test-${role}`,
    log: silentLog,
    connectMs: 2_000,
  });
  cleanups.push(() => bus.close());
  return bus;
}

/**
 * Hears on `hearer` what `speaker` publishes on `subject`: true when it arrives before a message
 * that surely does.
 */
async function hears(hearer: Bus, speaker: Bus, subject: string, sure: string): Promise<boolean> {
  const heard: string[] = [];
  const surely = Promise.withResolvers<void>();
  const first = hearer.subscribe(subject, {}, (message) => void heard.push(message.subject));
  const second = hearer.subscribe(sure, {}, () => surely.resolve());
  await hearer.flush();
  speaker.publish(subject, new Uint8Array(1));
  speaker.publish(sure, new Uint8Array(1));
  await speaker.flush();
  await surely.promise;
  // A subscription that was refused is closed already.
  await Promise.allSettled([first.stop(), second.stop()]);
  return heard.length > 0;
}

const bytes = (text: string) => new TextEncoder().encode(text);

test("NatsServer lets each role do its work", async () => {
  const server = await start(makeRoot());
  expect(server.version).toMatch(/^\d+\.\d+\.\d+/);
  const [master, keeper, client] = await Promise.all([
    connectAs(server, "master"),
    connectAs(server, "keeper"),
    connectAs(server, "client"),
  ]);
  const echo = (bus: Bus, subject: string) =>
    bus.subscribe(subject, {}, (message) => message.respond(message.payload));
  echo(master, subjects.rpc("file.stat"));
  echo(master, subjects.report("*", "stored"));
  echo(master, "$SRV.PING");
  echo(keeper, subjects.command(KEEPER, "replicate"));
  await Promise.all([master.flush(), keeper.flush()]);

  const within = { timeoutMs: 2_000 };
  expect(await client.request(subjects.rpc("file.stat"), bytes("a"), within)).toEqual(bytes("a"));
  const stored = subjects.report(KEEPER, "stored");
  expect(await keeper.request(stored, bytes("b"), within)).toEqual(bytes("b"));
  const replicate = subjects.command(KEEPER, "replicate");
  for (let times = 0; times < 3; times++) {
    expect(await master.request(replicate, bytes("c"), within)).toEqual(bytes("c"));
  }
  expect(await client.request("$SRV.PING", bytes("d"), within)).toEqual(bytes("d"));
  const event = subjects.event("put");
  expect(await hears(client, master, event, subjects.event("sure"))).toBe(true);
  expect(await hears(master, keeper, subjects.heartbeat(KEEPER), subjects.report(KEEPER, "x")))
    .toBe(true);
});

test("NatsServer keeps clients from speaking as keepers or as the master", async () => {
  const server = await start(makeRoot());
  const [master, keeper, client] = await Promise.all([
    connectAs(server, "master"),
    connectAs(server, "keeper"),
    connectAs(server, "client"),
  ]);
  const sure = subjects.rpc("sure");
  for (
    const subject of [
      subjects.heartbeat(KEEPER),
      subjects.report(KEEPER, "stored"),
      subjects.command(KEEPER, "delete"),
      subjects.event("put"),
      "tydfs.other.rpc.file.stat",
      "_INBOX_keeper.x.y",
    ]
  ) {
    expect([subject, await hears(master, client, subject, sure)]).toEqual([subject, false]);
  }
  const keeperSure = subjects.report(KEEPER, "sure");
  for (
    const subject of [
      subjects.command(KEEPER, "delete"),
      subjects.rpc("file.remove"),
      "_INBOX_master.x.y",
    ]
  ) {
    expect([subject, await hears(master, keeper, subject, keeperSure)]).toEqual([subject, false]);
  }
});

test("NatsServer keeps roles from reading what is not for them", async () => {
  const server = await start(makeRoot());
  const [master, keeper, client] = await Promise.all([
    connectAs(server, "master"),
    connectAs(server, "keeper"),
    connectAs(server, "client"),
  ]);
  const sure = subjects.event("sure");
  for (
    const subject of [
      "_INBOX_master.x.y",
      "_INBOX_keeper.x.y",
      subjects.heartbeat(KEEPER),
      subjects.report(KEEPER, "joined"),
      subjects.rpc("file.stat"),
    ]
  ) {
    expect([subject, await hears(client, master, subject, sure)]).toEqual([subject, false]);
  }
  const keeperSure = subjects.command(KEEPER, "sure");
  for (const subject of ["_INBOX_master.x.y", "_INBOX_client.x.y", subjects.rpc("file.stat")]) {
    expect([subject, await hears(keeper, master, subject, keeperSure)]).toEqual([subject, false]);
  }
});

test("NatsServer refuses a wrong secret", async () => {
  const server = await start(makeRoot());
  const failure = await connectAs(server, "client", "00".repeat(32)).catch((error: unknown) =>
    error
  );
  expect(hasCode(failure, "denied")).toBe(true);
});

test("NatsServer runs again on its port after it was killed, and roles come back", async () => {
  const server = await start(makeRoot());
  const master = await connectAs(server, "master");
  const back = new Promise<void>((resolve) => master.onReconnect(resolve));
  const oldPid = server.pid;
  process.kill(oldPid, "SIGKILL");
  await back;
  expect(server.pid).not.toBe(oldPid);
  const subject = subjects.rpc("echo");
  master.subscribe(subject, {}, (message) => message.respond(message.payload));
  expect(await master.request(subject, bytes("x"), { timeoutMs: 2_000 })).toEqual(bytes("x"));
});

test("NatsServer ends the one that a killed master left, and takes its port", async () => {
  const root = makeRoot();
  const first = await start(root);
  const { port } = first;
  const config = readFileSync(join(root, "nats.conf"), "utf8");
  await first.stop();
  // What a kill -9 of the master leaves: the server, its configuration and its pid file.
  await Bun.write(join(root, "nats.conf"), config);
  const command = [join(root, "bin/nats-server"), "-c", join(root, "nats.conf")];
  const stale = Bun.spawn(command, { stdio: ["ignore", "ignore", "ignore"] });
  await Bun.write(join(root, "nats.pid"), `${stale.pid}\n`);

  const second = await start(root, { port });
  expect(second.port).toBe(port);
  expect(second.pid).not.toBe(stale.pid);
  await stale.exited;
});

test("NatsServer names the port that is taken, and stops cleanly", async () => {
  const root = makeRoot();
  const server = await start(root);
  const failure = await start(makeRoot(), { port: server.port }).catch((error: unknown) => error);
  expect(hasCode(failure, "local")).toBe(true);
  expect(String(failure)).toContain(`${server.port}`);
  expect(String(failure)).toContain("a nats-server");
  const { pid } = server;
  await server.stop();
  expect(() => process.kill(pid, 0)).toThrow();
  expect(existsSync(join(root, "nats.pid"))).toBe(false);
});

test("NatsServer keeps its secrets to the owner, and unpacks itself once", async () => {
  const root = makeRoot();
  const first = await start(root);
  expect(statSync(join(root, "nats.conf")).mode & 0o777).toBe(0o600);
  expect(readFileSync(join(root, "nats.conf"), "utf8")).toContain(roleSecret(KEY, "client"));
  const unpacked = statSync(join(root, "bin/nats-server"));
  await first.stop();
  await start(root);
  expect(statSync(join(root, "bin/nats-server")).ino).toBe(unpacked.ino);
});
