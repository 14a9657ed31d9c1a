/**
 * `TydfsClient`: the library with which programs use a cluster. It asks trackers over NATS and
 * streams to and from keepers itself; it never sees the catalog.
 */
import { silentLog } from "../base/log.ts";
import type { Bus } from "../wire/bus.ts";
import { listen as listenOn } from "../wire/bus.ts";
import { connectNats } from "../wire/bus_nats.ts";
import type { ClusterStatus } from "../wire/cluster.ts";
import { clusterStatus } from "../wire/cluster.ts";
import { dirList, dirMake, LIST_PAGE_MAX } from "../wire/dir.ts";
import { hasCode, TydfsError } from "../wire/errors.ts";
import type { Entry } from "../wire/file.ts";
import { ClusterEvent as ClusterEventSchema, eventList } from "../wire/event.ts";
import { fileCopy, fileRemove, fileRename, fileSet, fileStat, LINK_MODE } from "../wire/file.ts";
import { ruleAdd, ruleApply, ruleList, ruleRemove } from "../wire/rule.ts";
import { baseName, joinPath, parsePath } from "../wire/names.ts";
import type { Rpc } from "../wire/rpc.ts";
import type { Subjects } from "../wire/subjects.ts";
import { parseClusterUrl } from "../wire/url.ts";
import type {
  ClientEffects,
  ClientSettings,
  ClusterEvent,
  GetManyOptions,
  GetOptions,
  GetResult,
  LoggedEvent,
  ManyFile,
  MediaFacts,
  MoveOptions,
  OpenFile,
  OperationOptions,
  PutOptions,
  PutResult,
  ReadOptions,
  Rule,
  RuleFacts,
  StatResult,
} from "./api.ts";
import { BytesSource } from "./bytes_source.ts";
import type { ClientContext } from "./context.ts";
import { signalOf } from "./context.ts";
import { downloadInOrder } from "./download.ts";
import { readTarget } from "./link_target.ts";
import { makeContext, realEffects } from "./make_context.ts";
import type { MemoryBytes } from "./memory_source.ts";
import { Operator } from "./operator.ts";
import { putMany } from "./packs/many.ts";
import { Packer } from "./packs/packer.ts";
import type { PackedOptions, PackedOutcome, SmallFile } from "./packs/small_file.ts";
import { spanOf } from "./plan.ts";
import { RemoteFile } from "./remote_file.ts";
import { SingleGets } from "./single_gets.ts";
import { SinglePuts } from "./single_puts.ts";
import { SingleStats } from "./single_stats.ts";
import { StreamSource } from "./source.ts";

export type * from "./api.ts";

const CONNECT_MS = 4_000;

export class TydfsClient {
  readonly #context: ClientContext;
  readonly #bus: Bus;
  readonly #subjects: Subjects;
  readonly #packer: Packer;
  readonly #puts: SinglePuts;
  readonly #gets: SingleGets;
  readonly #stats: SingleStats;

  constructor(effects: ClientEffects, settings: ClientSettings = {}) {
    this.#bus = effects.bus;
    this.#subjects = effects.subjects;
    this.#context = makeContext(effects, settings);
    this.#packer = new Packer(this.#context);
    this.#puts = new SinglePuts(this.#context, this.#packer);
    this.#gets = new SingleGets(this.#context);
    this.#stats = new SingleStats(this.#context);
  }

  /**
   * Joins a cluster by its URL. Throws `no-master` within 5 s, `denied` on a wrong secret,
   * `usage` on a bad URL.
   */
  static async connect(settings: ClientSettings & { url: string }): Promise<TydfsClient> {
    const url = parseClusterUrl(settings.url);
    const log = settings.log ?? silentLog;
    const onWait = (waitMs: number) => settings.onWait?.({ code: "no-master", waitMs });
    const connection = { name: "client", log, connectMs: CONNECT_MS, retry: { onWait } };
    const bus = await connectNats({ ...connection, url });
    return new TydfsClient(realEffects(bus, url.cluster), settings);
  }

  /** Another client over the same connection, which must not be closed before it is done. */
  over(settings: ClientSettings): TydfsClient {
    const { transport, receivers, clock, random } = this.#context;
    const shared = { bus: this.#bus, subjects: this.#subjects, transport, receivers };
    return new TydfsClient({ ...shared, clock, random }, settings);
  }

  /**
   * Puts a local file (or a named pipe) at a remote path, in one atomic step. Small files that are
   * put while others are under way go together, which costs far less each.
   */
  async put(local: string, remote: string, options: PutOptions = {}): Promise<PutResult> {
    return await this.#puts.put(local, parsePath(remote), options);
  }

  /** Puts a stream of unknown length at a remote path; a few chunks of it are held in memory. */
  putStream(
    stream: AsyncIterable<Uint8Array>,
    remote: string,
    options: PutOptions = {},
  ): Promise<PutResult> {
    const source = new StreamSource(stream, this.#context.clock.wallMs());
    return this.#puts.upload(source, parsePath(remote), options);
  }

  /** Puts bytes from memory at a remote path; they must not change until it is done. */
  putMemory(
    bytes: Uint8Array | MemoryBytes,
    remote: string,
    options: PutOptions = {},
  ): Promise<PutResult> {
    return this.#puts.putMemory(bytes, parsePath(remote), options);
  }

  /** Puts a symbolic link: a file whose bytes are the link's target, and whose mode says so. */
  async putLink(
    target: string,
    remote: string,
    options: PutOptions & { mtimeMs?: number } = {},
  ): Promise<PutResult> {
    const mtimeMs = options.mtimeMs ?? this.#context.clock.wallMs();
    const source = new BytesSource(Buffer.from(target), { mode: LINK_MODE, mtimeMs });
    return await this.#puts.upload(source, parsePath(remote), options);
  }

  /**
   * Puts many local files, each in one atomic step: those below 1 MiB go together in packs, which
   * is many times as fast as one by one. The answers are in the order of `files`: what `put` tells,
   * or the error with which that file failed; only an abort of the signal is thrown.
   */
  putMany(
    files: readonly { local: string; remote: string }[],
    options: PutOptions = {},
  ): Promise<(PutResult | TydfsError)[]> {
    return putMany(this, files, { ...options, parallel: this.#context.parallel });
  }

  /**
   * Puts what of `files` can go in packs now. The answers are in their order: undefined for one
   * that is to be put by itself, which tells what is wrong with it, if anything is. Throws only the
   * signal's reason.
   */
  putPacked(
    files: readonly SmallFile[],
    options: PackedOptions = {},
  ): Promise<PackedOutcome[]> {
    return this.#packer.put(files, options);
  }

  /** The target of a symbolic link. Throws `invalid` when the bytes can't be one. */
  async readLink(remote: string, options: ReadOptions = {}): Promise<string> {
    return await readTarget(this.read(remote, options), remote);
  }

  /**
   * Gets a file to a local path (into it, when that is a directory). A local file that is there is
   * replaced when the download is whole, and untouched otherwise. What an interrupted get has left
   * is gone on with, also for another version of the file.
   */
  async get(remote: string, local: string, options: GetOptions = {}): Promise<GetResult> {
    return await this.#gets.get(parsePath(remote), local, options);
  }

  /**
   * Gets many small files (less than 1 MiB each) to local paths, in place of files or links that
   * are there: those that share a chunk come by one transfer. Missing directories are made. Each
   * file is replaced when it is whole, and untouched otherwise. What is told of those that could
   * not be got this way, whatever the reason, is undefined: `get` does it, or says why not. Of two
   * files with the same local path either one stays. Throws the signal's reason when it aborts.
   */
  async getMany(
    files: readonly ManyFile[],
    options: GetManyOptions = {},
  ): Promise<(GetResult | undefined)[]> {
    // Only those who have many need it.
    const { getMany } = await import("./small_files/get_many.ts");
    const parsed = files.map(({ remote, local }) => ({ remote: parsePath(remote), local }));
    return await getMany(this.#context, parsed, options);
  }

  /**
   * A file's bytes in order, or `length` of them from `offset` on, fetched ahead within bounds. Of
   * a part no more is fetched than the blocks that it lies in.
   */
  async *read(remote: string, options: ReadOptions = {}): AsyncGenerator<Uint8Array> {
    const { read } = await this.open(remote, options);
    yield* read(options);
  }

  /**
   * Opens the version of a file that is there now, to be read in parts that belong together: they
   * stay readable when the file is replaced or removed meanwhile, until the trash is emptied.
   */
  async open(remote: string, options: OperationOptions = {}): Promise<OpenFile> {
    const path = parsePath(remote);
    const file = await RemoteFile.open(this.#context, path, signalOf(options));
    return {
      facts: file.facts,
      read: (part = {}) =>
        downloadInOrder(this.#context, file, {
          signal: signalOf(part),
          onProgress: part.onProgress ?? ignore,
          span: spanOf(file.facts.sizeBytes, part),
        }),
    };
  }

  /**
   * The entries of a directory in byte order (all below it with `recursive`), or the one file that
   * `remote` names. With `after` those behind that path, which need not exist.
   */
  async *list(
    remote: string,
    options: OperationOptions & { recursive?: boolean; after?: string } = {},
  ): AsyncGenerator<Entry> {
    const { recursive = false } = options;
    const path = parsePath(remote);
    const ask = { signal: signalOf(options), repeatable: true };
    let { after } = options;
    for (;;) {
      const request = { path, recursive, limit: LIST_PAGE_MAX, ...(after && { after }) };
      const page = await this.#context.trackers.ask(dirList, request, ask);
      yield* page.entries;
      if (page.next === undefined) return;
      after = page.next;
    }
  }

  /** What is known of a path; with `locations` also where each chunk lies. */
  async stat(
    remote: string,
    options: OperationOptions & { locations?: boolean } = {},
  ): Promise<StatResult> {
    const path = parsePath(remote);
    if (options.locations !== true) {
      const { entry, checksum, replicas } = await this.#stats.stat(path, options);
      return { entry, checksum, replicas, chunks: [] };
    }
    const ask = { signal: signalOf(options), repeatable: true };
    const { trackers } = this.#context;
    let page = await trackers.ask(fileStat, { path, fromSeq: 0 }, ask);
    const { entry, checksum, replicas, inode } = page;
    const chunks = [...page.chunks];
    while (page.more && page.chunks.length > 0) {
      page = await trackers.ask(fileStat, { path, inode, fromSeq: chunks.length }, ask);
      chunks.push(...page.chunks);
    }
    return { entry, checksum, replicas, chunks };
  }

  /**
   * What a video file (mp4, mov, webm, mkv) says of itself, read from its headers. Throws `invalid`
   * when it is none or broken, `limit` or `timeout` when that takes too much.
   */
  async media(remote: string, options: OperationOptions = {}): Promise<MediaFacts> {
    // It stands on a library that nothing else needs.
    const { readMedia } = await import("./media.ts");
    const { clock } = this.#context;
    const signal = signalOf(options);
    return await readMedia(await this.open(remote, { signal }), { clock, signal });
  }

  /**
   * Takes a path away, a directory only when it is empty or with `recursive`. Returns what went.
   */
  remove(
    remote: string,
    options: OperationOptions & { recursive?: boolean } = {},
  ): Promise<{ files: number; directories: number }> {
    const request = { path: parsePath(remote), recursive: options.recursive ?? false };
    return this.#once(fileRemove, request, options);
  }

  /**
   * Moves a path as `mv` does: into `to` when that is a directory, else onto it (always onto it
   * when that is `exact`). Returns the new path.
   */
  async rename(from: string, to: string, options: MoveOptions = {}): Promise<string> {
    const source = parsePath(from);
    const target = await this.#target(source, to, options);
    const request = { from: source, to: target, replace: options.replace ?? true };
    return (await this.#once(fileRename, request, options)).path;
  }

  /** Makes a directory; with `parents` those above it too, and one that exists is no error. */
  makeDirectory(
    remote: string,
    options: OperationOptions & { parents?: boolean; mode?: number; mtimeMs?: number } = {},
  ): Promise<{ path: string; made: boolean }> {
    const { parents = false, mode, mtimeMs } = options;
    const request = {
      path: parsePath(remote),
      parents,
      owner: this.#context.owner,
      ...(mode === undefined ? {} : { mode }),
      ...(mtimeMs === undefined ? {} : { mtimeMs }),
    };
    return this.#once(dirMake, request, options);
  }

  /**
   * Copies a file as `cp` does: into `to` when that is a directory, else onto it (always onto it
   * when that is `exact`). No byte moves. Returns the new path.
   */
  async copy(from: string, to: string, options: MoveOptions = {}): Promise<string> {
    const source = parsePath(from);
    const target = await this.#target(source, to, options);
    const { owner } = this.#context;
    const request = { from: source, to: target, replace: options.replace ?? true, owner };
    return (await this.#once(fileCopy, request, options)).path;
  }

  /** Gives a file or directory another mode or time of modification; its version stays. */
  async set(
    remote: string,
    facts: { mode?: number; mtimeMs?: number },
    options: OperationOptions = {},
  ): Promise<void> {
    const ask = { signal: signalOf(options), repeatable: true };
    await this.#context.trackers.ask(fileSet, { path: parsePath(remote), ...facts }, ask);
  }

  /** A page of the logged changes of names behind number `after`, the oldest first. */
  loggedEvents(
    after: number,
    limit: number,
    options: OperationOptions = {},
  ): Promise<{ events: LoggedEvent[]; forgotten: number; latest: number }> {
    const ask = { signal: signalOf(options), repeatable: true };
    return this.#context.trackers.ask(eventList, { after, limit }, ask);
  }

  /**
   * Hears what happens from now on, until the signal aborts; what happens while the connection is
   * down is not heard, and `onGap` is called when it is back.
   */
  listen(
    hear: (event: ClusterEvent) => void,
    signal: AbortSignal,
    onGap: () => void = ignore,
  ): void {
    const { log } = this.#context;
    const onFailure = (subject: string, error: unknown) =>
      log.warn("An event can't be read", { subject, error });
    const subject = this.#subjects.event("*");
    const subscription = listenOn(this.#bus, subject, ClusterEventSchema, onFailure, hear);
    signal.addEventListener("abort", () => void subscription.stop(), { once: true });
    this.#bus.onReconnect(() => {
      if (!signal.aborted) onGap();
    });
  }

  /** Appends a placement rule; returns the number that names it. */
  async addRule(facts: RuleFacts, options: OperationOptions = {}): Promise<number> {
    return (await this.#once(ruleAdd, facts, options)).id;
  }

  /** Takes a placement rule away. */
  async removeRule(id: number, options: OperationOptions = {}): Promise<void> {
    await this.#once(ruleRemove, { id }, options);
  }

  /** The placement rules in the order in which they are tried. */
  async rules(options: OperationOptions = {}): Promise<Rule[]> {
    const ask = { signal: signalOf(options), repeatable: true };
    return (await this.#context.trackers.ask(ruleList, {}, ask)).rules;
  }

  /** Gives the files that are there what the rules now say; tells after each page. */
  async *applyRules(
    options: OperationOptions = {},
  ): AsyncGenerator<{ files: number; changed: number }> {
    const ask = { signal: signalOf(options), repeatable: true };
    let after: string | undefined;
    for (;;) {
      const request = after === undefined ? {} : { after };
      const page = await this.#context.trackers.ask(ruleApply, request, ask);
      yield { files: page.files, changed: page.changed };
      if (page.next === undefined) return;
      after = page.next;
    }
  }

  /** What an operator asks of the cluster. */
  get operator(): Operator {
    return new Operator(this.#context.trackers);
  }

  /** The state of the whole cluster. */
  status(options: OperationOptions = {}): Promise<ClusterStatus> {
    const ask = { signal: signalOf(options), repeatable: true };
    return this.#context.trackers.ask(clusterStatus, {}, ask);
  }

  /**
   * The path at which something called `name` lands: inside `remote` when that is (or ends like) a
   * directory.
   */
  async resolveRemote(
    remote: string,
    name: string,
    options: OperationOptions = {},
  ): Promise<string> {
    const path = parsePath(remote);
    if (remote.endsWith("/")) return parsePath(joinPath(path, name));
    try {
      const { entry } = await this.stat(path, options);
      return entry.kind === "directory" ? parsePath(joinPath(path, name)) : path;
    } catch (error) {
      if (hasCode(error, "not-found")) return path;
      throw error;
    }
  }

  /** Leaves the cluster. */
  async close(): Promise<void> {
    await this.#context.receivers?.close();
    await this.#bus.close();
  }

  #target(source: string, to: string, options: MoveOptions): Promise<string> {
    if (options.exact === true) return Promise.resolve(parsePath(to));
    return this.resolveRemote(to, baseName(source), options);
  }

  #once<Request, Reply>(
    procedure: Rpc<Request, Reply>,
    request: Request,
    options: OperationOptions,
  ): Promise<Reply> {
    const ask = { signal: signalOf(options), repeatable: false };
    return this.#context.trackers.ask(procedure, request, ask);
  }
}

function ignore(): void {}
