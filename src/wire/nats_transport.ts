/**
 * The bytes to and from a NATS server, over a plain socket of the runtime. The client library's own
 * transport stands on `node:net`, which costs each thread milliseconds at its start, megabytes, and
 * work for each message. TLS is not spoken here: `TlsWanted` says that the server would have it.
 */
import type { ConnectionOptions, Server, ServerInfo, Transport } from "@nats-io/nats-core/internal";
import { checkOptions, errors, extractProtocolMessage, INFO } from "@nats-io/nats-core/internal";
import packageJson from "../../package.json" with { type: "json" };
import { MIB } from "../base/bytes.ts";

/** The server wants TLS, or offers it. */
export class TlsWanted extends Error {
  override name = "TlsWanted";
}

/** Bytes that may wait for a socket that takes none; with more the connection is given up. */
const UNSENT_MAX_BYTES = 64 * MIB;

/** One connection of the client library; it makes a new one for each try. */
export class SocketTransport implements Transport {
  readonly lang = "nats.js";
  readonly version: string = packageJson.dependencies["@nats-io/nats-core"];
  closeError?: Error;
  #socket: Bun.Socket | undefined;
  #state: "dialling" | "connected" | "closed" = "dialling";
  /** What came in and was not taken yet: the library takes all of it at once. */
  #received: Uint8Array[] = [];
  #unsent: Uint8Array[] = [];
  #unsentBytes = 0;
  #arrived = Promise.withResolvers<void>();
  readonly #ended = Promise.withResolvers<void | Error>();

  /** Whether nothing goes in or out any more. */
  get isClosed(): boolean {
    return this.#state === "closed";
  }

  /** Connects and hears the server's first words. Throws `TlsWanted`, or why it can't. */
  async connect({ hostname, port }: Server, options: ConnectionOptions): Promise<void> {
    try {
      const socket = await Bun.connect({
        hostname,
        port,
        socket: {
          data: (_socket, bytes) => this.#take(bytes),
          drain: () => this.#flush(),
          error: (_socket, error) => void (this.closeError ??= error),
          close: () => this.#end(this.closeError),
        },
      });
      this.#socket = socket;
      // It may have been given up meanwhile.
      if (this.isClosed) throw new errors.ConnectionError("connection closed");
      socket.setNoDelay(true);
      const info = await this.#firstWords();
      checkOptions(info, options);
      const { tls_required: required, tls_available: available } = info;
      if (required === true || (available === true && options.tls !== null)) {
        throw new TlsWanted("The NATS server wants TLS");
      }
      this.#state = "connected";
    } catch (error) {
      this.discard();
      const isRefused = error instanceof Error && "code" in error && error.code === "ECONNREFUSED";
      if (!isRefused) throw error;
      throw new errors.ConnectionError("connection refused", { cause: error });
    }
  }

  /** What comes in, until the end; to be asked for once. */
  async *[Symbol.asyncIterator](): AsyncIterableIterator<Uint8Array> {
    for (;;) {
      const received = this.#received;
      this.#received = [];
      yield* received;
      if (this.#received.length > 0) continue;
      if (this.isClosed) return;
      await this.#arrived.promise;
    }
  }

  isEncrypted(): boolean {
    return false;
  }

  /** Sends bytes, or keeps them until the socket takes more. */
  send(frame: Uint8Array): void {
    if (this.#socket === undefined || this.isClosed) return;
    const sent = this.#unsent.length === 0 ? Math.max(0, this.#socket.write(frame)) : 0;
    if (sent === frame.length) return;
    this.#unsent.push(frame.subarray(sent));
    this.#unsentBytes += frame.length - sent;
    if (this.#unsentBytes <= UNSENT_MAX_BYTES) return;
    const state = `the server takes no more, and ${this.#unsentBytes} bytes wait`;
    this.#end(new errors.ConnectionError(state));
  }

  /** Ends it; without an error what was sent still goes out. */
  close(error?: Error): Promise<void> {
    const gracefully = error === undefined;
    if (gracefully) this.#socket?.end();
    this.#end(error, gracefully);
    return Promise.resolve();
  }

  disconnect(): void {
    this.#end(undefined);
  }

  /** Resolves when a connection that was there has ended; never when there was none. */
  closed(): Promise<void | Error> {
    return this.#ended.promise;
  }

  /** Lets go of it without telling. */
  discard(): void {
    this.#state = "closed";
    this.#received = [];
    this.#unsent = [];
    this.#arrived.resolve();
    this.#socket?.terminate();
    this.#socket = undefined;
  }

  #take(bytes: Uint8Array): void {
    if (this.isClosed) return;
    this.#received.push(bytes);
    const arrived = this.#arrived;
    this.#arrived = Promise.withResolvers<void>();
    arrived.resolve();
  }

  #flush(): void {
    while (this.#socket !== undefined) {
      const [frame] = this.#unsent;
      if (frame === undefined) return;
      const sent = Math.max(0, this.#socket.write(frame));
      this.#unsentBytes -= sent;
      if (sent < frame.length) {
        this.#unsent[0] = frame.subarray(sent);
        return;
      }
      this.#unsent.shift();
    }
  }

  /** The server introduces itself unasked; the library reads that once more. */
  async #firstWords(): Promise<ServerInfo> {
    for (;;) {
      const line = extractProtocolMessage(Buffer.concat(this.#received));
      const words = line === "" ? undefined : INFO.exec(line)?.[1];
      if (words !== undefined) return JSON.parse(words) as ServerInfo;
      if (line !== "") throw new errors.ConnectionError("unexpected response from server");
      if (this.isClosed) throw this.closeError ?? new errors.ConnectionError("connection closed");
      await this.#arrived.promise;
    }
  }

  #end(error: Error | undefined, gracefully = false): void {
    if (this.isClosed) return;
    if (this.#state === "dialling") {
      if (error !== undefined) this.closeError ??= error;
      return this.discard();
    }
    if (error !== undefined) this.closeError = error;
    this.#state = "closed";
    this.#unsent = [];
    if (!gracefully) this.#socket?.terminate();
    this.#socket = undefined;
    this.#arrived.resolve();
    this.#ended.resolve(error);
  }
}
