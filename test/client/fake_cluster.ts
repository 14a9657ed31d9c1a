/**
 * A cluster in memory: trackers on a fake bus, keepers as maps of bytes, and faults by keeper. It
 * keeps the protocol well enough for the client's own decisions; it is no model of the real parts.
 */
import { must } from "../../src/base/assert.ts";
import { seededRandom } from "../../src/base/random.ts";
import { TydfsClient } from "../../src/client/client.ts";
import type { ClientSettings } from "../../src/client/client.ts";
import { serve } from "../../src/wire/bus.ts";
import type {
  ChunkTransport,
  GetChunkRequest,
  PortAddress,
  PutAnswer,
  PutChunkRequest,
} from "../../src/wire/chunk_http.ts";
import type { RiskPage } from "../../src/wire/audit.ts";
import { auditRisk } from "../../src/wire/audit.ts";
import type { ClusterStatus } from "../../src/wire/cluster.ts";
import { clusterStatus } from "../../src/wire/cluster.ts";
import { dirList, dirMake } from "../../src/wire/dir.ts";
import type { ErrorCode } from "../../src/wire/errors.ts";
import { TydfsError } from "../../src/wire/errors.ts";
import type {
  ChunkLocation,
  Entry,
  FileLocateReply,
  Holder,
  LocatedExtent,
} from "../../src/wire/file.ts";
import {
  fileCopy,
  fileDoubt,
  fileLocate,
  fileRemove,
  fileRename,
  fileSet,
  fileStat,
} from "../../src/wire/file.ts";
import { makeId } from "../../src/wire/ids.ts";
import type { FileLocateManyReply, SharedChunk, SmallFile } from "../../src/wire/locate_many.ts";
import { fileLocateMany } from "../../src/wire/locate_many.ts";
import { parentPath } from "../../src/wire/names.ts";
import type { PackBeginRequest, PackOutcome } from "../../src/wire/pack.ts";
import { packBegin, packCommit } from "../../src/wire/pack.ts";
import type { Rpc } from "../../src/wire/rpc.ts";
import { fileStatMany } from "../../src/wire/stat_many.ts";
import { subjectsOf } from "../../src/wire/subjects.ts";
import { fileChecksum, sameSums, sumsOf } from "../../src/wire/sums.ts";
import type {
  ChunkOffer,
  ChunkPlacement,
  Committed,
  UploadBeginRequest,
} from "../../src/wire/upload.ts";
import { uploadAbort, uploadBegin, uploadCommit, uploadExtend } from "../../src/wire/upload.ts";
import { FakeBus, fastClock } from "./fake_bus.ts";

const HOPS_MAX = 3;
/** In place of a manifest, which no reader looks at. */
const PACK_END = Buffer.from("the end of a pack");

/** What a keeper does wrong. */
export type Fault =
  | "refuse"
  | "hang"
  | "stall"
  | "short"
  | "flip"
  | "busy"
  | "expired"
  /** It stores, and its answer is lost. */
  | "mute";

export interface FakeKeeper {
  id: string;
  /** What the master takes it for; a dead one is not located. */
  state: "ALIVE" | "DRAINING" | "DEAD";
  host: string;
  chunks: Map<string, Uint8Array>;
  fault: Fault | undefined;
  /** Streams that reached it. */
  puts: number;
  gets: number;
}

interface FakeFile {
  inode: number;
  version: number;
  bytes: number;
  mode: number;
  mtimeMs: number;
  owner: string;
  checksum: string;
  extents: LocatedExtent[];
}

interface FakePack {
  request: PackBeginRequest;
  outcomes: PackOutcome[] | undefined;
}

interface FakeUpload {
  request: UploadBeginRequest;
  offers: Map<number, ChunkOffer & { chunk: string }>;
  /** Numbers of the chunks that keepers have. */
  stored: Set<number>;
  committed: Committed | undefined;
}

export interface FakeClusterOptions {
  /** How much faster than ours its clock goes: 200 times unless given. */
  speed?: number;
  keepers?: number;
  chunkBytes?: number;
  copies?: number;
  /** Extents in a page of `file.locate`. */
  pageMax?: number;
  client?: ClientSettings;
}

export class FakeCluster {
  readonly bus = new FakeBus();
  readonly keepers: FakeKeeper[];
  readonly files = new Map<string, FakeFile>();
  /** Directories that were made, with their modes; those above files are there by themselves. */
  readonly directories = new Map<string, number>();
  /** Times of those that were given one. */
  readonly times = new Map<string, number>();
  /** Names of the remote calls, in order. */
  readonly calls: string[] = [];
  readonly offers: ChunkOffer[] = [];
  readonly doubts: { chunk: string; keeper: string }[] = [];
  readonly aborted: string[] = [];
  /** Of those, the ones whose chunks are kept for the next upload to their path. */
  readonly kept: string[] = [];
  /** Lengths of the ranges that keepers were asked for. */
  readonly served: number[] = [];
  readonly client: TydfsClient;
  /** What `cluster.status` answers; it fails while that is undefined. */
  status: ClusterStatus | undefined;
  /** Answers `audit.risk`. */
  risks: (without: readonly string[], after: number) => RiskPage = () => ({ files: [], chunks: 0 });
  /** Names the rule that a path falls under: only those of one go into one pack. */
  ruleOf: (path: string) => string = () => "";
  /** Why a file of a pack is refused. */
  refusalOf: (path: string) => ErrorCode | undefined = () => undefined;
  /** Whether a pack's commit that is repeated finds nothing of a file that it has made. */
  isForgotten: (path: string) => boolean = () => false;
  /** Called before each remote call; what it throws is answered. */
  before: (name: string) => void = () => {};
  /** Called after each: what it throws is answered, though the call was done. */
  after: (name: string) => void = () => {};
  /** Questions how far a PUT is. */
  asked = 0;
  /** Answers them: the bytes that have come. */
  onAsked: (chunk: string) => Promise<number> = () => Promise.resolve(0);
  /** Called when a keeper has taken a PUT's bytes. */
  onPut: () => void | Promise<void> = () => {};
  readonly #options: Required<Omit<FakeClusterOptions, "client">>;
  readonly #random = seededRandom(1);
  readonly #uploads = new Map<string, FakeUpload>();
  readonly #packs = new Map<string, FakePack>();
  #lastInode = 0;

  constructor(options: FakeClusterOptions = {}) {
    this.#options = {
      keepers: 3,
      chunkBytes: 4 << 20,
      copies: 2,
      pageMax: 256,
      speed: 200,
      ...options,
    };
    this.keepers = Array.from({ length: this.#options.keepers }, (_, index) => ({
      id: makeId(this.#random),
      state: "ALIVE",
      host: `keeper-${index}`,
      chunks: new Map(),
      fault: undefined,
      puts: 0,
      gets: 0,
    }));
    const subjects = subjectsOf("test");
    this.#serveUploads(subjects.rpc);
    this.#servePacks(subjects.rpc);
    this.#serveFiles(subjects.rpc);
    const clock = fastClock(this.#options.speed);
    const random = seededRandom(2);
    this.client = new TydfsClient(
      { bus: this.bus, subjects, transport: this.transport, clock, random },
      { owner: "ann", ...options.client },
    );
  }

  /** Keeper number `index`. */
  keeper(index: number): FakeKeeper {
    return must(this.keepers[index], `keeper ${index}`);
  }

  /** Stores a file as if it had been put, on the keepers given. */
  store(path: string, bytes: Uint8Array, holders: FakeKeeper[] = this.keepers): void {
    const { chunkBytes } = this.#options;
    const extents: LocatedExtent[] = [];
    for (let offset = 0, seq = 0; offset < bytes.length; offset += chunkBytes, seq++) {
      const part = bytes.slice(offset, offset + chunkBytes);
      const chunk = makeId(this.#random);
      for (const holder of holders) holder.chunks.set(chunk, part);
      extents.push(extentOf(seq, offset, chunk, part));
    }
    this.#addFile(path, extents, { mode: 0o640, mtimeMs: 1_700_000_000_000, owner: "ann" });
  }

  /**
   * Stores small files as if they had been put as one pack; one that is stored again moves into the
   * new pack, as compaction has it. Returns the chunk's id.
   */
  storePack(
    files: readonly (readonly [path: string, bytes: Uint8Array])[],
    holders: FakeKeeper[] = this.keepers,
  ): string {
    const pack = new Uint8Array(Buffer.concat([...files.map(([, bytes]) => bytes), PACK_END]));
    const chunk = makeId(this.#random);
    for (const holder of holders) holder.chunks.set(chunk, pack);
    let chunkOffset = 0;
    for (const [path, bytes] of files) {
      const extent = { ...extentOf(0, 0, chunk, pack), chunkOffset, length: bytes.length };
      const there = this.files.get(path);
      const facts = { mode: 0o640, mtimeMs: 1_700_000_000_000, owner: "ann" };
      if (there !== undefined) there.extents = [extent];
      else this.#addFile(path, [extent], facts).checksum = fileChecksum([sumsOf(bytes)]);
      chunkOffset += bytes.length;
    }
    return chunk;
  }

  /** Chunks that are packs with files in them. */
  get packs(): string[] {
    return [...this.#packs].flatMap(([chunk, { outcomes }]) => outcomes === undefined ? [] : chunk);
  }

  /** Where a file's bytes lie; tests may bend it. */
  file(path: string): FakeFile {
    return must(this.files.get(path), path);
  }

  /** The bytes of a committed file, from the first keeper that has each chunk. */
  content(path: string): Uint8Array {
    const parts = this.file(path).extents.map(({ chunk, chunkOffset, length }) => {
      const holder = must(this.keepers.find(({ chunks }) => chunks.has(chunk)), chunk);
      return must(holder.chunks.get(chunk), chunk).subarray(chunkOffset, chunkOffset + length);
    });
    return new Uint8Array(Buffer.concat(parts));
  }

  readonly transport: ChunkTransport = {
    origin: () => Promise.resolve(undefined),
    ping: () => Promise.resolve(),
    progress: (address, request) => {
      const { fault } = this.#reach(address, request.signal);
      this.asked++;
      if (fault === "hang") return new Promise(() => {});
      return this.onAsked(request.chunk);
    },
    put: async (address, request) => {
      const keeper = this.#reach(address, request.signal);
      keeper.puts++;
      if (keeper.fault === "hang") await new Promise(() => {});
      if (keeper.fault === "busy") throw new TydfsError("busy", "All slots are taken");
      const answer = await this.#land(request);
      if (keeper.fault === "mute") throw new TydfsError("unavailable", "The stream broke");
      return answer;
    },
    get: (address, request) => {
      const keeper = this.#reach(address, request.signal);
      keeper.gets++;
      this.served.push(request.length);
      if (keeper.fault === "busy") throw new TydfsError("busy", "All slots are taken");
      if (keeper.fault === "expired" && request.ticket === "old") {
        throw new TydfsError("expired", "The ticket has run out");
      }
      const whole = keeper.chunks.get(request.chunk);
      if (whole === undefined) throw new TydfsError("not-found", "There is no such chunk");
      return Promise.resolve(streamOf(keeper, whole, request));
    },
  };

  #reach(address: PortAddress, signal: AbortSignal): FakeKeeper {
    signal.throwIfAborted();
    const keeper = must(
      this.keepers.find(({ host }) => host === address.host),
      `keeper ${address.host}`,
    );
    if (keeper.fault === "refuse") throw new TydfsError("unavailable", "Connection refused");
    return keeper;
  }

  /** Stores a chunk on all hops of its ticket that can be reached, as a chain would. */
  async #land(request: PutChunkRequest): Promise<PutAnswer> {
    const { body } = request;
    const bytes = body instanceof Uint8Array
      ? body.slice()
      : new Uint8Array(await body.arrayBuffer());
    await this.onPut();
    const [uploadId = "", seq = "", ...hops] = request.ticket.split(" ");
    const pack = this.#packs.get(request.chunk);
    const upload = pack ? undefined : must(this.#uploads.get(uploadId), "the ticket's upload");
    const offer = pack?.request ?? must(upload?.offers.get(Number(seq)), "the ticket's offer");
    if (bytes.length !== offer.sizeBytes) throw new TydfsError("invalid", "Of another length");
    if (!sameSums(sumsOf(bytes), offer.sums)) throw new TydfsError("corrupt", "The sums differ");
    const holders = this.keepers.filter(({ id, fault }) =>
      hops.includes(id) && fault !== "refuse" && fault !== "hang"
    );
    if (holders.length < this.#options.copies) {
      throw new TydfsError("no-keepers", "Too few copies");
    }
    for (const holder of holders) holder.chunks.set(request.chunk, bytes);
    upload?.stored.add(Number(seq));
    const keepers = holders.map(({ id }) => id);
    if (upload?.request.only === undefined) return { ok: true, keepers };
    return { ok: true, keepers, committed: this.#commit(uploadId) };
  }

  #serve<Request, Reply>(
    subject: (name: string) => string,
    procedure: Rpc<Request, Reply>,
    handler: (request: Request) => Reply,
  ): void {
    const options = { onFailure: () => {} };
    serve(this.bus, subject(procedure.name), procedure, options, (request) => {
      this.calls.push(procedure.name);
      this.before(procedure.name);
      const reply = handler(request);
      this.after(procedure.name);
      return reply;
    });
  }

  #serveUploads(subject: (name: string) => string): void {
    const { chunkBytes } = this.#options;
    this.#serve(subject, uploadBegin, (request) => {
      if (request.exclusive && this.files.has(request.path)) {
        throw new TydfsError("exists", "There is such a file");
      }
      const upload = makeId(this.#random);
      const single = request.only !== undefined && request.only.sizeBytes <= chunkBytes;
      const kept = { ...request, only: single ? request.only : undefined };
      const { offers, stored } = request.resume && !single
        ? this.#takeOver(request.path)
        : { offers: new Map(), stored: new Set<number>() };
      this.#uploads.set(upload, { request: kept, offers, stored, committed: undefined });
      const sizes = [...stored].map((seq) => offers.get(seq)?.sizeBytes ?? 0);
      const resumedBytes = sizes.reduce((total, size) => total + size, 0);
      const reply = { upload, chunkBytes, leaseMs: 60_000, resumedBytes };
      if (!single || request.only === undefined) return reply;
      return { ...reply, placement: this.#place(upload, request.only) };
    });
    this.#serve(subject, uploadExtend, ({ upload, offer }) => {
      // Like the master, which keeps no record of an upload of one small chunk.
      const isRecorded = this.#uploads.get(upload)?.request.only === undefined;
      if (!this.#uploads.has(upload) || !isRecorded) {
        throw new TydfsError("not-found", "No such upload");
      }
      if (offer === undefined) return {};
      if (this.#isStored(upload, offer)) return { stored: true as const };
      return { placement: this.#place(upload, offer) };
    });
    this.#serve(subject, uploadCommit, ({ upload, chunks, checksum }) => {
      const open = this.#uploads.get(upload);
      if (open === undefined) throw new TydfsError("not-found", "No such upload");
      // What was taken over from a longer file.
      for (const seq of open.offers.keys()) if (seq >= chunks) open.offers.delete(seq);
      const committed = this.#commit(upload);
      if (open.offers.size !== chunks || committed.checksum !== checksum) {
        throw new TydfsError("conflict", "The sums differ");
      }
      return committed;
    });
    this.#serve(subject, uploadAbort, ({ upload, keep }) => {
      this.aborted.push(upload);
      if (keep) this.kept.push(upload);
      const committed = this.#uploads.get(upload)?.committed;
      return committed === undefined ? {} : { committed };
    });
  }

  #servePacks(subject: (name: string) => string): void {
    this.#serve(subject, packBegin, (request) => {
      const { paths, sizeBytes, avoid } = request;
      if (sizeBytes > this.#options.chunkBytes) throw new TydfsError("invalid", "Too large");
      const indexes = paths.map((_, index) => index);
      const groups = [...Map.groupBy(indexes, (at) => this.ruleOf(paths[at] ?? "")).values()];
      if (groups.length > 1) return { groups };
      const { chunk, hops } = this.#choose(avoid);
      this.#packs.set(chunk, { request, outcomes: undefined });
      const ticket = ["pack", 0, ...hops.map(({ keeper }) => keeper)].join(" ");
      return { placement: { chunk, ticket, hops } };
    });
    this.#serve(subject, packCommit, ({ chunk, files, exclusive }) => {
      const pack = must(this.#packs.get(chunk), "the pack");
      const holder = this.keepers.find(({ chunks }) => chunks.has(chunk));
      if (holder === undefined) throw new TydfsError("not-found", "No such chunk");
      const bytes = must(holder.chunks.get(chunk), chunk);
      const made = pack.outcomes?.map((outcome, at): PackOutcome => {
        const { path = "" } = files[at] ?? {};
        return this.isForgotten(path) ? { ok: false, code: "conflict", message: "Gone" } : outcome;
      });
      if (made !== undefined) return { outcomes: made };
      pack.outcomes = files.map((file): PackOutcome => {
        const { path, offset, sizeBytes, checksum } = file;
        const exists = exclusive && this.files.has(path);
        const code = exists ? "exists" : this.refusalOf(path);
        if (code !== undefined) return { ok: false, code, message: `Refused "${path}"` };
        const extent = { ...extentOf(0, 0, chunk, bytes), chunkOffset: offset, length: sizeBytes };
        const { version } = this.#addFile(path, [extent], file, checksum);
        const copies = this.#options.copies;
        return { ok: true, file: { path, version, sizeBytes, checksum, copies, goal: 3 } };
      });
      return { outcomes: pack.outcomes };
    });
  }

  /** The chunks of the newest unfinished upload to a path. */
  #takeOver(path: string): { offers: FakeUpload["offers"]; stored: Set<number> } {
    const unfinished = [...this.#uploads].filter(([id, { request, committed }]) =>
      request.path === path && committed === undefined &&
      (!this.aborted.includes(id) || this.kept.includes(id))
    );
    const [, newest] = unfinished.at(-1) ?? [];
    return { offers: new Map(newest?.offers), stored: new Set(newest?.stored) };
  }

  #isStored(upload: string, offer: ChunkOffer): boolean {
    const { offers, stored } = must(this.#uploads.get(upload), "the upload");
    const there = offers.get(offer.seq);
    return there !== undefined && stored.has(offer.seq) && there.offset === offer.offset &&
      there.sizeBytes === offer.sizeBytes && sameSums(there.sums, offer.sums);
  }

  #place(upload: string, offer: ChunkOffer): ChunkPlacement {
    this.offers.push(offer);
    const { chunk, hops } = this.#choose(offer.avoid);
    const open = must(this.#uploads.get(upload), "the upload");
    open.offers.set(offer.seq, { ...offer, chunk });
    open.stored.delete(offer.seq);
    return {
      chunk,
      ticket: [upload, offer.seq, ...hops.map(({ keeper }) => keeper)].join(" "),
      hops,
    };
  }

  #choose(avoid: readonly string[]): Pick<ChunkPlacement, "chunk" | "hops"> {
    const chosen = this.keepers.filter(({ id }) => !avoid.includes(id)).slice(0, HOPS_MAX);
    if (chosen.length < this.#options.copies) throw new TydfsError("no-keepers", "Too few keepers");
    const hops = chosen.map(({ id, host }) => ({ keeper: id, host, port: 7000 }));
    return { chunk: makeId(this.#random), hops };
  }

  #commit(uploadId: string): Committed {
    const upload = must(this.#uploads.get(uploadId), "the upload");
    if (upload.committed !== undefined) return upload.committed;
    const { path, mode, mtimeMs, owner } = upload.request;
    const extents = [...upload.offers.values()].sort((a, b) => a.seq - b.seq).map((offer) => {
      const part = this.keepers.map(({ chunks }) => chunks.get(offer.chunk)).find((part) => part);
      return extentOf(offer.seq, offer.offset, offer.chunk, must(part, "the chunk's bytes"));
    });
    const file = this.#addFile(path, extents, { mode, mtimeMs, owner });
    const { version, checksum, bytes: sizeBytes } = file;
    const copies = this.#options.copies;
    upload.committed = { path, version, sizeBytes, checksum, copies, goal: 3 };
    return upload.committed;
  }

  #addFile(
    path: string,
    extents: LocatedExtent[],
    { mode, mtimeMs, owner }: { mode: number; mtimeMs: number; owner: string },
    checksum = fileChecksum(extents.map(({ sums }) => sums)),
  ): FakeFile {
    const file = {
      ...{ mode, mtimeMs, owner, checksum },
      extents,
      inode: ++this.#lastInode,
      version: (this.files.get(path)?.version ?? 0) + 1,
      bytes: extents.reduce((total, { length }) => total + length, 0),
    };
    this.files.set(path, file);
    return file;
  }

  #serveFiles(subject: (name: string) => string): void {
    this.#serve(subject, fileLocate, ({ path, fromSeq }) => this.#locate(path, fromSeq));
    this.#serve(subject, fileLocateMany, ({ paths }) => this.#locateMany(paths));
    this.#serve(subject, fileStat, ({ path, fromSeq }) => {
      const reply = statReply(this.#entry(path));
      return fromSeq === undefined ? reply : { ...reply, chunks: this.#chunks(path, fromSeq) };
    });
    this.#serve(subject, fileStatMany, ({ paths }) => ({
      stats: paths.slice(0, this.#options.pageMax).map((path) => {
        const there = this.files.has(path) || this.#isDirectory(path);
        return there ? statReply(this.#entry(path)) : null;
      }),
    }));
    this.#serve(subject, fileRemove, ({ path, recursive }) => {
      if (this.#isDirectory(path)) return this.#removeDirectory(path, recursive);
      this.#find(path);
      this.files.delete(path);
      return { files: 1, directories: 0 };
    });
    this.#serve(subject, fileRename, ({ from, to }) => {
      this.files.set(to, this.#find(from));
      this.files.delete(from);
      return { path: to };
    });
    this.#serve(subject, fileCopy, ({ from, to, replace }) => {
      const file = this.#find(from);
      if (!replace && this.files.has(to)) throw new TydfsError("exists", `"${to}" exists`);
      if (this.#isDirectory(to)) throw new TydfsError("is-directory", `"${to}" is a directory`);
      const version = (this.files.get(to)?.version ?? 0) + 1;
      this.files.set(to, { ...file, version });
      return { path: to, version };
    });
    this.#serve(subject, fileDoubt, (doubt) => {
      this.doubts.push(doubt);
      return {};
    });
    this.#serve(subject, dirMake, ({ path, mode, mtimeMs, parents }) => {
      if (this.files.has(path)) throw new TydfsError("exists", `"${path}" is a file`);
      if (parents && this.#isDirectory(path)) return { path, made: false };
      this.directories.set(path, mode ?? 0o755);
      this.times.set(path, mtimeMs ?? 0);
      return { path, made: true };
    });
    this.#serve(subject, fileSet, ({ path, mode, mtimeMs }) => {
      if (!this.#isDirectory(path)) {
        const file = this.#find(path);
        this.files.set(path, {
          ...file,
          mode: mode ?? file.mode,
          mtimeMs: mtimeMs ?? file.mtimeMs,
        });
        return {};
      }
      if (mode !== undefined) this.directories.set(path, mode);
      if (mtimeMs !== undefined) this.times.set(path, mtimeMs);
      return {};
    });
    this.#serve(subject, dirList, ({ path, recursive, after }) => {
      const all = this.files.has(path) ? [this.#entry(path)] : this.#below(path, recursive);
      // A page is one entry.
      const at = after === undefined ? 0 : Number(after);
      const entries = all.slice(at, at + 1);
      return at + 1 < all.length ? { entries, next: String(at + 1) } : { entries };
    });
    this.#serve(subject, clusterStatus, () => {
      if (this.status === undefined) throw new TydfsError("unavailable", "Not in this fake");
      return this.status;
    });
    this.#serve(subject, auditRisk, ({ without, after }) => this.risks(without, after));
  }

  /** Entries below a directory, in the order of the catalog: a directory sorts as `name/`. */
  #below(directory: string, recursive: boolean): Entry[] {
    if (!this.#isDirectory(directory)) {
      throw new TydfsError("not-found", `Cannot find "${directory}"`);
    }
    const paths = new Set([...this.files.keys(), ...this.directories.keys()]);
    for (const path of paths) if (parentPath(path) !== "/") paths.add(parentPath(path));
    const prefix = directory === "/" ? "/" : `${directory}/`;
    const keyOf = (path: string) => Buffer.from(this.files.has(path) ? path : `${path}/`);
    return [...paths]
      .filter((path) => path.startsWith(prefix))
      .filter((path) => recursive || parentPath(path) === directory)
      .sort((left, right) => Buffer.compare(keyOf(left), keyOf(right)))
      .map((path) => this.#entry(path));
  }

  #entry(path: string): Entry {
    if (!this.#isDirectory(path)) return entryOf(path, this.#find(path));
    const mode = this.directories.get(path) ?? 0o755;
    const mtimeMs = this.times.get(path) ?? 0;
    return { ...entryOf(path, undefined), kind: "directory", mode, mtimeMs };
  }

  #removeDirectory(path: string, recursive: boolean): { files: number; directories: number } {
    const below = this.#below(path, true);
    if (below.length > 0 && !recursive) throw new TydfsError("not-empty", `"${path}" has entries`);
    for (const entry of below) {
      this.files.delete(entry.path);
      this.directories.delete(entry.path);
    }
    this.directories.delete(path);
    const files = below.filter(({ kind }) => kind === "file").length;
    return { files, directories: below.length - files + 1 };
  }

  #isDirectory(path: string): boolean {
    if (path === "/" || path === "/dir" || this.directories.has(path)) return true;
    return [...this.files.keys()].some((file) => file.startsWith(`${path}/`));
  }

  #find(path: string): FakeFile {
    const file = this.files.get(path);
    if (file === undefined) throw new TydfsError("not-found", `Cannot find "${path}"`);
    return file;
  }

  #holdersOf(chunk: string): FakeKeeper[] {
    return this.keepers.filter(({ chunks }) => chunks.has(chunk));
  }

  #chunks(path: string, fromSeq: number): ChunkLocation[] {
    return this.#find(path).extents.slice(fromSeq).map(({ chunk, offset, length }) => {
      const holders = this.#holdersOf(chunk)
        .map(({ host, state }) => ({ keeper: host, state, path: "" }));
      return { id: chunk, offset, size: length, holders };
    });
  }

  /** As many as fit a page. */
  #locateMany(paths: readonly string[]): FileLocateManyReply {
    const chunks = new Map<string, SharedChunk>();
    const files = paths.slice(0, this.#options.pageMax).map((path): SmallFile => {
      const file = this.files.get(path);
      const extent = file?.extents[0];
      if (file === undefined || file.extents.length > 1) return { kind: "other" };
      const { inode, version, bytes: sizeBytes, checksum, mtimeMs, mode } = file;
      const facts = { inode, version, sizeBytes, checksum, mtimeMs, mode, chunkOffset: 0 };
      if (extent === undefined || sizeBytes === 0) return { kind: "file", ...facts };
      const { chunk, chunkBytes, chunkOffset, sums } = extent;
      const keepers = this.#holdersOf(chunk).filter(({ state }) => state === "ALIVE");
      const ticket = this.calls.filter((name) => name === fileLocateMany.name).length > 1;
      const shared = { chunk, chunkBytes, sums, keepers: keepers.map(({ id }) => id) };
      chunks.set(chunk, { ...shared, ticket: ticket ? "new" : "old" });
      return { kind: "file", ...facts, chunk: [...chunks.keys()].indexOf(chunk), chunkOffset };
    });
    return { files, chunks: [...chunks.values()], holders: this.#holders() };
  }

  #holders(): Holder[] {
    return this.keepers.map(({ id, host }) => {
      return { keeper: id, name: host, host, ports: [7000, 7001] };
    });
  }

  #locate(path: string, fromSeq: number): FileLocateReply {
    const { inode, version, bytes, checksum, mtimeMs, mode, extents } = this.#find(path);
    const end = fromSeq + this.#options.pageMax;
    const again = this.calls.filter((name) => name === fileLocate.name).length > 1;
    const located = extents.slice(fromSeq, end).map((extent) => ({
      ...extent,
      ticket: again ? "new" : "old",
      keepers: this.#holdersOf(extent.chunk).filter(({ state }) => state === "ALIVE")
        .map(({ id }) => id),
    }));
    const holders = this.#holders();
    const facts = { inode, version, sizeBytes: bytes, checksum, mtimeMs, mode };
    return { ...facts, holders, extents: located, more: end < extents.length };
  }
}

function extentOf(seq: number, offset: number, chunk: string, part: Uint8Array): LocatedExtent {
  const facts = { seq, offset, chunk, chunkOffset: 0, length: part.length };
  return { ...facts, chunkBytes: part.length, sums: sumsOf(part), keepers: [], ticket: "" };
}

function entryOf(path: string, file: FakeFile | undefined): Entry {
  const { bytes = 0, version = 0, mtimeMs = 0, mode = 0o755, owner = "ann" } = file ?? {};
  const { checksum = "" } = file ?? {};
  const facts = { size: bytes, version, mtimeMs, mode, owner, checksum };
  return { path, kind: "file", ...facts, updating: false };
}

function statReply(entry: Entry) {
  return { entry, inode: 1, checksum: "", replicas: 3, chunks: [], more: false };
}

/** The bytes asked for, in pieces, with the keeper's fault in them. */
async function* streamOf(
  { fault }: FakeKeeper,
  whole: Uint8Array,
  { offset, length, signal }: GetChunkRequest,
): AsyncGenerator<Uint8Array> {
  const bytes = whole.slice(offset, offset + length);
  const pieceBytes = 300_000;
  const half = Math.floor(bytes.length / 2);
  if (fault === "flip") bytes[half] = (bytes[half] ?? 0) ^ 1;
  for (let at = 0; at < bytes.length; at += pieceBytes) {
    if (at > half && fault === "short") {
      throw new TydfsError("unavailable", "The stream is short");
    }
    if (at > half && fault === "stall") {
      await new Promise((_, reject) => signal.addEventListener("abort", reject));
    }
    yield bytes.subarray(at, at + pieceBytes);
  }
}
