/**
 * TCP by the C library, for a thread of its own that does nothing else: bytes go from the kernel
 * straight to where they are wanted, where the runtime's sockets hand out pieces that must be
 * copied. IPv4 on Linux only. It never waits longer than a tick without asking whether to go on.
 */
import { ptr } from "bun:ffi";
import { openLibc } from "./libc.ts";

/** Time in ms after which a waiting call asks whether to go on. */
const TICK_MS = 50;

const [AF_INET, SOCK_STREAM, SOCK_NONBLOCK, SOCK_CLOEXEC] = [2, 1, 0o4000, 0o2000000];
const [POLLIN, POLLOUT] = [1, 4];
const [SOL_SOCKET, SO_ERROR] = [1, 4];
const MSG_NOSIGNAL = 0x4000;
const ADDRESS_BYTES = 16;

const libc = process.platform !== "linux" ? undefined : openLibc({
  socket: { args: ["i32", "i32", "i32"], returns: "i32" },
  connect: { args: ["i32", "ptr", "u32"], returns: "i32" },
  poll: { args: ["ptr", "u64", "i32"], returns: "i32" },
  recv: { args: ["i32", "ptr", "u64", "i32"], returns: "i64" },
  send: { args: ["i32", "ptr", "u64", "i32"], returns: "i64" },
  getsockopt: { args: ["i32", "i32", "i32", "ptr", "ptr"], returns: "i32" },
  close: { args: ["i32"], returns: "i32" },
});

/** Whether this platform has such sockets. */
export const hasPollSockets = libc !== undefined;

/** Asked while a call waits: throws to end it. */
export type Going = () => void;

export class PollSocket {
  readonly #fd: number;
  readonly #poll = new Uint8Array(8);

  private constructor(fd: number) {
    this.#fd = fd;
    new DataView(this.#poll.buffer).setInt32(0, fd, true);
  }

  /** Connects to an IPv4 address. Throws when nobody takes the connection. */
  static connect(address: string, port: number, going: Going): PollSocket {
    if (libc === undefined) throw new Error("no such sockets on this platform");
    const fd = libc.socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) throw new Error("no socket can be made");
    const socket = new PollSocket(fd);
    try {
      const where = new Uint8Array(ADDRESS_BYTES);
      const view = new DataView(where.buffer);
      view.setUint16(0, AF_INET, true);
      view.setUint16(2, port);
      where.set(address.split(".").map(Number), 4);
      // It is under way when this says -1: whether it came about is asked below.
      libc.connect(fd, ptr(where), ADDRESS_BYTES);
      socket.#wait(POLLOUT, going);
      socket.#mustBeWell();
      return socket;
    } catch (error) {
      socket.close();
      throw error;
    }
  }

  /** Sends all of `bytes`. */
  send(bytes: Uint8Array, going: Going): void {
    for (let sent = 0; sent < bytes.length;) {
      this.#wait(POLLOUT, going);
      const count = Number(
        libc?.send(this.#fd, ptr(bytes, sent), bytes.length - sent, MSG_NOSIGNAL),
      );
      if (count < 0) this.#mustBeWell();
      else sent += count;
    }
  }

  /** Receives at most `length` bytes to `at` of `into`; returns how many, 0 at the end. */
  receive(into: Uint8Array, at: number, length: number, going: Going): number {
    for (;;) {
      this.#wait(POLLIN, going);
      const count = Number(libc?.recv(this.#fd, ptr(into, at), length, 0));
      if (count >= 0) return count;
      this.#mustBeWell();
    }
  }

  close(): void {
    libc?.close(this.#fd);
  }

  #wait(events: number, going: Going): void {
    const view = new DataView(this.#poll.buffer);
    for (;;) {
      view.setInt16(4, events, true);
      view.setInt16(6, 0, true);
      going();
      if (Number(libc?.poll(ptr(this.#poll), 1, TICK_MS)) > 0) return;
    }
  }

  /** Throws what the kernel holds against the connection, if anything. */
  #mustBeWell(): void {
    const error = new Int32Array(1);
    const size = new Uint32Array([4]);
    libc?.getsockopt(this.#fd, SOL_SOCKET, SO_ERROR, ptr(error), ptr(size));
    if (error[0] !== 0) throw new Error(`the connection failed with error ${error[0]}`);
  }
}
