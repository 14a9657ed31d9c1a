/**
 * Makes a pack out of what lives in others: reads it from keepers, block by verified block, and
 * puts the new pack onto keepers as a client would.
 */
import type { PolicyFacts } from "../catalog/operation.ts";
import type { LoosePack } from "../catalog/pack_reader.ts";
import type { Log } from "../base/log.ts";
import type { ChunkTransport } from "../wire/chunk_http.ts";
import { hasCode, TydfsError } from "../wire/errors.ts";
import { makeId } from "../wire/ids.ts";
import { ROOT } from "../wire/names.ts";
import { encodeManifest, type PackedFile } from "../wire/pack.ts";
import { BLOCK_BYTES, sumsOf } from "../wire/sums.ts";
import type { ChunkPlacement } from "../wire/upload.ts";
import type { ChunkSource } from "./chunk_source.ts";
import type { BlockRun, CompactionPlan } from "./compaction_plan.ts";
import { planReads } from "./compaction_plan.ts";
import { noteFailure } from "./failures.ts";
import type { PlacingParts } from "./placing.ts";
import { checkRoom, placeChunk } from "./placing.ts";

export interface PackBuilderOptions extends PlacingParts {
  transport: ChunkTransport;
  source: ChunkSource;
  log: Log;
  signal: AbortSignal;
}

/** How a new pack is to be kept. */
export interface PackWish {
  goal: number;
  /** Copies without which it is not made. */
  minCopies: number;
  policy: PolicyFacts | undefined;
}

/** A pack that is durable. */
export interface BuiltPack {
  chunk: string;
  copies: number;
}

/** Blocks that are read at once: what is in memory besides the new pack. */
const BLOCKS_AT_ONCE = 4;
/** A PUT may take this long: 16 MiB at a slow pace, and its syncs. */
const PUT_MS = 60_000;

export class PackBuilder {
  readonly #options: PackBuilderOptions;

  constructor(options: PackBuilderOptions) {
    this.#options = options;
  }

  /**
   * Makes the pack durable, with as many copies as it is to have if there are keepers for them; all
   * waits end by themselves. Where too few keepers have the labels, and it may lie `anywhere` at
   * first, it lies on others: what is wrong about that is then repaired as of any chunk. Throws
   * what keeps it from being read, placed or stored.
   */
  async make(
    plan: CompactionPlan,
    taken: readonly LoosePack[],
    wish: PackWish,
    anywhere: boolean,
  ): Promise<BuiltPack> {
    const body = await this.#gather(plan, taken);
    try {
      return await this.#store(plan, body, wish);
    } catch (error) {
      this.#options.signal.throwIfAborted();
      const isShort = hasCode(error, "no-keepers", "no-space");
      if (!anywhere || wish.policy === undefined || !isShort) throw error;
      noteFailure(this.#options.log, "Cannot store a pack where it is to lie", error);
      return await this.#store(plan, body, { ...wish, policy: undefined });
    }
  }

  /** Stores it with as many copies as can be had, or else with as many as it must have. */
  async #store(plan: CompactionPlan, body: Uint8Array, wish: PackWish): Promise<BuiltPack> {
    const sums = sumsOf(body);
    const { goal, policy } = wish;
    // The old copies count as enough now: so are the new ones to do, but for what can't be had.
    const wanted = Math.min(goal, this.#countRoom(body.length, wish));
    const failed: string[] = [];
    try {
      const placement = this.#place(plan, sums, { goal, minCopies: wanted, policy });
      return await this.#put(body, placement, failed);
    } catch (error) {
      this.#options.signal.throwIfAborted();
      if (wanted === wish.minCopies && failed.length === 0) throw error;
      noteFailure(this.#options.log, "Cannot store a compacted pack with all copies", error);
      return await this.#put(body, this.#place(plan, sums, wish, failed), failed);
    }
  }

  /** The bytes of the new pack. */
  async #gather(plan: CompactionPlan, taken: readonly LoosePack[]): Promise<Uint8Array> {
    const body = new Uint8Array(plan.sizeBytes);
    body.set(encodeManifest(plan.files), plan.dataBytes);
    let start = 0;
    for (const { chunk, files } of plan.sources) {
      const pack = taken.find(({ id }) => id === chunk);
      if (pack === undefined) throw new TydfsError("internal", "A source of a pack is no pack");
      for (const run of planReads(files, pack.sizeBytes, BLOCKS_AT_ONCE)) {
        copyInto(body.subarray(start), files, run, await this.#options.source.read(pack, run));
      }
      start += files.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
    }
    return body;
  }

  /** Keepers that could take a copy now. */
  #countRoom(sizeBytes: number, { minCopies, policy }: PackWish): number {
    const room = { path: ROOT, sizeBytes, minCopies, wish: { policy } };
    const roomy = checkRoom(this.#options, room).filter(({ freeBytes }) => freeBytes >= sizeBytes);
    return Math.max(minCopies, roomy.length);
  }

  #place(
    plan: CompactionPlan,
    sums: Uint8Array,
    { goal, minCopies, policy }: PackWish,
    avoid: readonly string[] = [],
  ): ChunkPlacement {
    const { sizeBytes, files } = plan;
    const path = files[0]?.path ?? ROOT;
    const room = { path, sizeBytes, minCopies, wish: { policy } };
    const candidates = checkRoom(this.#options, room);
    const upload = makeId(this.#options.random);
    const origin = { path, upload, seq: 0, offset: 0, packed: true } as const;
    const request = { ...room, goal, sums, origin, candidates, avoid };
    return placeChunk(this.#options, request).placement;
  }

  /** Sends it to the first keeper that takes it; `failed` gets the ids of those that don't. */
  async #put(
    body: Uint8Array,
    { chunk, ticket, hops }: ChunkPlacement,
    failed: string[],
  ): Promise<BuiltPack> {
    const { transport, source, log, signal } = this.#options;
    let failure: unknown = new TydfsError("no-keepers", "Cannot store a pack: no keeper was named");
    for (const { keeper, host, port } of hops) {
      try {
        const { keepers } = await source.within(PUT_MS, (signal) => {
          return transport.put({ host, port }, { chunk, ticket, body, signal });
        });
        return { chunk, copies: keepers.length };
      } catch (error) {
        signal.throwIfAborted();
        noteFailure(log, "A keeper did not take a pack", error, { chunk, keeper });
        failure = error;
        if (hasCode(error, "no-keepers")) {
          // The head is well, but its chain is too short: another placement helps, not another hop.
          const stored = new Set(keepersOf(error));
          failed.push(...hops.map(({ keeper }) => keeper).filter((id) => !stored.has(id)));
          break;
        }
        failed.push(keeper);
      }
    }
    throw failure;
  }
}

/** The keepers that have the chunk, as the head of a chain that is too short names them. */
function keepersOf(error: TydfsError): string[] {
  const { keepers } = error.data;
  return Array.isArray(keepers) ? keepers : [];
}

/** Copies the parts of `files` that lie in a run of blocks to where they follow each other. */
function copyInto(
  target: Uint8Array,
  files: readonly PackedFile[],
  run: BlockRun,
  blocks: Uint8Array,
): void {
  const runStart = run.first * BLOCK_BYTES;
  let at = 0;
  for (const { offset, sizeBytes } of files) {
    const from = Math.max(offset, runStart);
    const to = Math.min(offset + sizeBytes, runStart + blocks.length);
    if (from < to) target.set(blocks.subarray(from - runStart, to - runStart), at + from - offset);
    at += sizeBytes;
  }
}
