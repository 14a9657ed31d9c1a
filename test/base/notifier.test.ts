/** What the service manager hears, over a real datagram socket. */
import { expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Log, silentLog } from "../../src/base/log.ts";
import type { NotifierEnvironment } from "../../src/base/notifier.ts";
import {
  openNotifier,
  silentNotifier,
  socketAddress,
  watchdogMs,
} from "../../src/base/notifier.ts";
import { ManualClock } from "../manual_clock.ts";
import { DatagramSocket } from "./datagrams.ts";

function temporaryPath(): Disposable & { path: string } {
  const root = mkdtempSync(join(tmpdir(), "tydfs-notify-"));
  const remove = () => rmSync(root, { recursive: true, force: true });
  return { path: join(root, "notify"), [Symbol.dispose]: remove };
}

function open(env: NotifierEnvironment, clock = new ManualClock()) {
  return openNotifier(env, { clock, log: silentLog });
}

test("Notifier says ready, status and stopping to a socket at a path", () => {
  using dir = temporaryPath();
  using socket = new DatagramSocket(dir.path);
  const notifier = open({ NOTIFY_SOCKET: dir.path });
  notifier.status("Waiting\nfor a master");
  notifier.ready("Serving port 7000");
  notifier.stopping();
  notifier.close();
  expect(socket.take()).toEqual([
    "STATUS=Waiting for a master",
    "READY=1\nSTATUS=Serving port 7000",
    "STOPPING=1\nSTATUS=Stopping",
  ]);
});

test("Notifier speaks to a socket in the abstract name space", () => {
  const path = `@tydfs-test-${crypto.randomUUID()}`;
  using socket = new DatagramSocket(path);
  open({ NOTIFY_SOCKET: path }).ready("Up");
  expect(socket.take()).toEqual(["READY=1\nSTATUS=Up"]);
});

test("Notifier keeps the watchdog quiet from ready until close", async () => {
  using dir = temporaryPath();
  using socket = new DatagramSocket(dir.path);
  const clock = new ManualClock();
  const notifier = open({ NOTIFY_SOCKET: dir.path, WATCHDOG_USEC: "10000000" }, clock);
  await clock.advance(20_000);
  expect(socket.take()).toEqual([]);
  notifier.ready("Up");
  expect(socket.take()).toEqual(["READY=1\nSTATUS=Up", "WATCHDOG=1"]);
  await clock.advance(10_000);
  expect(socket.take()).toEqual(["WATCHDOG=1", "WATCHDOG=1"]);
  notifier.close();
  await clock.advance(20_000);
  expect(socket.take()).toEqual([]);
});

test("openNotifier does nothing where no socket is named", () => {
  expect(open({})).toBe(silentNotifier);
  expect(open({ NOTIFY_SOCKET: "" })).toBe(silentNotifier);
  expect(open({ NOTIFY_SOCKET: "relative" })).toBe(silentNotifier);
});

test("Notifier logs once that its socket is gone, and goes on", () => {
  const lines: string[] = [];
  const write = (line: string) => void lines.push(line);
  const log = new Log("x", { level: "info", format: "text", nowMs: () => 0, write });
  const env = { NOTIFY_SOCKET: "/no/such/socket" };
  const notifier = openNotifier(env, { clock: new ManualClock(), log });
  notifier.ready("Up");
  notifier.stopping();
  expect(lines).toEqual([expect.stringContaining("its socket takes no message")]);
});

test("socketAddress refuses what is too long", () => {
  expect(socketAddress(`/${"x".repeat(106)}`)?.length).toBe(2 + 107 + 1);
  expect(socketAddress(`/${"x".repeat(107)}`)).toBeUndefined();
});

test("watchdogMs is for this process only", () => {
  expect(watchdogMs({ WATCHDOG_USEC: "30000000", WATCHDOG_PID: String(process.pid) })).toBe(30_000);
  expect(watchdogMs({ WATCHDOG_USEC: "30000000", WATCHDOG_PID: "1" })).toBeUndefined();
  expect(watchdogMs({ WATCHDOG_USEC: "soon" })).toBeUndefined();
  expect(watchdogMs({})).toBeUndefined();
});
