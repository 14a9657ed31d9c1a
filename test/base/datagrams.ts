/** A unix datagram socket that tests listen on, as systemd does; Bun itself has none. */
import { ptr } from "bun:ffi";
import { must } from "../../src/base/assert.ts";
import { openLibc } from "../../src/base/libc.ts";
import { socketAddress } from "../../src/base/notifier.ts";

const AF_UNIX = 1;
const SOCK_DGRAM_CLOEXEC = 2 | 0o2000000;
const MSG_DONTWAIT = 0x40;

const libc = must(
  openLibc({
    socket: { args: ["i32", "i32", "i32"], returns: "i32" },
    bind: { args: ["i32", "ptr", "u32"], returns: "i32" },
    recv: { args: ["i32", "ptr", "u64", "i32"], returns: "i64" },
    close: { args: ["i32"], returns: "i32" },
  }),
  "a C library",
);

export class DatagramSocket implements Disposable {
  readonly #socket: number;

  /** Listens at a path, or at `@NAME` in the abstract name space. */
  constructor(path: string) {
    const address = must(socketAddress(path), "a path that fits");
    this.#socket = libc.socket(AF_UNIX, SOCK_DGRAM_CLOEXEC, 0);
    const bound = libc.bind(this.#socket, ptr(address), address.length);
    if (bound !== 0) throw new Error(`Cannot bind ${path}`);
  }

  /** All datagrams that have come since the last call. */
  take(): string[] {
    const taken: string[] = [];
    const buffer = new Uint8Array(4096);
    for (;;) {
      const got = libc.recv(this.#socket, ptr(buffer), BigInt(buffer.length), MSG_DONTWAIT);
      const length = Number(got);
      if (length < 0) return taken;
      taken.push(new TextDecoder().decode(buffer.subarray(0, length)));
    }
  }

  [Symbol.dispose](): void {
    libc.close(this.#socket);
  }
}
