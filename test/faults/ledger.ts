/**
 * What a cluster must hold: each change goes through here, and what was acknowledged and what is
 * in doubt is kept beside it. One change of a path at a time.
 */
import type { TydfsClient } from "../../src/client/client.ts";
import { hasCode, TydfsError } from "../../src/wire/errors.ts";

/** A version of a file by its bytes; "absent" is one, too. */
type Version = string;
const ABSENT: Version = "absent";
const HISTORY_MAX = 4;

export interface ChangeOptions {
  signal?: AbortSignal;
  replicas?: number;
}

export class Ledger {
  /** The versions that a path may have now. */
  readonly #possible = new Map<string, Set<Version>>();
  /** What became of each path's latest changes, for people who look for the reason of a loss. */
  readonly #history = new Map<string, string[]>();
  #acknowledged = 0;
  #doubtful = 0;

  /** Changes that were answered. */
  get acknowledged(): number {
    return this.#acknowledged;
  }

  /** Changes of which nobody knows whether they were done. */
  get doubtful(): number {
    return this.#doubtful;
  }

  /** Paths that have, or may have, a file. */
  get paths(): string[] {
    return [...this.#possible.keys()];
  }

  /** Puts bytes at a path. Returns why it is in doubt, undefined when it was acknowledged. */
  async put(
    client: TydfsClient,
    path: string,
    bytes: Uint8Array,
    options: ChangeOptions = {},
  ): Promise<unknown> {
    return await this.#change(path, versionOf(bytes), () => client.putMemory(bytes, path, options));
  }

  /** Puts local files together, as packs. Returns why each is in doubt, as `put` does. */
  async putMany(
    client: TydfsClient,
    files: readonly { path: string; local: string; bytes: Uint8Array }[],
    options: ChangeOptions = {},
  ): Promise<unknown[]> {
    const pairs = files.map(({ path, local }) => ({ local, remote: path }));
    let outcomes: ReturnType<TydfsClient["putMany"]> | undefined;
    return await Promise.all(files.map(({ path, bytes }, index) => {
      return this.#change(path, versionOf(bytes), async () => {
        outcomes ??= client.putMany(pairs, options);
        const outcome = (await outcomes)[index];
        if (outcome instanceof TydfsError) throw outcome;
      });
    }));
  }

  /** Removes a path; what is not there is removed already. The same result. */
  async remove(client: TydfsClient, path: string, options: ChangeOptions = {}): Promise<unknown> {
    return await this.#change(path, ABSENT, async () => {
      try {
        await client.remove(path, options);
      } catch (error) {
        if (!hasCode(error, "not-found")) throw error;
      }
    });
  }

  /** A path may have been given these bytes by somebody who was not heard of again. */
  doubt(path: string, bytes: Uint8Array): void {
    this.#possible.set(path, new Set([...this.#before(path), versionOf(bytes)]));
  }

  /**
   * Reads all and compares; returns a line for each file that is not what it must be, up to the
   * first that can't be read within `patienceMs`.
   */
  async check(client: TydfsClient, patienceMs = 45_000): Promise<string[]> {
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

  async #change(path: string, version: Version, run: () => Promise<unknown>): Promise<unknown> {
    const startMs = performance.now();
    const note = (end: string) => this.#note(path, `${version} (${startMs.toFixed(0)} ${end})`);
    // From before its first byte is sent until it is acknowledged, it may be there or not.
    this.#possible.set(path, new Set([...this.#before(path), version]));
    try {
      await run();
    } catch (error) {
      this.#doubtful++;
      note(error instanceof Error ? error.message : String(error));
      return error;
    }
    this.#acknowledged++;
    note("acknowledged");
    if (version === ABSENT) this.#possible.delete(path);
    else this.#possible.set(path, new Set([version]));
    return undefined;
  }

  #before(path: string): Set<Version> {
    return this.#possible.get(path) ?? new Set([ABSENT]);
  }

  #note(path: string, event: string): void {
    const events = this.#history.get(path) ?? [];
    events.push(`${event} at ${performance.now().toFixed(0)} ms`);
    this.#history.set(path, events.slice(-HISTORY_MAX));
  }
}

/** `size` bytes that differ for different draws of `random`. */
export function someBytes(size: number, random: () => number): Uint8Array {
  const bytes = new Uint8Array(size);
  const words = new Uint32Array(bytes.buffer, 0, Math.floor(size / 4));
  for (let at = 0; at < words.length; at += 16) words[at] = random() * 2 ** 32;
  if (size > 0) bytes[size - 1] = random() * 256;
  return bytes;
}

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
