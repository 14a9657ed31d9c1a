/**
 * HTTP between simulated machines: it calls the streamer that listens at an address, within the
 * same thread, and takes time for it. Streams break, stall and carry wrong bits as the weather has
 * it; what becomes of a request whose other end has gone is what Bun does (RELIABILITY.md §3).
 */
import * as v from "valibot";
import type { HttpServer } from "../../src/keeper/streamer.ts";
import type {
  ChunkTransport,
  GetChunkRequest,
  PortAddress,
  ProgressRequest,
  PutChunkRequest,
} from "../../src/wire/chunk_http.ts";
import {
  NEED_HEADER,
  OriginAnswer,
  ProgressAnswer,
  PutAnswer,
  TICKET_HEADER,
} from "../../src/wire/chunk_http.ts";
import type { ArchiveTransport } from "../../src/wire/archive_http.ts";
import { ARCHIVE_PREFIX, ArchiveAnswer } from "../../src/wire/archive_http.ts";
import type { StreamControl } from "../../src/keeper/stall_watch.ts";
import { decodeError, TydfsError } from "../../src/wire/errors.ts";
import { ReplyEnvelope } from "../../src/wire/rpc.ts";
import type { Links } from "./links.ts";
import type { SimProcess } from "./process.ts";
import { makeRequest } from "./request.ts";
import type { Trace } from "./trace.ts";

type Answer = (request: Request, control: StreamControl) => Promise<Response>;

/** A streamer's port. */
interface Listener {
  process: SimProcess;
  answer: Answer;
  pending: Set<Call>;
}

/** A piece of a body is no larger. */
const PIECE_BYTES = 256 * 1024;
const CHUNK_PREFIX = "/chunk/";
/** As in `Streamer`. */
const IDLE_MS = 30_000;

/** All ports of a simulated network. */
export class Ports {
  readonly links: Links;
  readonly trace: Trace;
  /** Hears of each PUT that arrives. */
  onPut: (address: PortAddress, chunk: string) => void = () => {};
  /** Hears what a machine gives out when it is asked for a whole chunk. */
  onServed: (node: string, chunk: string, bytes: Uint8Array) => void = () => {};
  readonly #listeners = new Map<string, Listener>();

  constructor(links: Links, trace: Trace) {
    this.links = links;
    this.trace = trace;
  }

  /** Opens a port of `process`, as `Bun.serve` does. */
  listen(process: SimProcess, port: number, answer: Answer): HttpServer {
    const key = `${process.node}:${port}`;
    const listener: Listener = { process, answer, pending: new Set() };
    this.#listeners.set(key, listener);
    const close = () => {
      if (this.#listeners.get(key) === listener) this.#listeners.delete(key);
      for (const call of listener.pending) call.breakOff("the server has gone");
    };
    process.onKill(close);
    return {
      port,
      get pendingRequests() {
        return listener.pending.size;
      },
      stop: (force) => {
        if (force === true) close();
        else this.#listeners.delete(key);
        return Promise.resolve();
      },
    };
  }

  find({ host, port }: PortAddress): Listener | undefined {
    return this.#listeners.get(`${host}:${port}`);
  }
}

/** One request on its way: both ends see its end, each in its own time. */
class Call {
  readonly client: SimProcess;
  readonly listener: Listener;
  readonly #links: Links;
  readonly #gone = new AbortController();
  readonly broken = Promise.withResolvers<never>();
  #over = false;

  constructor(client: SimProcess, listener: Listener, links: Links) {
    this.client = client;
    this.listener = listener;
    this.#links = links;
    this.broken.promise.catch(() => {});
    client.onKill(() => this.leave());
  }

  /** Aborts at the server when the client has gone. */
  get signal(): AbortSignal {
    return this.#gone.signal;
  }

  get over(): boolean {
    return this.#over;
  }

  /** The client goes: the server hears of it, if the link still bears that. */
  leave(): void {
    if (this.#over) return;
    const { process } = this.listener;
    process.after(this.#links.delayMs(), () => {
      if (!this.#links.passes(this.client.node, process.node)) return;
      this.#end();
      this.#gone.abort(new DOMException("The connection was closed", "AbortError"));
    });
  }

  /** The connection breaks, and both ends hear of it. */
  breakOff(reason: string): void {
    if (this.#over) return;
    this.#end();
    const { process } = this.listener;
    if (process.alive) {
      this.#gone.abort(new DOMException("The connection was closed", "AbortError"));
    }
    if (!this.#links.passes(process.node, this.client.node)) return;
    this.client.after(this.#links.delayMs(), () => this.broken.reject(new Error(reason)));
  }

  /** The request is answered. */
  finish(): void {
    this.#end();
  }

  #end(): void {
    this.#over = true;
    this.listener.pending.delete(this);
  }
}

/** Fetches as `process` does. */
export class SimTransport implements ChunkTransport {
  readonly #ports: Ports;
  readonly #process: SimProcess;

  constructor(ports: Ports, process: SimProcess) {
    this.#ports = ports;
    this.#process = process;
  }

  async put(address: PortAddress, request: PutChunkRequest): Promise<PutAnswer> {
    const { chunk, ticket, need, body, signal } = request;
    const bytes = body instanceof Uint8Array ? body : await body.bytes();
    const headers: Record<string, string> = {
      [TICKET_HEADER]: ticket,
      "content-length": String(bytes.length),
    };
    if (need !== undefined) headers[NEED_HEADER] = String(need);
    const facts = { method: "PUT", path: `/chunk/${chunk}`, headers, bytes };
    const answer = await this.#fetch(address, facts, signal);
    return readAnswer(PutAnswer, answer, address);
  }

  async progress(address: PortAddress, request: ProgressRequest): Promise<number> {
    const answer = await this.#get(address, `/progress/${request.chunk}`, request);
    return readAnswer(ProgressAnswer, answer, address).receivedBytes;
  }

  async origin(address: PortAddress, request: ProgressRequest): Promise<OriginAnswer["origin"]> {
    const answer = await this.#get(address, `/origin/${request.chunk}`, request);
    return readAnswer(OriginAnswer, answer, address).origin;
  }

  async ping(address: PortAddress, signal: AbortSignal): Promise<void> {
    await this.#fetch(address, { method: "GET", path: "/health", headers: {} }, signal);
  }

  async get(
    address: PortAddress,
    { chunk, ticket, offset, length, signal }: GetChunkRequest,
  ): Promise<AsyncIterable<Uint8Array>> {
    const range = `bytes=${offset}-${offset + length - 1}`;
    const headers = { [TICKET_HEADER]: ticket, range };
    const answer = await this.#fetch(
      address,
      { method: "GET", path: `/chunk/${chunk}`, headers },
      signal,
    );
    if (answer.status !== 206) throw errorOf(answer, address);
    return this.#pieces(answer, length, address, signal);
  }

  /** The same wires for files of archives. */
  get archive(): ArchiveTransport {
    return {
      put: async (address, { name, ticket, body, signal }) => {
        const bytes = await body.bytes();
        const headers = { [TICKET_HEADER]: ticket, "content-length": String(bytes.length) };
        const facts = { method: "PUT", path: ARCHIVE_PREFIX + name, headers, bytes };
        readAnswer(ArchiveAnswer, await this.#fetch(address, facts, signal), address);
      },
      get: async (address, { name, ticket, firstBytes, signal }) => {
        const headers: Record<string, string> = { [TICKET_HEADER]: ticket };
        if (firstBytes !== undefined) headers["range"] = `bytes=0-${firstBytes - 1}`;
        const facts = { method: "GET", path: ARCHIVE_PREFIX + name, headers };
        const answer = await this.#fetch(address, facts, signal);
        if (answer.status !== 200 && answer.status !== 206) throw errorOf(answer, address);
        return this.#pieces(answer, answer.body.length, address, signal);
      },
    };
  }

  /** Asks for a whole chunk, and does nothing with it. */
  async whole(
    address: PortAddress,
    { chunk, ticket }: { chunk: string; ticket: string },
  ): Promise<void> {
    const facts = { method: "GET", path: `/chunk/${chunk}`, headers: { [TICKET_HEADER]: ticket } };
    const answer = await this.#fetch(address, facts, new AbortController().signal);
    answer.call.finish();
  }

  #get(address: PortAddress, path: string, { ticket, signal }: ProgressRequest): Promise<Fetched> {
    return this.#fetch(
      address,
      { method: "GET", path, headers: { [TICKET_HEADER]: ticket } },
      signal,
    );
  }

  /** Sends a request; resolves with the whole answer when its head has come. */
  #fetch(address: PortAddress, facts: FetchFacts, signal: AbortSignal): Promise<Fetched> {
    if (signal.aborted) return Promise.reject(failure(address, signal, signal.reason));
    return new Promise((resolve, reject) => {
      let call: Call | undefined;
      const onAbort = () => {
        call?.leave();
        reject(failure(address, signal, signal.reason));
      };
      signal.addEventListener("abort", onAbort, { once: true });
      const fail = (cause: unknown) => reject(failure(address, signal, cause));
      this.#travel(address.host, () => {
        if (signal.aborted) return;
        const listener = this.#ports.find(address);
        if (listener === undefined || !listener.process.alive) {
          this.#back(address.host, () => fail(new Error("connection refused")));
          return;
        }
        call = new Call(this.#process, listener, this.#ports.links);
        listener.pending.add(call);
        call.broken.promise.catch(fail);
        if (facts.method === "PUT" && facts.path.startsWith(CHUNK_PREFIX)) {
          this.#ports.onPut(address, facts.path.slice(CHUNK_PREFIX.length));
        }
        this.#serve(call, facts, resolve);
      });
    });
  }

  #serve(call: Call, facts: FetchFacts, resolve: (answer: Fetched) => void): void {
    const { listener } = call;
    const { links, trace } = this.#ports;
    const { node } = listener.process;
    const { method, path, headers, bytes } = facts;
    const cutAnswer = links.chance(links.weather.cut / 2);
    const request = makeRequest({
      ...{ method, headers, signal: call.signal, url: `http://${node}${path}` },
      ...bytes === undefined ? {} : { body: this.#upload(call, bytes) },
    });
    const control: StreamControl = {
      timeout: (_request, seconds) => {
        if (seconds === 0) return;
        listener.process.after(1000 * seconds, () => call.breakOff("the server gave up"));
      },
    };
    if (method === "PUT") trace.note(this.#process.name, "put", `${path} → ${node}`);
    listener.answer(request, control).then(async (response) => {
      const { status } = response;
      const body = await response.bytes();
      if (call.over) return;
      const isWhole = method === "GET" && status === 200 && path.startsWith(CHUNK_PREFIX);
      if (isWhole) this.#ports.onServed(node, path.slice(CHUNK_PREFIX.length), body);
      if (method === "PUT") trace.note(node, "answers", `${path} ${status}`);
      if (cutAnswer) return call.breakOff("the connection was reset");
      // Short answers lie in the socket's buffer; a stream that nobody takes ends for idleness.
      if (status !== 206) call.finish();
      else listener.process.after(IDLE_MS, () => call.breakOff("the connection was idle"));
      this.#back(node, () => resolve({ status, body, call }));
    }, () => call.breakOff("the server failed"));
  }

  /** The body of a PUT as it comes in at the server. */
  async *#upload(call: Call, bytes: Uint8Array): AsyncGenerator<Uint8Array> {
    const { links } = this.#ports;
    const { weather } = links;
    const { process } = call.listener;
    const pieces = Math.max(1, Math.ceil(bytes.length / PIECE_BYTES));
    const bad = { cut: links.chance(weather.cut), stall: links.chance(weather.stall) };
    const flip = links.chance(weather.flip);
    const badPiece = Math.floor(links.random.next() * pieces);
    const broken = new Promise<never>((_, reject) => {
      call.signal.addEventListener("abort", () => reject(call.signal.reason), { once: true });
    });
    broken.catch(() => {});
    for (let index = 0; index < pieces; index++) {
      if (call.over) throw new DOMException("The connection was closed", "AbortError");
      await Promise.race([process.later(links.delayMs(), () => {}), broken]);
      const blocked = !this.#process.alive || !links.passes(this.#process.node, process.node);
      if (blocked || (bad.stall && index === badPiece)) await broken;
      if (bad.cut && index === badPiece) {
        call.breakOff("the connection was reset");
        await broken;
      }
      const piece = bytes.slice(index * PIECE_BYTES, (index + 1) * PIECE_BYTES);
      if (flip && index === badPiece && piece.length > 0) flipBit(piece, links);
      if (piece.length > 0) yield piece;
    }
  }

  /** The body of an answer as it comes in here. */
  async *#pieces(
    { body, call }: Fetched,
    length: number,
    address: PortAddress,
    signal: AbortSignal,
  ): AsyncGenerator<Uint8Array> {
    const { links } = this.#ports;
    const { weather } = links;
    const place = `${address.host}:${address.port}`;
    const broke = (cause?: unknown) =>
      new TydfsError("unavailable", `The stream from ${place} broke`, { cause });
    const bad = { cut: links.chance(weather.cut), stall: links.chance(weather.stall) };
    const flip = links.chance(weather.flip);
    const pieces = Math.max(1, Math.ceil(body.length / PIECE_BYTES));
    const badPiece = Math.floor(links.random.next() * pieces);
    const aborted = new Promise<never>((_, reject) => {
      const onAbort = () => reject(signal.reason);
      signal.addEventListener("abort", onAbort, { once: true });
    });
    aborted.catch(() => {});
    let seen = 0;
    try {
      for (let index = 0; index < pieces; index++) {
        const wait = this.#process.later(links.delayMs(), () => {});
        await Promise.race([wait, aborted, call.broken.promise]);
        const blocked = !links.passes(call.listener.process.node, this.#process.node);
        if (blocked || (bad.stall && index === badPiece)) {
          await Promise.race([aborted, call.broken.promise]);
        }
        if (bad.cut && index === badPiece) throw new Error("the connection was reset");
        const piece = body.slice(index * PIECE_BYTES, (index + 1) * PIECE_BYTES);
        if (flip && index === badPiece && piece.length > 0) flipBit(piece, links);
        seen += piece.length;
        if (seen > length) break;
        if (piece.length > 0) yield piece;
      }
    } catch (cause) {
      throw broke(cause);
    } finally {
      call.finish();
    }
    if (seen === length) return;
    const message = `The stream from ${place} has ${seen} bytes where ${length} are due`;
    throw new TydfsError("unavailable", message);
  }

  /** Does `arrive` at the other machine after a while, if the link bears it then. */
  #travel(node: string, arrive: () => void): void {
    const { links } = this.#ports;
    this.#process.after(links.delayMs(), () => {
      if (links.passes(this.#process.node, node)) arrive();
    });
  }

  /** The same on the way back. */
  #back(node: string, arrive: () => void): void {
    const { links } = this.#ports;
    this.#process.after(links.delayMs(), () => {
      if (links.passes(node, this.#process.node)) arrive();
    });
  }
}

interface FetchFacts {
  method: string;
  path: string;
  headers: Record<string, string>;
  bytes?: Uint8Array;
}

/** An answer whose head has come. */
interface Fetched {
  status: number;
  body: Uint8Array;
  call: Call;
}

function readAnswer<T>(
  schema: v.GenericSchema<unknown, T>,
  answer: Fetched,
  address: PortAddress,
): T {
  if (answer.status !== 200) throw errorOf(answer, address);
  return v.parse(schema, jsonOf(answer));
}

function errorOf(answer: Fetched, { host, port }: PortAddress): TydfsError {
  answer.call.finish();
  try {
    const reply = v.parse(ReplyEnvelope, jsonOf(answer));
    if (!reply.ok) return decodeError(reply);
  } catch {
    // Answered below, as one that does not say why.
  }
  return new TydfsError("unavailable", `Keeper at ${host}:${port} answers ${answer.status}`);
}

function jsonOf({ body }: Fetched): unknown {
  return JSON.parse(new TextDecoder().decode(body));
}

function failure({ host, port }: PortAddress, signal: AbortSignal, cause: unknown): unknown {
  if (signal.aborted && signal.reason instanceof TydfsError) return signal.reason;
  return new TydfsError("unavailable", `Cannot reach the keeper at ${host}:${port}`, { cause });
}

function flipBit(piece: Uint8Array, links: Links): void {
  const at = Math.floor(links.random.next() * piece.length);
  piece[at] = (piece[at] ?? 0) ^ (1 << Math.floor(links.random.next() * 8));
}
