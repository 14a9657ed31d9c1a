/**
 * Puts packs that are whole in memory: placed, sent as any chunk, then committed. Each file has an
 * outcome of its own.
 */
import { AssertionError } from "../../base/assert.ts";
import { failpoint } from "../../base/failpoint.ts";
import { hasCode, TydfsError } from "../../wire/errors.ts";
import type { PackBeginReply, PackOutcome } from "../../wire/pack.ts";
import { encodeManifest, packBegin, packCommit } from "../../wire/pack.ts";
import { sumsOf } from "../../wire/sums.ts";
import type { ChunkPlacement, Committed } from "../../wire/upload.ts";
import { ChunkSender, mustPlace } from "../chunk_sender.ts";
import type { ClientContext } from "../context.ts";
import { memoryBytes, MemorySource } from "../memory_source.ts";
import { unansweredCommit } from "../unanswered.ts";
import type { BuiltPack } from "./build.ts";
import { PACK_FILES_MIN } from "./plan.ts";
import type { PackedOptions } from "./small_file.ts";

/** What has become of each file of a pack, in its order; undefined: to be put by itself. */
type Outcomes = (Committed | TydfsError | undefined)[];

/**
 * Puts a pack. Where its files fall under several rules, each group of them becomes a pack of its
 * own, and what a failure behind the first leaves is undefined. Throws what placing and sending
 * throws, with nothing visible; but once a commit was not answered, the outcome of each file of
 * which nobody knows is `timeout`.
 */
export async function sendPack(
  context: ClientContext,
  pack: BuiltPack,
  options: PackedOptions & { signal: AbortSignal },
): Promise<Outcomes> {
  const { placement, groups } = await begin(context, pack, options, context.failures.all());
  if (placement !== undefined) return await sendPlaced(context, pack, placement, options);
  const outcomes: Outcomes = pack.files.map(() => undefined);
  for (const group of groups ?? []) {
    const part = partOf(pack, group);
    if (part.files.length < PACK_FILES_MIN) continue;
    try {
      const begun = await begin(context, part, options, context.failures.all());
      // The rules have changed meanwhile.
      if (begun.placement === undefined) continue;
      const ofPart = await sendPlaced(context, part, begun.placement, options);
      for (const [at, outcome] of ofPart.entries()) outcomes[group[at] ?? -1] = outcome;
    } catch (error) {
      options.signal.throwIfAborted();
      // What the groups before have put must not be put again.
      const isFirst = outcomes.every((outcome) => outcome === undefined);
      if (isFirst || error instanceof AssertionError) throw error;
      context.log.debug("Cannot put a part of a pack", { files: part.files.length, error });
      break;
    }
  }
  return outcomes;
}

function begin(
  context: ClientContext,
  { bytes, sums, files }: BuiltPack,
  { signal, replicas, minCopies }: PackedOptions & { signal: AbortSignal },
  avoid: string[],
): Promise<PackBeginReply> {
  const request = {
    sizeBytes: bytes.length,
    sums,
    paths: files.map(({ path }) => path),
    avoid,
    ...copiesOf({ replicas, minCopies }),
  };
  const ask = { signal, repeatable: true, waitMs: context.waitMs };
  return context.trackers.ask(packBegin, request, ask);
}

async function sendPlaced(
  context: ClientContext,
  pack: BuiltPack,
  placement: ChunkPlacement,
  options: PackedOptions & { signal: AbortSignal },
): Promise<Outcomes> {
  const { signal } = options;
  const latest = { placement };
  const source = new MemorySource(memoryBytes(pack.bytes), context.clock.wallMs());
  const sender = new ChunkSender(context, source, async (_chunk, _sums, avoid) => {
    const begun = await begin(context, pack, options, avoid);
    latest.placement = mustPlace(begun.placement);
    return latest.placement;
  });
  const { bytes, sums } = pack;
  const chunk = {
    ...{ seq: 0, offset: 0, sizeBytes: bytes.length },
    sums: () => Promise.resolve(sumsOf(bytes)),
    body: () => bytes,
    release: () => {},
  };
  const onPart = tellParts(pack, options.onSent);
  await sender.send({ chunk, sums, placement, onPart }, signal);
  await failpoint("client.pack.stored");
  return await commitWanted(context, pack, latest.placement.chunk, options);
}

/** Commits those files of a pack that are still wanted. */
async function commitWanted(
  context: ClientContext,
  pack: BuiltPack,
  chunk: string,
  options: PackedOptions & { signal: AbortSignal },
): Promise<Outcomes> {
  const { isWanted } = options;
  if (isWanted === undefined) return await commit(context, pack.files, chunk, options);
  const wanted = [...pack.indexes.keys()].filter((at) => isWanted(pack.indexes[at] ?? 0));
  const outcomes: Outcomes = pack.files.map(() => undefined);
  if (wanted.length === 0) return outcomes;
  const files = wanted.flatMap((at) => pack.files[at] ?? []);
  const committed = await commit(context, files, chunk, options);
  for (const [n, at] of wanted.entries()) outcomes[at] = committed[n];
  return outcomes;
}

async function commit(
  context: ClientContext,
  files: BuiltPack["files"],
  chunk: string,
  { signal, replicas, minCopies, exclusive = false }: PackedOptions & { signal: AbortSignal },
): Promise<Outcomes> {
  const request = { chunk, files, exclusive, ...copiesOf({ replicas, minCopies }) };
  let isRepeated = false;
  try {
    const ask = { signal, repeatable: true, onSilence: () => isRepeated = true };
    const { outcomes } = await context.trackers.ask(packCommit, request, ask);
    return files.map(({ path }, at) => outcomeOf(path, outcomes[at], isRepeated));
  } catch (cause) {
    // Without an answer it may have been done: put again, these might replace newer files. But
    // what expired never was, and never will be.
    if (!isRepeated || hasCode(cause, "expired")) throw cause;
    signal.throwIfAborted();
    return files.map(({ path }) => unansweredCommit(path, cause));
  }
}

/**
 * What is refused is put by itself, which tells why, or finds that it may be put after all. But not
 * what a repeated commit does not know any more: it may have been there, and be gone for good, or
 * moved; put again, it might replace what came after it.
 */
function outcomeOf(
  path: string,
  outcome: PackOutcome | undefined,
  isRepeated: boolean,
): Committed | TydfsError | undefined {
  if (outcome?.ok === true) return outcome.file;
  if (!isRepeated || outcome?.code !== "conflict") return undefined;
  return unansweredCommit(path, new TydfsError("conflict", outcome.message));
}

/** Tells of each file, once, whose bytes have come as far as is known. */
function tellParts(
  { files, indexes }: BuiltPack,
  onSent: PackedOptions["onSent"],
): (bytes: number) => void {
  let told = 0;
  return (bytes) => {
    for (let file = files[told]; file !== undefined; file = files[told]) {
      if (file.offset + file.sizeBytes > bytes) return;
      onSent?.(indexes[told] ?? 0);
      told++;
    }
  };
}

/** A pack of some of another's files, in memory of its own. */
function partOf(pack: BuiltPack, group: readonly number[]): BuiltPack {
  const parts: Uint8Array[] = [];
  const files: BuiltPack["files"] = [];
  const indexes: number[] = [];
  let offset = 0;
  for (const at of group) {
    const file = pack.files[at];
    const index = pack.indexes[at];
    if (file === undefined || index === undefined) continue;
    parts.push(pack.bytes.subarray(file.offset, file.offset + file.sizeBytes));
    files.push({ ...file, offset });
    indexes.push(index);
    offset += file.sizeBytes;
  }
  parts.push(encodeManifest(files.map(({ checksum: _, ...entry }) => entry)));
  const bytes = new Uint8Array(Buffer.concat(parts));
  return { bytes, sums: sumsOf(bytes), files, indexes };
}

function copiesOf(
  { replicas, minCopies }: { replicas: number | undefined; minCopies: number | undefined },
): { replicas?: number; minCopies?: number } {
  return {
    ...(replicas === undefined ? {} : { replicas }),
    ...(minCopies === undefined ? {} : { minCopies }),
  };
}
