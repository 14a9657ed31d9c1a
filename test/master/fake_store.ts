/** Chunks' bytes on fake keepers, and the data plane to them, with faults that a test asks for. */
import type {
  ChunkTransport,
  GetChunkRequest,
  PortAddress,
  PutAnswer,
  PutChunkRequest,
} from "../../src/wire/chunk_http.ts";
import { TydfsError } from "../../src/wire/errors.ts";
import { packBegin, type PackBeginRequest, type PackedFile } from "../../src/wire/pack.ts";
import { encodeManifest, type PackFile } from "../../src/wire/pack.ts";
import { fileChecksum, sumsOf } from "../../src/wire/sums.ts";
import { openTicket, type PutTicket } from "../../src/wire/ticket.ts";
import type { FakeKeeper } from "./fake_keeper.ts";
import { TICKET_KEY, type World } from "./world.ts";

/** A small file that is to be put. */
export interface SmallContent {
  path: string;
  bytes: Uint8Array;
}

/** A pack as a client builds it. */
export interface BuiltBundle {
  body: Uint8Array;
  entries: PackedFile[];
  files: PackFile[];
}

export class FakeStore implements ChunkTransport {
  /** Names of keepers that refuse to store, to be read, or that give wrong bytes. */
  readonly full = new Set<string>();
  readonly silent = new Set<string>();
  readonly bad = new Set<string>();
  /** Called when a PUT was reported, before it is answered. */
  onPut: () => Promise<void> = () => Promise.resolve();
  readonly reads: string[] = [];
  readonly #world: World;
  /** By keeper and chunk. */
  readonly #copies = new Map<string, { body: Uint8Array; ticket: PutTicket }>();

  constructor(world: World) {
    this.#world = world;
  }

  /** Adds keepers that can be told apart by their ports. */
  async addKeepers(labels: string[], zones: Record<string, string> = {}): Promise<FakeKeeper[]> {
    const first = 7000 + 10 * this.#world.keepers.length;
    const added: FakeKeeper[] = [];
    for (const [index, label] of labels.entries()) {
      const zone = zones[label];
      const ports = [first + 10 * index, first + 10 * index + 1];
      const options = { ports, ...(zone === undefined ? {} : { zone }) };
      added.push(...await this.#world.addKeepers([label], options));
    }
    return added;
  }

  /** The bytes of a chunk on a keeper. */
  bytes(keeper: string, chunk: string): Uint8Array | undefined {
    return this.#copies.get(`${keeper} ${chunk}`)?.body;
  }

  /** What a chunk was written for, on any keeper. */
  originOf(chunk: string): PutTicket["origin"] | undefined {
    const name = [...this.#copies.keys()].find((key) => key.endsWith(` ${chunk}`));
    return name === undefined ? undefined : this.#copies.get(name)?.ticket.origin;
  }

  async put(address: PortAddress, request: PutChunkRequest): Promise<PutAnswer> {
    const head = this.#at(address);
    const ticket = openTicket(TICKET_KEY, request.ticket, this.#world.clock.wallMs());
    if (ticket.op !== "put") throw new TydfsError("denied", "No ticket to put");
    const body = request.body as Uint8Array;
    if (Buffer.compare(sumsOf(body), ticket.sums) !== 0) throw new TydfsError("corrupt", "Wrong");
    if (this.full.has(head.name)) throw new TydfsError("no-space", "No room");
    const keepers = ticket.hops.map(({ keeper }) => this.#world.keeper(keeper))
      .filter(({ name }) => !this.full.has(name));
    for (const { name } of keepers) {
      this.#copies.set(`${name} ${ticket.chunk}`, { body: new Uint8Array(body), ticket });
    }
    const ids = [head.id, ...keepers.map(({ id }) => id).filter((id) => id !== head.id)];
    if (ids.length < ticket.minCopies) {
      throw new TydfsError("no-keepers", "The chain is too short", { data: { keepers: ids } });
    }
    const { chunk, sizeBytes, sums } = ticket;
    await head.stored({ chunk, sizeBytes, sums, keepers: ids, ticket: request.ticket, head: true });
    for (const keeper of keepers) keeper.chunks.set(chunk, sizeBytes);
    await this.onPut();
    return { ok: true, keepers: ids };
  }

  get(address: PortAddress, request: GetChunkRequest): Promise<AsyncIterable<Uint8Array>> {
    const { name } = this.#at(address);
    this.reads.push(name);
    if (this.silent.has(name)) return new Promise(() => {});
    const body = this.bytes(name, request.chunk);
    if (body === undefined) throw new TydfsError("not-found", "No such chunk");
    const bytes = new Uint8Array(body.subarray(request.offset, request.offset + request.length));
    if (this.bad.has(name)) bytes.fill(0xee, 0, 1);
    return Promise.resolve((async function* () {
      for (let start = 0; start < bytes.length; start += 300_000) {
        yield bytes.subarray(start, start + 300_000);
      }
    })());
  }

  origin(
    address: PortAddress,
    { chunk }: { chunk: string },
  ): Promise<PutTicket["origin"] | undefined> {
    const { name } = this.#at(address);
    if (this.silent.has(name)) return new Promise(() => {});
    return Promise.resolve(this.#copies.get(`${name} ${chunk}`)?.ticket.origin);
  }

  progress(): Promise<number> {
    return Promise.reject(new TydfsError("not-found", "No such PUT"));
  }

  async ping(): Promise<void> {}

  /** Begins a pack and puts it; returns its chunk. */
  async store(
    bundle: BuiltBundle,
    more: Partial<PackBeginRequest> = {},
  ): Promise<string> {
    const { placement } = await this.#world.ask(packBegin, { ...beginOf(bundle), ...more });
    const [hop] = placement?.hops ?? [];
    if (placement === undefined || hop === undefined) throw new Error("The pack was not placed");
    const { chunk, ticket } = placement;
    const { signal } = new AbortController();
    await this.put(hop, { chunk, ticket, body: bundle.body, signal });
    return chunk;
  }

  #at({ port }: PortAddress): FakeKeeper {
    const keeper = this.#world.keepers.find(({ ports }) => ports.includes(port));
    if (keeper === undefined) throw new TydfsError("unavailable", "Nobody listens there");
    return keeper;
  }
}

/** What `pack.begin` asks for a bundle. */
export function beginOf({ body, files }: BuiltBundle): PackBeginRequest {
  const paths = files.map(({ path }) => path);
  return { sizeBytes: body.length, sums: sumsOf(body), paths, avoid: [] };
}

/** Files as a client packs them. */
export function bundleOf(contents: readonly SmallContent[]): BuiltBundle {
  let offset = 0;
  const facts = { mode: 0o644, mtimeMs: 7, owner: "ann" };
  const entries = contents.map(({ path, bytes }) => {
    const entry = { path, offset, sizeBytes: bytes.length, ...facts };
    offset += bytes.length;
    return entry;
  });
  const body = Buffer.concat([...contents.map(({ bytes }) => bytes), encodeManifest(entries)]);
  const files = entries.map((entry, index): PackFile => {
    return { ...entry, checksum: fileChecksum([sumsOf(contents[index]?.bytes ?? body)]) };
  });
  return { body, entries, files };
}

/** Contents of `count` files below `under`, each of `sizeBytes`. */
export function someFiles(under: string, count: number, sizeBytes: number): SmallContent[] {
  return Array.from({ length: count }, (_, index) => ({
    path: `${under}/${index}`,
    bytes: new Uint8Array(sizeBytes).fill(index + under.length),
  }));
}
