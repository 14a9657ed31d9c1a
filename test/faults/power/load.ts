/**
 * A seeded load of writers, and the model beside it: what was acknowledged, what is in doubt. Each
 * writer has paths of its own, so that each path has one order.
 */
import { systemRandom } from "../../../src/base/random.ts";
import type { TydfsClient } from "../../../src/client/client.ts";
import { hasCode } from "../../../src/wire/errors.ts";
import { makeId } from "../../../src/wire/ids.ts";

/** A version of a file by its bytes; "absent" is one, too. */
type Version = string;
const ABSENT: Version = "absent";

const WRITERS = 6;
/** Files beyond this are removed, the oldest first, so that disks of any size last. */
const FILES_MAX = 40;
const HISTORY_MAX = 4;
const SIZES_BYTES = [0, 1, 4_000, 300_000, 2 ** 20, 2 ** 20 + 1, 3_500_000];

/** Numbers from a seed (mulberry32, Tommy Ettinger). */
export function seededRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = state + 0x6d2b79f5 | 0;
    let mixed = Math.imul(state ^ state >>> 15, 1 | state);
    mixed = mixed + Math.imul(mixed ^ mixed >>> 7, 61 | mixed) ^ mixed;
    return ((mixed ^ mixed >>> 14) >>> 0) / 2 ** 32;
  };
}

export class Load {
  readonly #random: () => number;
  /** The versions that a path may have now. */
  readonly #possible = new Map<string, Set<Version>>();
  /** What became of each path's latest changes, for people who look for the reason of a loss. */
  readonly #history = new Map<string, string[]>();
  #acknowledged = 0;
  #doubtful = 0;

  constructor(random: () => number) {
    this.#random = random;
  }

  get acknowledged(): number {
    return this.#acknowledged;
  }

  get doubtful(): number {
    return this.#doubtful;
  }

  /** Writes until `signal` is aborted; what runs then is in doubt. Resolves when nothing runs. */
  async run(client: TydfsClient, signal: AbortSignal): Promise<void> {
    const writers = Array.from(
      { length: WRITERS },
      (_, writer) => this.#write(client, writer, signal),
    );
    await Promise.all(writers);
  }

  /** Puts `count` files, one after the other. Nothing is under way when it resolves. */
  async putSome(client: TydfsClient, count: number): Promise<void> {
    const { signal } = new AbortController();
    for (let n = 0; n < count; n++) {
      await this.#change(client, `/0/${makeId(systemRandom)}`, false, signal);
    }
  }

  /**
   * Compares the cluster with the model; returns a line for each loss, up to the first file that
   * can't be read within `patienceMs`.
   */
  async check(client: TydfsClient, patienceMs: number): Promise<string[]> {
    const losses: string[] = [];
    for (const [path, possible] of this.#possible) {
      const signal = AbortSignal.timeout(patienceMs);
      const found = await read(client, path, signal);
      if (!possible.has(found)) {
        const history = this.#history.get(path)?.join("; ") ?? "";
        losses.push(`${path}: ${found}, but after ${history}`);
        this.#possible.set(path, new Set([found]));
        if (signal.aborted) return losses;
      }
    }
    for await (const { path, kind } of client.list("/", { recursive: true })) {
      if (kind === "file" && !this.#possible.has(path)) losses.push(`${path}: nobody has put it`);
    }
    return losses;
  }

  async #write(client: TydfsClient, writer: number, signal: AbortSignal): Promise<void> {
    for (let failures = 0; !signal.aborted && failures < 10;) {
      const own = [...this.#possible.keys()].filter((path) => path.startsWith(`/${writer}/`));
      const draw = this.#random();
      const old = own[Math.floor(this.#random() * own.length)];
      const isFull = own.length > FILES_MAX / WRITERS;
      const path = old !== undefined && (isFull || draw < 0.4)
        ? old
        : `/${writer}/${makeId(systemRandom)}`;
      const done = await this.#change(client, path, isFull || draw < 0.15, signal);
      failures = done ? 0 : failures + 1;
    }
  }

  /** One change of one path; whether it was acknowledged. */
  async #change(
    client: TydfsClient,
    path: string,
    isRemoval: boolean,
    signal: AbortSignal,
  ): Promise<boolean> {
    const before = this.#possible.get(path) ?? new Set([ABSENT]);
    const bytes = isRemoval ? undefined : this.#bytes();
    const version = bytes === undefined ? ABSENT : versionOf(bytes);
    // From before its first byte is sent until it is acknowledged, it may be there or not.
    this.#possible.set(path, new Set([...before, version]));
    const startMs = performance.now();
    const note = (end: string) => this.#note(path, `${version} (${startMs.toFixed(0)} ${end})`);
    try {
      if (bytes === undefined) await removeOnce(client, path, signal);
      else await client.putMemory(bytes, path, { signal });
      this.#acknowledged++;
      note("acknowledged");
      if (version === ABSENT) this.#possible.delete(path);
      else this.#possible.set(path, new Set([version]));
      return true;
    } catch (error) {
      this.#doubtful++;
      note(error instanceof Error ? error.message : String(error));
      return false;
    }
  }

  #note(path: string, event: string): void {
    const events = this.#history.get(path) ?? [];
    events.push(`${event} at ${performance.now().toFixed(0)} ms`);
    this.#history.set(path, events.slice(-HISTORY_MAX));
  }

  #bytes(): Uint8Array {
    const size = SIZES_BYTES[Math.floor(this.#random() * SIZES_BYTES.length)] ?? 0;
    const bytes = new Uint8Array(size);
    const words = new Uint32Array(bytes.buffer, 0, Math.floor(size / 4));
    for (let at = 0; at < words.length; at += 16) words[at] = this.#random() * 2 ** 32;
    if (size > 0) bytes[size - 1] = this.#random() * 256;
    return bytes;
  }
}

async function removeOnce(client: TydfsClient, path: string, signal: AbortSignal): Promise<void> {
  try {
    await client.remove(path, { signal });
  } catch (error) {
    if (!hasCode(error, "not-found")) throw error;
  }
}

function versionOf(bytes: Uint8Array): Version {
  return `${bytes.length} bytes ${Bun.hash.xxHash3(bytes).toString(16)}`;
}

async function read(client: TydfsClient, path: string, signal: AbortSignal): Promise<Version> {
  const pieces: Uint8Array[] = [];
  try {
    for await (const piece of client.read(path, { signal })) pieces.push(piece.slice());
    return versionOf(Buffer.concat(pieces));
  } catch (error) {
    if (hasCode(error, "not-found")) return ABSENT;
    return error instanceof Error ? error.message : String(error);
  }
}
