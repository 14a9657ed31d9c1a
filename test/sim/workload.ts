/**
 * What simulated clients do: each a short list of operations, thrown by its own dice, one after the
 * other. Every file has bytes of its own, so that what is read tells which put it came from.
 */
import type { Random } from "../../src/base/random.ts";
import { randomInt, seededRandom } from "../../src/base/random.ts";
import { TydfsClient } from "../../src/client/client.ts";
import type { ErrorCode } from "../../src/wire/errors.ts";
import { ERROR_CODES, hasCode, TydfsError } from "../../src/wire/errors.ts";
import { subjectsOf } from "../../src/wire/subjects.ts";
import type { Cluster } from "./cluster.ts";
import { CLUSTER } from "./cluster.ts";
import { DIRECTORY, type History, type Outcome, type Request } from "./history.ts";
import type { Operation } from "./history.ts";
import type { SimProcess } from "./process.ts";
import { Together } from "./together.ts";
import { SimTransport } from "./transport.ts";

const FLAT = ["/a", "/b", "/c", "/d"];
const DIR = "/e";
const PATHS = [...FLAT, `${DIR}/x`, `${DIR}/y`];
const MIB = 2 ** 20;
const THINK_MS = 1_500;
/** So many files at most are put or got together. */
const TOGETHER_MAX = 4;

/** Bytes that all contents are cut from. */
const pool = seededRandom(1).bytes(2 * MIB + 64 * 1024);

/** The contents that were made, by name and by sum. */
export class Contents {
  readonly #bytesByName = new Map<string, Uint8Array>();
  readonly #nameBySum = new Map<string, string>();

  /**
   * Makes a content of some size; mostly small ones, now and then of several chunks. Of those that
   * are put together one is often most of the pack, which is sparse when that one goes.
   */
  make(name: string, random: Random, together = false): Uint8Array {
    const tiny = [0, 1, randomInt(random, 200), randomInt(random, 5_000), 300 * 1024];
    const sizes = together ? [...tiny, 20_000, 60_000, 100_000] : tiny;
    const large = [MIB, MIB + 1 + randomInt(random, 40_000), 2 * MIB + 7];
    const choice = random.next() < 0.93
      ? sizes[randomInt(random, sizes.length)]
      : large[randomInt(random, large.length)];
    const sizeBytes = choice ?? 1;
    const bytes = pool.slice(0, sizeBytes);
    // Each block of each content has bytes of its own.
    for (let at = 0; at < sizeBytes; at += MIB) {
      const mark = new TextEncoder().encode(`${name}@${at}`);
      bytes.set(mark.subarray(0, sizeBytes - at), at);
    }
    if (this.#nameBySum.has(sumOf(bytes))) return this.make(name, random, together);
    this.#bytesByName.set(name, bytes);
    this.#nameBySum.set(sumOf(bytes), name);
    return bytes;
  }

  /** The content that these bytes are, whole. */
  identify(bytes: Uint8Array): string | undefined {
    return this.#nameBySum.get(sumOf(bytes));
  }

  sizeOf(name: string): number {
    return this.#bytesByName.get(name)?.length ?? -1;
  }
}

function sumOf(bytes: Uint8Array): string {
  return `${bytes.length}:${Bun.hash.xxHash3(bytes)}`;
}

/** An operation that has begun. */
interface Begun {
  operation: Operation;
  request: Request;
  /** What a put puts. */
  bytes: Uint8Array | undefined;
  must: boolean;
}

/** A client, and what of it does several files together. */
interface Hands {
  client: TydfsClient;
  together: Together;
}

/** One client, and after its crash the one that takes its place. */
export class Worker {
  readonly name: string;
  readonly random: Random;
  readonly #cluster: Cluster;
  readonly #history: History;
  readonly #contents: Contents;
  readonly #onPut: (version: number) => void;
  readonly #packing: number;
  #left: number;
  #starts = 0;
  process: SimProcess | undefined;

  constructor(options: {
    name: string;
    operations: number;
    cluster: Cluster;
    history: History;
    contents: Contents;
    /** A put was acknowledged just now, as this version. */
    onPut: (version: number) => void;
    /** The share of operations that are done to several files together. */
    packing: number;
  }) {
    const { name, operations, cluster } = options;
    this.name = name;
    this.#left = operations;
    this.#cluster = cluster;
    this.#history = options.history;
    this.#contents = options.contents;
    this.#onPut = options.onPut;
    this.#packing = options.packing;
    this.random = cluster.random(name);
  }

  /** It has nothing left to do. */
  get idle(): boolean {
    return this.#left <= 0;
  }

  /** Starts it, or after a crash another one. */
  start(): void {
    const process = this.#cluster.process(this.name, this.name);
    this.process = process;
    const hands = this.#connect(process);
    const work = async () => {
      while (this.#left > 0) {
        await process.clock.sleep(this.random.next() * THINK_MS);
        const isTogether = this.random.next() < this.#packing;
        if (isTogether) await this.#performTogether(hands);
        else await this.#perform(hands.client, this.#choose());
        this.#left--;
      }
    };
    work().catch((error) => {
      if (process.alive) this.#cluster.violate(`${this.name} broke down: ${String(error)}`);
    });
  }

  /** Ends it in the middle of what it does, and starts another one. */
  crash(): void {
    if (this.idle) return;
    this.#cluster.trace.note(this.name, "KILL");
    this.process?.kill();
    this.#left--;
    this.start();
  }

  /** Looks at everything that is left, as somebody who comes later. */
  async lookAtAll(): Promise<void> {
    const { client } = this.#connect(this.#cluster.process(this.name, this.name));
    await this.#perform(client, { kind: "list" });
    for (const path of PATHS) await this.#perform(client, { kind: "get", path }, true);
    this.#left = 0;
  }

  #connect(process: SimProcess): Hands {
    this.#starts++;
    const random = this.#cluster.random(`${this.name} ${this.#starts}`);
    const effects = {
      ...{ bus: this.#cluster.nats.connect(process), subjects: subjectsOf(CLUSTER) },
      ...{ transport: new SimTransport(this.#cluster.ports, process), clock: process.clock },
      random,
    };
    const settings = { waitMs: 8_000, log: this.#cluster.log(process, "client") };
    const client = new TydfsClient(effects, settings);
    return { client, together: new Together(client, effects, settings) };
  }

  #choose(): Request {
    const pick = (paths: readonly string[]) => paths[randomInt(this.random, paths.length)] ?? "/a";
    const path = pick(PATHS);
    const other = (paths: readonly string[]) => pick(paths.filter((each) => each !== path));
    const content = `${this.name}.${this.#left}`;
    const exclusive = this.random.next() < 0.1;
    const shares: [number, Request][] = [
      [0.4, { kind: "put", path, content, exclusive }],
      [0.26, { kind: "get", path }],
      [0.08, { kind: "remove", path, recursive: false }],
      [0.02, { kind: "remove", path: DIR, recursive: true }],
      [0.07, { kind: "rename", from: path, to: other(FLAT) }],
      [0.05, { kind: "copy", from: path, to: other(PATHS) }],
      [0.05, { kind: "undelete", path }],
      [0.02, { kind: "mkdir", path: DIR }],
    ];
    let dice = this.random.next();
    const chosen = shares.find(([share]) => (dice -= share) < 0);
    return chosen?.[1] ?? { kind: "list" };
  }

  async #perform(client: TydfsClient, request: Request, must = false): Promise<void> {
    await this.#finish(client, this.#begin(request, { must }));
  }

  /** Puts or gets several files together; each is an operation of its own. */
  async #performTogether({ client, together }: Hands): Promise<void> {
    const paths = Array.from(
      { length: 2 + randomInt(this.random, TOGETHER_MAX - 1) },
      () => PATHS[randomInt(this.random, PATHS.length)] ?? "/a",
    );
    const exclusive = this.random.next() < 0.1;
    const begun = this.random.next() < 0.7
      ? paths.map((path, index) => {
        const content = `${this.name}.${this.#left}.${index}`;
        return this.#begin({ kind: "put", path, content, exclusive }, { together: true });
      })
      : paths.map((path) => this.#begin({ kind: "get", path }));
    const left: Begun[] = [];
    const versions = new Set<number>();
    const outcomes = begun.some(({ bytes }) => bytes !== undefined)
      ? await together.put(begun.map(({ bytes }, at) => ({ path: paths[at] ?? "", bytes })), {
        exclusive,
      })
      : await together.get(paths);
    for (const [at, each] of begun.entries()) {
      const outcome = outcomes[at];
      if (outcome === undefined) left.push(each);
      else if (outcome instanceof TydfsError) this.#fail(each, outcome);
      else this.#answer(each, this.#told(outcome, each, versions));
    }
    // As everybody does who does several together: what has no outcome is done by itself.
    for (const each of left) await this.#finish(client, each);
  }

  #told(
    outcome: { version: number } | { found: Uint8Array },
    { request }: Begun,
    versions: Set<number>,
  ): Outcome {
    if ("found" in outcome) return { kind: "done", found: this.#identify(request, outcome.found) };
    // All files of a pack have the same one.
    if (!versions.has(outcome.version)) this.#onPut(outcome.version);
    versions.add(outcome.version);
    return { kind: "done" };
  }

  #begin(request: Request, { must = false, together = false } = {}): Begun {
    const bytes = request.kind === "put"
      ? this.#contents.make(request.content, this.random, together)
      : undefined;
    const operation = this.#history.call(this.name, request);
    const what = `#${operation.no} ${textOf(request)} ${bytes?.length ?? ""}`;
    this.#cluster.trace.note(this.name, "CALL", what);
    return { operation, request, bytes, must };
  }

  async #finish(client: TydfsClient, begun: Begun): Promise<void> {
    try {
      const found = await this.#ask(client, begun.request, begun.bytes);
      this.#answer(begun, found === undefined ? { kind: "done" } : { kind: "done", found });
    } catch (error) {
      this.#fail(begun, error);
    }
  }

  #fail(begun: Begun, error: unknown): void {
    const { operation, request, must } = begun;
    const outcome = outcomeOf(error, request);
    this.#cluster.trace.note(this.name, "ERROR", `#${operation.no} ${String(error)}`);
    if (must && outcome.kind === "failed") {
      this.#cluster.violate(`${textOf(request)} fails when all is well: ${String(error)}`);
    }
    this.#answer(begun, outcome);
  }

  #answer({ operation, request }: Begun, outcome: Outcome): void {
    this.#history.answer(operation, outcome);
    const what = `#${operation.no} ${textOf(request)} ${JSON.stringify(outcome)}`;
    this.#cluster.trace.note(this.name, "ANSWER", what);
  }

  async #ask(
    client: TydfsClient,
    request: Request,
    bytes: Uint8Array | undefined,
  ): Promise<string | undefined> {
    switch (request.kind) {
      case "put": {
        const { path, exclusive } = request;
        const put = await client.putMemory(bytes ?? new Uint8Array(), path, { exclusive });
        this.#onPut(put.version);
        return undefined;
      }
      case "get": {
        const parts: Uint8Array[] = [];
        for await (const part of client.read(request.path)) parts.push(part);
        return this.#identify(request, Buffer.concat(parts));
      }
      case "remove":
        await client.remove(request.path, { recursive: request.recursive });
        return undefined;
      case "copy":
        await client.copy(request.from, request.to, { exact: true });
        return undefined;
      case "mkdir":
        await client.makeDirectory(request.path, { parents: true });
        return undefined;
      case "undelete":
        await client.operator.undelete(request.path, { replace: false });
        return undefined;
      case "rename":
        await client.rename(request.from, request.to, { exact: true });
        return undefined;
      case "list": {
        const names: string[] = [];
        for await (const { path, kind, size } of client.list("/", { recursive: true })) {
          names.push(`${path}:${kind === "directory" ? DIRECTORY : size}`);
        }
        return names.sort().join(" ");
      }
    }
  }

  #identify(request: Request, bytes: Uint8Array): string {
    const found = this.#contents.identify(bytes);
    if (found !== undefined) return found;
    this.#cluster.violate(`${textOf(request)} gave bytes that nobody has put there`);
    return "nothing known";
  }
}

function textOf({ kind, ...rest }: Request): string {
  return `${kind} ${Object.values(rest).map(String).join(" ")}`;
}

/** After these an operation may have been done (contract C3). */
function isUnknown(code: ErrorCode): boolean {
  return ERROR_CODES[code].retry === "unknown" || code === "interrupted";
}

function outcomeOf(error: unknown, request: Request): Outcome {
  if (!(error instanceof TydfsError)) throw error;
  if (isUnknown(error.code)) return { kind: "unknown" };
  if (hasCode(error, "not-found") && request.kind !== "put") return { kind: "absent" };
  const mayExist = request.kind === "put" || request.kind === "undelete";
  if (hasCode(error, "exists") && mayExist) return { kind: "exists" };
  return { kind: "failed" };
}
