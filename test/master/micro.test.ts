/** Trackers answer NATS's service protocol, and count what they do. */
import { afterEach, expect, test } from "bun:test";
import { dirMake } from "../../src/wire/dir.ts";
import { fileRemove } from "../../src/wire/file.ts";
import { codeOf, World } from "./world.ts";

let world: World;
afterEach(() => world.stop());

async function ask(subject: string): Promise<Record<string, unknown>> {
  const bytes = await world.bus.request(subject, new Uint8Array(), { timeoutMs: 1_000 });
  return JSON.parse(new TextDecoder().decode(bytes)) as Record<string, unknown>;
}

test("a tracker answers PING, INFO and STATS, for all, by name and by instance", async () => {
  world = await World.start();
  await world.ask(dirMake, { path: "/a", parents: false, owner: "ann" });
  expect(await codeOf(world.ask(fileRemove, { path: "/b", recursive: false }))).toBe("not-found");

  const ping = await ask("$SRV.PING");
  expect(ping).toMatchObject({
    type: "io.nats.micro.v1.ping_response",
    name: "tydfs-tracker",
    version: "0.0.0",
  });
  expect(await ask("$SRV.PING.tydfs-tracker")).toEqual(ping);
  expect(await ask(`$SRV.PING.tydfs-tracker.${ping["id"]}`)).toEqual(ping);

  const info = await ask("$SRV.INFO.tydfs-tracker");
  expect(info["endpoints"]).toContainEqual({
    name: "dir-make",
    subject: "tydfs.main.rpc.dir.make",
    queue_group: "trackers",
    metadata: {},
  });
  const stats = await ask("$SRV.STATS");
  const endpoints = stats["endpoints"] as Record<string, unknown>[];
  const one = (name: string) => endpoints.find((endpoint) => endpoint["name"] === name);
  expect(one("dir-make")).toMatchObject({ num_requests: 1, num_errors: 0, last_error: "" });
  expect(one("file-remove")).toMatchObject({ num_requests: 1, num_errors: 1 });
  expect(String(one("file-remove")?.["last_error"])).toContain("/b");
});
