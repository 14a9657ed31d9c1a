/**
 * Puts small files together in packs: plans, builds, sends. Memory is bounded: a few packs at a
 * time, in buffers that are used again. It never fails as a whole: what can't be put in a pack is
 * left to be put by itself.
 */
import { AssertionError } from "../../base/assert.ts";
import { MIB } from "../../base/bytes.ts";
import { Limiter } from "../../base/limit.ts";
import { hasCode, TydfsError } from "../../wire/errors.ts";
import type { ClientContext } from "../context.ts";
import { signalOf } from "../context.ts";
import { buildPack } from "./build.ts";
import type { PlannedPack } from "./plan.ts";
import { PACK_FILES_MIN, planPacks, PUT_LIMITS, PUT_PACK_BYTES } from "./plan.ts";
import { sendPack } from "./send.ts";
import type { PackedOptions, PackedOutcome, SmallFile } from "./small_file.ts";

/** Packs in memory at once: while one is made durable, the next is read and sent. */
export const PACKS_AT_ONCE = 2;
/**
 * When no master has answered, or it knows nothing of packs, files go by themselves for this long
 * before packs are tried again.
 */
const PAUSE_MS = 30_000;

export class Packer {
  readonly #context: ClientContext;
  readonly #slots = new Limiter(PACKS_AT_ONCE);
  readonly #buffers: Uint8Array[] = [];
  /** The bytes of a pack: fewer where the cluster's chunks are smaller. */
  #bytesMax = PUT_PACK_BYTES;
  #pausedUntilMs = -Infinity;

  constructor(context: ClientContext) {
    this.#context = context;
  }

  /**
   * Puts what of `files` can go in packs; the answers are in their order. Throws only the signal's
   * reason when it aborts.
   */
  async put(
    files: readonly SmallFile[],
    options: PackedOptions,
  ): Promise<PackedOutcome[]> {
    const signal = signalOf(options);
    const outcomes: PackedOutcome[] = files.map(() => undefined);
    signal.throwIfAborted();
    const limits = { ...PUT_LIMITS, bytes: this.#bytesMax };
    const packs = planPacks(files, this.#context.owner, limits);
    const all = { ...options, signal };
    await Promise.all(packs.map((pack) =>
      this.#slots.run(async () => {
        signal.throwIfAborted();
        if (this.#isPaused()) return;
        await this.#putPack(files, pack, all, outcomes);
      })
    ));
    return outcomes;
  }

  /** Puts one pack, and sets the outcomes of its files. */
  async #putPack(
    files: readonly SmallFile[],
    { indexes, bytesMax }: PlannedPack,
    options: PackedOptions & { signal: AbortSignal },
    outcomes: PackedOutcome[],
  ): Promise<void> {
    const { clock, owner, log } = this.#context;
    const { signal } = options;
    const startMs = clock.monotonicMs();
    const buffer = this.#takeBuffer(bytesMax);
    try {
      const pack = await buildPack(files, indexes, buffer, { owner, clock, signal });
      if (pack.files.length >= PACK_FILES_MIN) {
        const sent = await sendPack(this.#context, pack, options);
        const elapsedMs = Math.round(clock.monotonicMs() - startMs);
        for (const [at, outcome] of sent.entries()) {
          const index = pack.indexes[at];
          if (index === undefined || outcome === undefined) continue;
          outcomes[index] = outcome instanceof TydfsError
            ? outcome
            : { ...outcome, resumedBytes: 0, elapsedMs };
        }
      }
      this.#giveBack(buffer);
    } catch (error) {
      // The buffer is not given back: a late stream might still send of it.
      signal.throwIfAborted();
      if (error instanceof AssertionError) throw error;
      log.debug("Cannot put a pack; its files go by themselves", { files: indexes.length, error });
      this.#learn(error);
    }
  }

  #learn(error: unknown): void {
    const { clock } = this.#context;
    if (hasCode(error, "no-master", "unavailable", "timeout")) {
      this.#pausedUntilMs = clock.monotonicMs() + PAUSE_MS;
    }
    // What is wrong is perhaps that chunks of this cluster must be smaller.
    if (hasCode(error, "invalid")) this.#bytesMax = Math.max(MIB, this.#bytesMax / 2);
  }

  #isPaused(): boolean {
    return this.#context.clock.monotonicMs() < this.#pausedUntilMs;
  }

  #takeBuffer(bytes: number): Uint8Array {
    const index = this.#buffers.findIndex((buffer) => buffer.length >= bytes);
    const [found] = index < 0 ? [] : this.#buffers.splice(index, 1);
    // Memory that is never written costs nothing, so that the large one serves all.
    return found ?? new Uint8Array(Math.max(bytes, PUT_PACK_BYTES));
  }

  #giveBack(buffer: Uint8Array): void {
    if (this.#buffers.length < PACKS_AT_ONCE) this.#buffers.push(buffer);
  }
}
