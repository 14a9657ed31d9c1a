/**
 * The streamer: one TCP port of a keeper, in a thread of its own. Takes chunks in and gives them
 * out, on tickets only, and answers every request with bytes or a code. It shares the disk, the
 * port table and the locks with its siblings.
 */
import { AssertionError } from "../base/assert.ts";
import type { Clock, Timer } from "../base/clock.ts";
import type { Log } from "../base/log.ts";
import type { Random } from "../base/random.ts";
import { randomHex } from "../base/random.ts";
import type { Archive } from "../chunks/archive.ts";
import type { ChunkStore } from "../chunks/chunk_store.ts";
import type { Disk } from "../chunks/disk.ts";
import type { PortTable } from "../tables/port_table.ts";
import { ARCHIVE_BYTES_MAX, ARCHIVE_PREFIX, archiveNameIn } from "../wire/archive_http.ts";
import type {
  ChunkTransport,
  OriginAnswer,
  ProgressAnswer,
  PutAnswer,
} from "../wire/chunk_http.ts";
import { errorResponse, TICKET_HEADER } from "../wire/chunk_http.ts";
import { TydfsError, wrapError } from "../wire/errors.ts";
import { isId } from "../wire/ids.ts";
import type { Ticket } from "../wire/ticket.ts";
import { openTicket } from "../wire/ticket.ts";
import { giveArchive, takeArchive } from "./archive_landing.ts";
import type { ChainLimits } from "./chain.ts";
import { Chain, CHAIN_LIMITS } from "./chain.ts";
import type { IncomingPut } from "./landing.ts";
import { Landing } from "./landing.ts";
import type { Reporter } from "./reporter.ts";
import type { ServingOptions } from "./serving.ts";
import { serveChunk } from "./serving.ts";
import type { StallLimits, StreamControl } from "./stall_watch.ts";
import { STALL_LIMITS } from "./stall_watch.ts";

/** What a streamer needs of its port's server. */
export type HttpServer = Pick<Bun.Server<undefined>, "port" | "pendingRequests" | "stop">;

export interface StreamerOptions {
  keeperId: string;
  ticketKey: string;
  /** This streamer's row in the keeper's own table. */
  row: number;
  slots: number;
  ports: PortTable;
  store: ChunkStore;
  disk: Disk;
  archive: Archive;
  transport: ChunkTransport;
  reporter: Reporter;
  clock: Clock;
  random: Random;
  log: Log;
  /** An invariant broke: the process must end. */
  onBroken: (error: AssertionError) => void;
  stallLimits?: StallLimits;
  chainLimits?: ChainLimits;
  /** Opens the port: `Bun.serve`, unless a simulator takes its place. */
  serve?: (options: Parameters<typeof Bun.serve<undefined>>[0]) => HttpServer;
}

const TICK_MS = 100;
/** A connection on which nothing moves is closed; uploads have a watch of their own. */
const IDLE_SECONDS = 30;
const DRAIN_POLL_MS = 20;
/** Short chunks that came without a slot, under way at once, for each slot of the port. */
const SHORT_PER_SLOT = 16;
const CHUNK_PREFIX = "/chunk/";
const ORIGIN_PREFIX = "/origin/";
const PROGRESS_PREFIX = "/progress/";

export class Streamer {
  readonly #options: StreamerOptions;
  readonly #landing: Landing;
  readonly #serving: ServingOptions;
  #server: HttpServer | undefined;
  #ticker: Timer | undefined;
  #stopping = false;
  /** PUTs under way for which the master took no slot: small chunks only. */
  #short = 0;

  constructor(options: StreamerOptions) {
    const { transport, clock, log, stallLimits, chainLimits } = options;
    this.#options = options;
    const chain = new Chain(transport, clock, log, chainLimits ?? CHAIN_LIMITS);
    this.#landing = new Landing({ ...options, chain, limits: stallLimits ?? STALL_LIMITS });
    this.#serving = options;
  }

  /** Listens on `port` (0: any free one) and returns it. Throws `local` when it is taken. */
  listen(hostname: string, port: number): number {
    const { ports, row, slots, clock, serve = Bun.serve<undefined> } = this.#options;
    try {
      this.#server = serve({
        hostname,
        port,
        reusePort: false,
        idleTimeout: IDLE_SECONDS,
        // Whatever is announced must be what the ticket says; this is for what has no ticket yet.
        maxRequestBodySize: ARCHIVE_BYTES_MAX,
        fetch: (request, server) => this.answer(request, server),
        error: (error) => this.#refuse(error),
      });
    } catch (cause) {
      const message = `Cannot listen on ${hostname}:${port}: ` +
        `${cause instanceof Error ? cause.message : String(cause)}; choose another with --port`;
      throw new TydfsError("local", message, { cause });
    }
    const taken = this.#server.port ?? port;
    ports.open(row, taken, slots);
    this.#ticker = clock.every(TICK_MS, () => this.#tick());
    return taken;
  }

  /** Answers one request, whatever it is; never throws. */
  async answer(request: Request, control: StreamControl): Promise<Response> {
    try {
      return await this.#route(request, control);
    } catch (error) {
      return this.#refuse(error);
    }
  }

  /** Takes no new streams, and gives those under way `drainMs`. */
  async stop(drainMs: number): Promise<void> {
    const { clock, ports, row, reporter, log } = this.#options;
    this.#stopping = true;
    const deadlineMs = clock.monotonicMs() + drainMs;
    void this.#server?.stop(false);
    let idle = false;
    void this.#landing.idle().then(() => reporter.idle()).then(() => idle = true);
    const streams = () => this.#server?.pendingRequests ?? 0;
    while (!(idle && streams() === 0) && clock.monotonicMs() < deadlineMs) {
      await clock.sleep(DRAIN_POLL_MS);
    }
    if (streams() > 0) log.warn("Cut streams that did not end in time", { left: streams() });
    this.#ticker?.stop();
    await this.#server?.stop(true);
    ports.close(row);
  }

  #tick(): void {
    const { ports, row } = this.#options;
    ports.setStreams(row, this.#streams);
    ports.tick(row);
  }

  /** Requests under way, but for those that are gone in a moment. */
  get #streams(): number {
    return Math.max(0, (this.#server?.pendingRequests ?? 0) - this.#short);
  }

  async #route(request: Request, control: StreamControl): Promise<Response> {
    const url = new URL(request.url);
    if (url.pathname === "/health") return new Response("ok\n");
    if (url.pathname.startsWith(ORIGIN_PREFIX) && request.method === "GET") {
      return await this.#answerOrigin(request, parseId(url.pathname.slice(ORIGIN_PREFIX.length)));
    }
    if (url.pathname.startsWith(PROGRESS_PREFIX) && request.method === "GET") {
      return this.#answerProgress(request, parseId(url.pathname.slice(PROGRESS_PREFIX.length)));
    }
    if (url.pathname.startsWith(ARCHIVE_PREFIX)) {
      return await this.#answerArchive(request, control, archiveNameIn(url.pathname));
    }
    if (!url.pathname.startsWith(CHUNK_PREFIX)) {
      throw new TydfsError("not-found", "There is nothing here: chunks are at /chunk/ID");
    }
    const id = parseId(url.pathname.slice(CHUNK_PREFIX.length));
    const { method } = request;
    if (method !== "PUT" && method !== "GET" && method !== "HEAD") {
      throw new TydfsError("invalid", `Cannot ${method} a chunk: only PUT, GET and HEAD are known`);
    }
    if (this.#stopping) throw new TydfsError("unavailable", "This keeper is stopping");
    const text = request.headers.get(TICKET_HEADER) ?? url.searchParams.get("ticket") ?? "";
    const ticket = this.#openTicket(text, id);
    if (method !== "PUT" && ticket.op === "get") {
      this.#admit();
      return await serveChunk(this.#serving, request, id);
    }
    if (method === "PUT" && ticket.op === "put") {
      const incoming = { request, control, ticket, ticketText: text };
      return Response.json(await this.#land(incoming));
    }
    throw new TydfsError("denied", `Cannot ${method} a chunk: the ticket is for "${ticket.op}"`);
  }

  /** What a chunk was written for: a keeper that copies it wants that for its own sidecar. */
  async #answerOrigin(request: Request, id: string): Promise<Response> {
    this.#openTicket(request.headers.get(TICKET_HEADER) ?? "", id);
    const facts = await this.#options.store.facts(id);
    if (facts === undefined) throw new TydfsError("not-found", `Chunk "${id}" is not here`);
    return Response.json({ ok: true, origin: facts.origin } satisfies OriginAnswer);
  }

  /** How far a PUT is, to whoever holds its ticket. It costs a look at the draft's size at most. */
  #answerProgress(request: Request, id: string): Response {
    const ticket = this.#openTicket(request.headers.get(TICKET_HEADER) ?? "", id);
    if (ticket.op !== "put") {
      throw new TydfsError("denied", `Cannot tell progress: the ticket is for "${ticket.op}"`);
    }
    const receivedBytes = this.#landing.receivedBytes(id);
    return Response.json({ ok: true, receivedBytes } satisfies ProgressAnswer);
  }

  /** The catalog's archive: only the master has tickets for it. */
  async #answerArchive(
    request: Request,
    control: StreamControl,
    name: string,
  ): Promise<Response> {
    const { method, headers } = request;
    const ticket = this.#readTicket(headers.get(TICKET_HEADER) ?? "");
    if (ticket.op !== "archive" || ticket.name !== name) {
      throw new TydfsError("denied", "Cannot serve: the ticket is not for this file");
    }
    if (this.#stopping) throw new TydfsError("unavailable", "This keeper is stopping");
    const { archive, store, disk, clock, stallLimits: limits = STALL_LIMITS } = this.#options;
    if (method === "GET") return giveArchive(archive, request, name);
    if (method !== "PUT") {
      throw new TydfsError("invalid", `Cannot ${method} an archive: only PUT and GET are known`);
    }
    await takeArchive({ archive, store, disk, clock, limits }, request, control, ticket);
    return Response.json({ ok: true });
  }

  async #land(incoming: IncomingPut): Promise<PutAnswer> {
    const { keeperId, slots } = this.#options;
    const hop = incoming.ticket.hops.find(({ keeper }) => keeper === keeperId);
    if (hop?.grant !== 0) {
      this.#admit();
      return await this.#landing.put(incoming);
    }
    if (this.#short >= SHORT_PER_SLOT * slots) throw busy();
    this.#short++;
    try {
      return await this.#landing.put(incoming);
    } finally {
      this.#short--;
    }
  }

  /**
   * Twice the slots: clients with a grant may overlap for a moment; anything beyond is told to come
   * later.
   */
  #admit(): void {
    if (this.#streams > 2 * this.#options.slots) throw busy();
  }

  #readTicket(text: string): Ticket {
    const { ticketKey, clock } = this.#options;
    if (text === "") throw new TydfsError("denied", "Cannot serve: there is no ticket");
    return openTicket(ticketKey, text, clock.wallMs());
  }

  #openTicket(text: string, chunk: string): Ticket {
    const ticket = this.#readTicket(text);
    if (ticket.op !== "archive" && ticket.chunk === chunk) return ticket;
    throw new TydfsError("denied", "Cannot serve: the ticket is for another chunk");
  }

  #refuse(error: unknown): Response {
    const { log, random, onBroken } = this.#options;
    if (error instanceof AssertionError) {
      onBroken(error);
      return errorResponse(new TydfsError("internal", error.message));
    }
    const known = wrapError(error);
    if (known.code !== "internal") return errorResponse(known);
    const mark = randomHex(random, 4);
    log.error("A request failed for an unknown reason", { mark, error: known });
    return errorResponse(
      new TydfsError("internal", `Internal error ${mark}: see this keeper's log`),
    );
  }
}

function busy(): TydfsError {
  return new TydfsError("busy", "This port carries all the streams it can");
}

/** The chunk's id from a path: decoded once, and refused unless it is one. */
function parseId(text: string): string {
  let id: string;
  try {
    id = decodeURIComponent(text);
  } catch {
    id = "";
  }
  if (!isId(id)) throw new TydfsError("invalid", "Cannot read the chunk's id: it is none");
  return id;
}
