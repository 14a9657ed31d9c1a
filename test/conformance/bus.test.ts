/** One suite over NATS and the simulated bus: who hears what, who answers, and how it fails. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { silentLog } from "../../src/base/log.ts";
import { seededRandom } from "../../src/base/random.ts";
import type { Bus } from "../../src/wire/bus.ts";
import { connectNats } from "../../src/wire/bus_nats.ts";
import { TydfsError } from "../../src/wire/errors.ts";
import { BusServer } from "../sim/bus.ts";
import { Links } from "../sim/links.ts";
import { SimProcess } from "../sim/process.ts";
import { Trace } from "../sim/trace.ts";
import { VirtualTime } from "../sim/virtual_time.ts";
import { pump } from "./pump.ts";

interface Network {
  connect(): Promise<Bus>;
  stop(): void | Promise<void>;
}

const bytes = (...values: number[]) => new Uint8Array(values);
const within = { timeoutMs: 2_000 };

async function codeOf(task: Promise<unknown>): Promise<string> {
  try {
    await task;
    return "ok";
  } catch (error) {
    return error instanceof TydfsError ? error.code : String(error);
  }
}

function suite(name: string, start: () => Promise<Network>): void {
  describe(name, () => {
    let network: Network;
    let asking: Bus;
    let serving: Bus;
    beforeAll(async () => {
      network = await start();
      asking = await network.connect();
      serving = await network.connect();
    });
    afterAll(async () => {
      await asking.close();
      await serving.close();
      await network.stop();
    });
    /** Waits until both sides have seen what was sent before. */
    const settle = async () => {
      await serving.flush();
      await asking.flush();
      await asking.request("echo.sync", bytes(), within).catch(() => {});
      await serving.flush();
    };

    test("request is answered by who serves the subject", async () => {
      const service = serving.subscribe("a.b", {}, ({ subject, payload, respond }) => {
        expect(subject).toBe("a.b");
        respond(bytes(...payload, 9));
      });
      await settle();
      expect(await asking.request("a.b", bytes(1, 2), within)).toEqual(bytes(1, 2, 9));
      await service.stop();
      await settle();
      expect(await codeOf(asking.request("a.b", bytes(), within))).toBe("unavailable");
    });

    test("request fails by nobody, by time and by its signal", async () => {
      const service = serving.subscribe("mute", {}, () => {});
      await settle();
      expect(await codeOf(asking.request("nobody", bytes(), within))).toBe("unavailable");
      expect(await codeOf(asking.request("mute", bytes(), { timeoutMs: 60 }))).toBe("timeout");
      const stop = new AbortController();
      const asked = asking.request("mute", bytes(), { ...within, signal: stop.signal });
      stop.abort(new TydfsError("interrupted", "Stop"));
      expect(await codeOf(asked)).toBe("interrupted");
      const { signal } = stop;
      expect(await codeOf(asking.request("mute", bytes(), { ...within, signal })))
        .toBe("interrupted");
      await service.stop();
    });

    test("publish is heard by all who listen, and by one of each queue", async () => {
      const heard: string[] = [];
      const listen = (who: string, subject: string, queue?: string) =>
        serving.subscribe(subject, queue === undefined ? {} : { queue }, ({ payload }) => {
          heard.push(`${who}${payload[0]}`);
        });
      const services = [
        ...[listen("one", "x.*"), listen("all", "x.>"), listen("other", "x.b")],
        ...[listen("q", "x.a", "group"), listen("q", "x.a", "group")],
      ];
      await settle();
      for (let no = 0; no < 5; no++) asking.publish("x.a", bytes(no));
      asking.publish("x.a.b", bytes(7));
      await settle();
      expect(heard.filter((each) => each.startsWith("one")).length).toBe(5);
      expect(heard.filter((each) => each.startsWith("all")).length).toBe(6);
      expect(heard.filter((each) => each.startsWith("other"))).toEqual([]);
      expect(heard.filter((each) => each.startsWith("q")).length).toBe(5);
      // Invariant: what one connection sends to one subject comes in order.
      expect(heard.filter((each) => each.startsWith("one"))).toEqual(
        ["one0", "one1", "one2", "one3", "one4"],
      );
      for (const service of services) await service.stop();
    });

    test("a subscription handles as many messages at once as it was told", async () => {
      let running = 0;
      let most = 0;
      const gates: (() => void)[] = [];
      const service = serving.subscribe("slow", { concurrency: 2 }, async ({ respond }) => {
        most = Math.max(most, ++running);
        await new Promise<void>((resolve) => gates.push(resolve));
        running--;
        respond(bytes(1));
      });
      await settle();
      const asked = [1, 2, 3, 4, 5].map(() => asking.request("slow", bytes(), within));
      while (gates.length < 2) await settle();
      expect(running).toBe(2);
      for (let done = 0; done < 5; done++) {
        while (gates.length === 0) await settle();
        gates.shift()?.();
      }
      expect((await Promise.all(asked)).length).toBe(5);
      expect(most).toBe(2);
      await service.stop();
    });

    test("stop waits for handlers that run, and a reply of theirs still comes", async () => {
      const gate = Promise.withResolvers<void>();
      let begun = false;
      const service = serving.subscribe("last", {}, async ({ respond }) => {
        begun = true;
        await gate.promise;
        respond(bytes(5));
      });
      await settle();
      const asked = asking.request("last", bytes(), within);
      while (!begun) await settle();
      const order: string[] = [];
      const stopped = service.stop().then(() => order.push("stopped"));
      await settle();
      order.push("released");
      gate.resolve();
      await stopped;
      expect(order).toEqual(["released", "stopped"]);
      expect(await asked).toEqual(bytes(5));
    });
  });
}

function findNatsServer(): string {
  const built = join(import.meta.dir, "../../.build/nats-server");
  const found = process.env["TYDFS_NATS_SERVER"] ??
    (existsSync(built) ? built : Bun.which("nats-server"));
  if (found !== null) return found;
  throw new Error("No nats-server: set TYDFS_NATS_SERVER, or run ./cluster.sh build");
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

suite("NatsBus", async () => {
  const port = await freePort();
  const directory = mkdtempSync(join(tmpdir(), "tydfs-bus-"));
  const command = [findNatsServer(), "-a", "127.0.0.1", "-p", String(port), "--user", "keeper"];
  const server = Bun.spawn([...command, "--pass", "secret"], {
    stdio: ["ignore", "ignore", "ignore"],
  });
  const url = { role: "keeper", secret: "secret", host: "127.0.0.1", port, cluster: "main" };
  return {
    connect: () =>
      connectNats({
        ...{ url: { ...url, role: "keeper" }, name: "k", log: silentLog },
        ...{ connectMs: 5_000, waitOnFirstConnect: true },
      }),
    stop: async () => {
      server.kill("SIGKILL");
      await server.exited;
      rmSync(directory, { recursive: true, force: true });
    },
  };
});

suite("SimBus", () => {
  const time = new VirtualTime();
  const server = new BusServer(
    ...[time, new Links(seededRandom(3)), new Trace(() => time.nowMs)] as const,
  );
  let connections = 0;
  return Promise.resolve({
    connect: () => {
      const name = `process-${++connections}`;
      const wall = { offsetMs: 0 };
      return Promise.resolve(server.connect(new SimProcess(name, name, time, wall)));
    },
    stop: pump(time),
  });
});
