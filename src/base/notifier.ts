/**
 * Tells a service manager how this process is: sd_notify(3) of systemd, a datagram to the socket
 * that it names. Does nothing where none is named, and never lets the process fail for it: a
 * message that can't be sent is logged.
 */
import { ptr } from "bun:ffi";
import type { Clock, Timer } from "./clock.ts";
import { openLibc } from "./libc.ts";
import type { Log } from "./log.ts";

/** What a service is told at its start; the names are those of the environment. */
export interface NotifierEnvironment {
  NOTIFY_SOCKET?: string | undefined;
  WATCHDOG_USEC?: string | undefined;
  WATCHDOG_PID?: string | undefined;
}

/** How a service speaks of itself. Each message is one line for people. */
export interface Notifier {
  /** Says what the service does now. */
  status(message: string): void;
  /** The service does its work from now on; a watchdog, if there is one, hears that it lives. */
  ready(message: string): void;
  /** The service ends in good order. */
  stopping(): void;
  /** Says no more. */
  close(): void;
}

export interface NotifierEffects {
  clock: Clock;
  log: Log;
}

/** A service that nobody watches. */
export const silentNotifier: Notifier = {
  status: () => {},
  ready: () => {},
  stopping: () => {},
  close: () => {},
};

const AF_UNIX = 1;
const SOCK_DGRAM = 2;
const SOCK_CLOEXEC = 0o2000000;
const MSG_NOSIGNAL = 0x4000;
const MSG_DONTWAIT = 0x40;
/** `sun_family`, then `sun_path`. */
const FAMILY_BYTES = 2;
const PATH_BYTES_MAX = 108;

/** The notifier of this process, as the environment says. */
export function openNotifier(env: NotifierEnvironment, effects: NotifierEffects): Notifier {
  const path = env.NOTIFY_SOCKET ?? "";
  // Only systemd has such sockets, and the constants above are those of Linux.
  if (path === "" || process.platform !== "linux") return silentNotifier;
  const address = socketAddress(path);
  if (address === undefined) {
    effects.log.warn("Cannot tell the service manager anything: this is no socket", { path });
    return silentNotifier;
  }
  return new SocketNotifier(address, watchdogMs(env), effects);
}

/** The address of a unix socket: a path, or `@NAME` in the abstract name space. */
export function socketAddress(path: string): Uint8Array | undefined {
  const bytes = new TextEncoder().encode(path);
  if (!/^[/@]./.test(path) || bytes.length >= PATH_BYTES_MAX) return undefined;
  const isAbstract = path.startsWith("@");
  const address = new Uint8Array(FAMILY_BYTES + bytes.length + (isAbstract ? 0 : 1));
  new DataView(address.buffer).setUint16(0, AF_UNIX, true);
  address.set(bytes, FAMILY_BYTES);
  // An abstract name begins with a zero byte, and is as long as it is told.
  if (isAbstract) address[FAMILY_BYTES] = 0;
  return address;
}

/** The time within which the watchdog wants to hear something; undefined where there is none. */
export function watchdogMs(env: NotifierEnvironment): number | undefined {
  const { WATCHDOG_USEC: time = "", WATCHDOG_PID: pid = "" } = env;
  if (pid !== "" && pid !== String(process.pid)) return undefined;
  const ms = /^\d+$/.test(time) ? Number(time) / 1000 : 0;
  return ms >= 1 ? ms : undefined;
}

class SocketNotifier implements Notifier {
  readonly #address: Uint8Array;
  readonly #watchdogMs: number | undefined;
  readonly #effects: NotifierEffects;
  readonly #libc = openSockets();
  #timer: Timer | undefined;
  #failed = false;

  constructor(address: Uint8Array, watchdogMs: number | undefined, effects: NotifierEffects) {
    this.#address = address;
    this.#watchdogMs = watchdogMs;
    this.#effects = effects;
  }

  status(message: string): void {
    this.#send(`STATUS=${oneLine(message)}`);
  }

  ready(message: string): void {
    this.#send(`READY=1\nSTATUS=${oneLine(message)}`);
    if (this.#watchdogMs === undefined || this.#timer !== undefined) return;
    this.#send("WATCHDOG=1");
    // Half the time, as sd_watchdog_enabled(3) advises.
    this.#timer = this.#effects.clock.every(this.#watchdogMs / 2, () => this.#send("WATCHDOG=1"));
  }

  stopping(): void {
    // The watchdog goes on: an end that hangs is to be noticed too.
    this.#send("STOPPING=1\nSTATUS=Stopping");
  }

  close(): void {
    this.#timer?.stop();
  }

  #send(state: string): void {
    const words = this.#libc === undefined
      ? "no C library with sockets was found"
      : sendDatagram(this.#libc, this.#address, new TextEncoder().encode(state));
    if (words === undefined || this.#failed) return;
    this.#failed = true;
    this.#effects.log.warn(`Cannot tell the service manager anything: ${words}`);
  }
}

function openSockets() {
  return openLibc({
    socket: { args: ["i32", "i32", "i32"], returns: "i32" },
    sendto: { args: ["i32", "ptr", "u64", "i32", "ptr", "u32"], returns: "i64" },
    close: { args: ["i32"], returns: "i32" },
  });
}

/** Sends without waiting; says why when it can't. */
function sendDatagram(
  libc: NonNullable<ReturnType<typeof openSockets>>,
  address: Uint8Array,
  payload: Uint8Array,
): string | undefined {
  const socket = libc.socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (socket < 0) return "no socket can be made";
  try {
    const flags = MSG_NOSIGNAL | MSG_DONTWAIT;
    const length = BigInt(payload.length);
    const sent = libc.sendto(socket, ptr(payload), length, flags, ptr(address), address.length);
    return Number(sent) === payload.length ? undefined : "its socket takes no message";
  } finally {
    libc.close(socket);
  }
}

function oneLine(text: string): string {
  return text.replaceAll("\n", " ");
}
