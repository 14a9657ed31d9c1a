/** An operator's own NATS server: what the master asks of it, and the whole cluster over it. */
import { afterAll, expect, test } from "bun:test";
import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { MIB, sameBytes, TestCluster, until } from "./harness.ts";

const directory = mkdtempSync(join(tmpdir(), "tydfs-nats-"));
const servers: Bun.Subprocess[] = [];
let cluster: TestCluster | undefined;

afterAll(async () => {
  await cluster?.stop();
  for (const server of servers) {
    server.kill("SIGTERM");
    await server.exited;
  }
  rmSync(directory, { recursive: true });
});

/** Starts a nats-server with this configuration on a free port; returns the port. */
async function startServer(name: string, configuration: string): Promise<string> {
  const binary = process.env["TYDFS_NATS_SERVER"] ?? Bun.which("nats-server") ??
    resolve(".build/nats-server");
  const config = join(directory, `${name}.conf`);
  const log = join(directory, `${name}.log`);
  writeFileSync(config, `host: 127.0.0.1\nport: -1\nlog_file: "${log}"\n${configuration}`);
  const server = Bun.spawn([binary, "-c", config], { stdout: "ignore", stderr: "ignore" });
  servers.push(server);
  let port: string | undefined;
  await until("the nats-server listens", () => {
    if (server.exitCode !== null) throw new Error(`nats-server ended with ${server.exitCode}`);
    const text = Bun.file(log).size > 0 ? readFileSync(log, "utf8") : "";
    port = /Listening for client connections on 127\.0\.0\.1:(\d+)/.exec(text)?.[1];
    return port !== undefined;
  });
  return port ?? "";
}

test(
  "an operator's own server: refused until it knows the users, then all works over it",
  async () => {
    const masterArgs: string[] = [];
    cluster = new TestCluster({ masterArgs });
    const closed = await startServer("closed", "authorization { user: a, password: b }\n");
    const refused = await cluster.role([
      ...["master", "--data", cluster.masterDir, "--nats", `nats://127.0.0.1:${closed}`],
    ]);
    expect(refused.exit).toBe(8);
    const users = join(cluster.masterDir, "nats-users.conf");
    const refusal = JSON.parse(refused.stderr.trim().split("\n").at(-1) ?? "").message;
    expect(refusal).toContain(`copy "${users}"`);
    expect(refusal).toContain('include "nats-users.conf"');

    copyFileSync(users, join(directory, "nats-users.conf"));
    const port = await startServer("open", 'include "nats-users.conf"\n');
    masterArgs.push("--nats", `nats://127.0.0.1:${port}`);
    await cluster.startMaster();
    expect(cluster.clientUrl).toContain(`:${port}`);
    await Promise.all([1, 2, 3].map((k) => cluster?.startKeeper(k)));
    await cluster.untilAlive(3);
    const source = cluster.file("a.bin", 5 * MIB);
    await cluster.ok("put", source, "/a");
    await cluster.ok("get", "/a", join(cluster.dir, "back"));
    expect(await sameBytes(source, join(cluster.dir, "back"))).toBe(true);
    const url = cluster.clientUrl.replace(/:[^:@]*@/, ":wrong@");
    expect((await cluster.run(["ls", "--url", url])).exit).toBe(8);
    expect(await cluster.killMaster("SIGTERM")).toBe(0);
  },
  60_000,
);

test("a server that is not there is named", async () => {
  const data = join(directory, "none");
  const spare = new TestCluster();
  const args = ["master", "--data", data, "--nats", "nats://127.0.0.1:1"];
  const outcome = await spare.role(args).finally(() => spare.stop());
  expect(outcome.exit).toBe(5);
  expect(outcome.stderr).toContain("127.0.0.1:1");
});
