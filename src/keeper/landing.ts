/**
 * Landing: how a chunk comes to this keeper and its chain. Receive and check; then make it durable
 * and send it on, at the same time; answer when as many copies are durable as the sender needs.
 * Each durable copy is reported exactly by one: by the head of the chain when it is part of the
 * answer, else by its own keeper.
 */
import { KIB } from "../base/bytes.ts";
import type { Clock } from "../base/clock.ts";
import { failpoint } from "../base/failpoint.ts";
import type { Log } from "../base/log.ts";
import type { ChunkStore } from "../chunks/chunk_store.ts";
import type { Disk } from "../chunks/disk.ts";
import type { Draft } from "../chunks/draft.ts";
import type { PortTable } from "../tables/port_table.ts";
import type { PutAnswer } from "../wire/chunk_http.ts";
import { NEED_HEADER } from "../wire/chunk_http.ts";
import { TydfsError } from "../wire/errors.ts";
import type { Hop, PutTicket } from "../wire/ticket.ts";
import type { Committed } from "../wire/upload.ts";
import type { Chain } from "./chain.ts";
import type { Reporter } from "./reporter.ts";
import type { StallLimits, StreamControl } from "./stall_watch.ts";
import { watchUpload } from "./stall_watch.ts";

export interface LandingOptions {
  keeperId: string;
  /** This streamer's row in the keeper's own table. */
  row: number;
  ports: PortTable;
  store: ChunkStore;
  disk: Disk;
  chain: Chain;
  reporter: Reporter;
  clock: Clock;
  log: Log;
  limits: StallLimits;
}

/** A PUT whose ticket is in order. */
export interface IncomingPut {
  request: Request;
  control: StreamControl;
  ticket: PutTicket;
  /** The ticket as it came. */
  ticketText: string;
}

/** A PUT under way, for those who ask how far it is. */
interface Arrival {
  /** Bytes that have come in so far. */
  receivedBytes: () => number;
}

/** Chains that go on after their answer, at most; with more, answers wait for their chains. */
const BACKGROUND_MAX = 32;

/** Chunks up to this size are taken into memory as a whole before they are written. */
const SHORT_BYTES = 64 * KIB;

export class Landing {
  readonly #options: LandingOptions;
  readonly #background = new Set<Promise<unknown>>();
  /** Chunks whose PUTs are under way, with how much of each has come: one entry a request. */
  readonly #arrivals = new Map<string, Arrival>();

  constructor(options: LandingOptions) {
    this.#options = options;
  }

  /** Takes in a chunk. Throws what is wrong with it, or `no-keepers` when it has too few copies. */
  async put(incoming: IncomingPut): Promise<PutAnswer> {
    const { keeperId } = this.#options;
    const { ticket, request } = incoming;
    const place = ticket.hops.findIndex(({ keeper }) => keeper === keeperId);
    if (place < 0) {
      // The master signed it for whom it knew at this port: a keeper that lost its disk, and came
      // back as another one. The sender is to try the others.
      const message = "Cannot serve: another keeper had this port when the ticket was made";
      throw new TydfsError("unavailable", message);
    }
    const need = neededCopies(request, ticket);
    refuseLength(request, ticket.sizeBytes);
    await failpoint("keeper.put.arrived");
    const hops = ticket.hops.slice(place + 1);
    const dropGrants = this.#holdGrants(ticket.hops.slice(place));
    const arrival: Arrival = { receivedBytes: () => 0 };
    this.#arrivals.set(ticket.chunk, arrival);
    let forward: Promise<string[]> | undefined;
    try {
      const draft = await this.#receive(incoming, arrival);
      forward = this.#forward(draft, incoming, hops, need);
      return await this.#answer(incoming, draft, forward, need);
    } finally {
      if (this.#arrivals.get(ticket.chunk) === arrival) this.#arrivals.delete(ticket.chunk);
      if (forward === undefined) dropGrants();
      else this.#inBackground(forward.then(dropGrants, dropGrants));
    }
  }

  /** How much of a chunk has come whose PUT is under way. Throws `not-found` when none is. */
  receivedBytes(chunk: string): number {
    const arrival = this.#arrivals.get(chunk);
    if (arrival !== undefined) return arrival.receivedBytes();
    throw new TydfsError("not-found", `Chunk "${chunk}" is not being sent to this port`);
  }

  /** Waits for the chains that go on after their answers. */
  async idle(): Promise<void> {
    while (this.#background.size > 0) await Promise.all(this.#background);
  }

  /** Holds grants, so that heartbeats renew their leases; returns how to let them go. */
  #holdGrants(hops: readonly Hop[]): () => void {
    const { ports, row } = this.#options;
    const held = hops.map(({ grant }) => grant).filter((grant) => grant !== 0)
      .filter((grant) => ports.hold(row, grant));
    return () => {
      for (const grant of held) ports.drop(row, grant);
    };
  }

  async #receive(incoming: IncomingPut, arrival: Arrival): Promise<Draft> {
    const { request, ticket } = incoming;
    const { store, disk, ports, row } = this.#options;
    const { chunk, sizeBytes, sums, goal, origin } = ticket;
    const facts = { chunk, sizeBytes, sums, goal, origin };
    // The list of a pack's files is made from its file.
    const isShort = sizeBytes <= SHORT_BYTES && origin.packed !== true;
    const draft = isShort
      ? await store.receiveShort(facts, () => {
        return this.#watch(incoming, arrival.receivedBytes, () => request.bytes());
      })
      : await store.receive(facts, async (path) => {
        arrival.receivedBytes = () => disk.sizeOf(path) ?? 0;
        await this.#watch(incoming, arrival.receivedBytes, () => disk.receive(path, request));
        // From here on the draft changes its name.
        arrival.receivedBytes = () => sizeBytes;
      });
    ports.countBytes(row, sizeBytes, 0);
    return draft;
  }

  /** Takes in a body by `take`, unless it stalls, or its sender goes. */
  async #watch<T>(
    { request, control, ticket }: IncomingPut,
    received: () => number,
    take: () => Promise<T>,
  ): Promise<T> {
    const { clock, limits, log } = this.#options;
    const { chunk, sizeBytes } = ticket;
    let cut: string | undefined;
    const upload = { request, control, sizeBytes, received };
    const unwatch = watchUpload(clock, limits, upload, (reason) => cut = reason);
    try {
      return await take();
    } catch (error) {
      if (!request.signal.aborted && cut === undefined) throw error;
      const reason = cut ?? "the sender has gone";
      log.info("An upload broke off", { chunk, reason });
      const message = `Cannot store chunk "${chunk}": ${reason}`;
      throw new TydfsError(cut === undefined ? "interrupted" : "timeout", message);
    } finally {
      unwatch();
    }
  }

  async #forward(
    draft: Draft,
    { ticket, ticketText }: IncomingPut,
    hops: readonly Hop[],
    need: number,
  ): Promise<string[]> {
    if (hops.length === 0) return [];
    const { ports, row, chain } = this.#options;
    const { chunk, sizeBytes } = ticket;
    const body = () => {
      ports.countBytes(row, 0, sizeBytes);
      return draft.body();
    };
    const keepers = await chain.forward(hops, {
      chunk,
      sizeBytes,
      ticket: ticketText,
      need: Math.max(0, need - 1),
      body,
    });
    await failpoint("keeper.put.forwarded");
    return keepers;
  }

  /** Waits for the copies that are needed, has them reported, and words the answer. */
  async #answer(
    incoming: IncomingPut,
    draft: Draft,
    forward: Promise<string[]>,
    need: number,
  ): Promise<PutAnswer> {
    const { keeperId } = this.#options;
    const isHead = !incoming.request.headers.has(NEED_HEADER);
    try {
      await draft.keep();
      await failpoint("keeper.put.durable");
    } catch (error) {
      // Without an own copy there is no answer, but others may have theirs by now.
      if (need > 1) this.#inBackground(forward.then((others) => this.#tell(incoming, others)));
      throw error;
    }
    const wait = need > 1 || this.#background.size >= BACKGROUND_MAX;
    const keepers = [keeperId, ...wait ? await forward : []];
    if (keepers.length < need) {
      if (isHead || incoming.request.signal.aborted) this.#tell(incoming, keepers);
      const copies = keepers.length;
      const message = `Cannot store chunk "${incoming.ticket.chunk}" safely: ` +
        `${copies} of ${need} copies could be made`;
      throw new TydfsError("no-keepers", message, { data: { copies, need, keepers } });
    }
    if (isHead) return await this.#commit(incoming, keepers);
    // Nobody else counts a copy that was not needed, or whose answer nobody hears.
    if (need === 0) this.#tell(incoming, [keeperId]);
    else if (incoming.request.signal.aborted) this.#tell(incoming, keepers);
    await failpoint("keeper.put.answer");
    return { ok: true, keepers };
  }

  /**
   * The head's report; for a file of one chunk it is the commit, too. A client that has gone may
   * have put the file anew elsewhere: for it nothing is committed, the copies are only told of.
   */
  async #commit(incoming: IncomingPut, keepers: string[]): Promise<PutAnswer> {
    const { ticket, ticketText, request: { signal } } = incoming;
    const { chunk, sizeBytes, sums } = ticket;
    const report = { chunk, sizeBytes, sums, keepers, ticket: ticketText, head: true };
    let committed: Committed | undefined;
    try {
      signal.throwIfAborted();
      committed = await this.#options.reporter.stored(report, signal);
    } catch (error) {
      if (!signal.aborted) throw error;
      this.#tell(incoming, keepers);
      const message = `Cannot commit chunk "${chunk}": the sender has gone`;
      throw new TydfsError("interrupted", message, { cause: error });
    }
    await failpoint("keeper.put.reported");
    await failpoint("keeper.put.answer");
    return { ok: true, keepers, committed };
  }

  /** Reports copies that no answer tells of. */
  #tell({ ticket, ticketText }: IncomingPut, keepers: string[]): void {
    if (keepers.length === 0) return;
    const { chunk, sizeBytes, sums } = ticket;
    const report = { chunk, sizeBytes, sums, keepers, ticket: ticketText, head: false };
    this.#options.reporter.storedLater(report);
  }

  #inBackground(task: Promise<unknown>): void {
    const running = task.finally(() => this.#background.delete(running));
    this.#background.add(running);
  }
}

/**
 * Copies that must be durable before the answer: as a forwarding keeper says, or as the ticket says
 * to the head.
 */
function neededCopies(request: Request, ticket: PutTicket): number {
  const header = request.headers.get(NEED_HEADER);
  if (header === null) return ticket.minCopies;
  if (!/^\d{1,2}$/.test(header)) {
    throw new TydfsError("invalid", `Cannot read header ${NEED_HEADER}: it is no small number`);
  }
  return Number(header);
}

/** Refuses a body whose announced length is not the ticket's. */
export function refuseLength(request: Request, sizeBytes: number): void {
  const length = request.headers.get("content-length");
  if (length === String(sizeBytes)) return;
  const message = length === null
    ? "Cannot store a chunk: the length of the body is not told"
    : `Cannot store a chunk: ${length} bytes are announced where ${sizeBytes} are due`;
  throw new TydfsError("invalid", message);
}
