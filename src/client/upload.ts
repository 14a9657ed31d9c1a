/**
 * Uploads: begin, chunks straight to keepers, commit. Invisible to others until the commit. One
 * that fails is ended at once, so that slots come back without waiting for the lease: what a file
 * of several chunks has stored by then is kept for the next try, all else is dropped. No state is
 * kept on this side: each chunk is offered with its sums, and the master says which are there.
 */
import { must } from "../base/assert.ts";
import { KIB, MIB } from "../base/bytes.ts";
import { failpoint } from "../base/failpoint.ts";
import type { ErrorCode } from "../wire/errors.ts";
import { hasCode, TydfsError } from "../wire/errors.ts";
import { quotePath } from "../wire/names.ts";
import { fileChecksum } from "../wire/sums.ts";
import type { Committed, UploadBeginReply } from "../wire/upload.ts";
import { uploadAbort, uploadBegin, uploadCommit, uploadExtend } from "../wire/upload.ts";
import { ChunkSender, mustPlace } from "./chunk_sender.ts";
import type { ClientContext, ProgressListener } from "./context.ts";
import { orAbort, runCrew } from "./crew.ts";
import { tellKept } from "./kept.ts";
import type { Source, SourceChunk } from "./source.ts";
import { unansweredCommit } from "./unanswered.ts";
import { UploadTally } from "./upload_tally.ts";

const ABORT_MS = 2_000;
/** The master gives slots for larger chunks only. */
const SHORT_BYTES = 256 * KIB;
/** Chunks from this size on take turns at being summed. */
const TURN_BYTES = MIB;

/**
 * After these the same bytes will never be put at this path, or the upload itself is at fault: it
 * is no use to keep what is stored. (A source that changed is another matter: mostly the next try
 * finds many of its chunks as they were.)
 */
const FINAL_CODES: readonly ErrorCode[] = [
  "conflict",
  "denied",
  "exists",
  "invalid",
  "is-directory",
  "limit",
  "not-directory",
  "not-found",
];

export interface UploadRequest {
  path: string;
  /** Copies wanted; the cluster's goal when undefined. */
  replicas: number | undefined;
  /** Copies on disk before success; the cluster's own when undefined. */
  minCopies: number | undefined;
  /** Fail with `exists` when there is such a file. */
  exclusive: boolean;
  signal: AbortSignal;
  onProgress: ProgressListener;
}

/** A source that fits into one chunk, with its sums. */
interface WholeChunk {
  chunk: SourceChunk;
  sums: Uint8Array;
}

/** What was committed, and how much of it an earlier upload had stored. */
export interface Uploaded {
  committed: Committed;
  resumedBytes: number;
}

/**
 * Puts a source at a path. Returns what was committed; throws with nothing visible, or `timeout`
 * when that is unknown. An error says in its data how much is kept for the next try (`keptBytes`).
 */
export async function upload(
  context: ClientContext,
  source: Source,
  request: UploadRequest,
): Promise<Uploaded> {
  const { signal } = request;
  const chunk = await source.whole(signal);
  const whole = chunk && { chunk, sums: await sumsOf(context, chunk) };
  // The sums are those of one moment only if nothing changed while they were made.
  if (whole !== undefined) await source.check();
  const send = () => uploadSummed(context, source, request, whole);
  return await (needsSlot(whole) ? context.wholes.run(send) : send());
}

/**
 * The sums of a chunk. Large ones take turns: if all that go at once were summed together, nothing
 * would be sent until the last bytes of nearly all of them are read.
 */
function sumsOf({ sums }: ClientContext, chunk: SourceChunk): Promise<Uint8Array> {
  return chunk.sizeBytes < TURN_BYTES ? chunk.sums() : sums.run(() => chunk.sums());
}

/** Whether the keepers need a slot for a file of one chunk; a short one goes without. */
function needsSlot(whole: WholeChunk | undefined): boolean {
  return whole !== undefined && whole.chunk.sizeBytes > SHORT_BYTES;
}

async function uploadSummed(
  context: ClientContext,
  source: Source,
  request: UploadRequest,
  whole: WholeChunk | undefined,
): Promise<Uploaded> {
  const { signal } = request;
  signal.throwIfAborted();
  const begun = await begin(context, source, request, whole, context.failures.all());
  // A file of one chunk that no keeper takes is begun anew: `begun` is then the latest.
  const latest = { begun };
  const stopRenewing = renewLease(context, latest);
  const isSingle = whole !== undefined && begun.placement !== undefined;
  const tally = new UploadTally(begun.resumedBytes, () => source.sizeBytes, request.onProgress);
  try {
    const committed = isSingle
      ? await uploadWhole(context, source, request, latest, whole)
      : await uploadChunks(context, source, request, begun, tally);
    return { committed, resumedBytes: tally.resumedBytes };
  } catch (error) {
    const keep = source.isResumable && !isSingle && !hasCode(error, ...FINAL_CODES);
    const { committed } = await abandon(context, latest.begun.upload, keep);
    const bytes = keep ? tally.storedBytes : 0;
    const failure = tellFailure(error, { path: request.path, bytes });
    if (signal.aborted) throw failure;
    // Only the answer to the commit was lost.
    if (committed !== undefined) return { committed, resumedBytes: tally.resumedBytes };
    throw failure;
  } finally {
    stopRenewing();
  }
}

/** A failure with what is kept; one that leaves open whether the file was put says only that. */
function tellFailure(error: unknown, kept: { path: string; bytes: number }): unknown {
  if (hasCode(error, "timeout")) return error;
  return tellKept(error, { ...kept, place: "in the cluster" });
}

function begin(
  context: ClientContext,
  source: Source,
  request: UploadRequest,
  whole: WholeChunk | undefined,
  avoid: string[],
): Promise<UploadBeginReply> {
  const { path, replicas, minCopies, exclusive, signal } = request;
  const { mode, mtimeMs, sizeBytes } = source;
  const message = {
    path,
    mode,
    mtimeMs,
    exclusive,
    owner: context.owner,
    resume: source.isResumable,
    ...(sizeBytes === undefined ? {} : { sizeBytes }),
    ...(replicas === undefined ? {} : { replicas }),
    ...(minCopies === undefined ? {} : { minCopies }),
    ...(whole === undefined ? {} : { only: offerOf(whole.chunk, whole.sums, avoid) }),
  };
  const options = { signal, repeatable: true, waitMs: context.waitMs };
  return context.trackers.ask(uploadBegin, message, options);
}

/** A file of one chunk: its keeper's report commits it. */
async function uploadWhole(
  context: ClientContext,
  source: Source,
  request: UploadRequest,
  latest: { begun: UploadBeginReply },
  whole: WholeChunk,
): Promise<Committed> {
  const { signal, onProgress } = request;
  const { placement } = latest.begun;
  const totalBytes = whole.chunk.sizeBytes;
  onProgress({ doneBytes: 0, totalBytes });
  const sender = new ChunkSender(context, source, async (chunk, sums, avoid) => {
    // Nothing is begun anew before it is sure that the try before can't be committed any more.
    const message = { upload: latest.begun.upload, keep: false };
    const { committed } = await context.trackers.ask(uploadAbort, message, {
      signal,
      repeatable: true,
    });
    if (committed !== undefined) return { ok: true, keepers: [], committed };
    latest.begun = await begin(context, source, request, { chunk, sums }, avoid);
    return mustPlace(latest.begun.placement);
  });
  const onPart = (bytes: number) => onProgress({ doneBytes: bytes, totalBytes });
  const { committed } = await sender.send({ ...whole, placement, onPart }, signal);
  onProgress({ doneBytes: totalBytes, totalBytes });
  if (committed !== undefined) return committed;
  const message = `Cannot put ${
    quotePath(request.path)
  }: its copies were stored, but not committed`;
  throw new TydfsError("internal", message);
}

/**
 * A file of any number of chunks, each placed when it is about to be sent, if it is not there
 * already; then the commit.
 */
async function uploadChunks(
  context: ClientContext,
  source: Source,
  request: UploadRequest,
  begun: UploadBeginReply,
  tally: UploadTally,
): Promise<Committed> {
  const sender = new ChunkSender(context, source, async (chunk, sums, avoid, signal) => {
    const message = { upload: begun.upload, offer: offerOf(chunk, sums, avoid) };
    const options = { signal, repeatable: true, waitMs: context.waitMs };
    const { placement, stored } = await context.trackers.ask(uploadExtend, message, options);
    if (stored === true) return { stored };
    tally.mustSend(chunk);
    return mustPlace(placement);
  });
  const chunks = (signal: AbortSignal) => source.chunks(begun.chunkBytes, signal);
  const sums = await sendChunks(context, chunks, sender, {
    crewSize: Math.min(context.parallel, source.chunksMax),
    signal: request.signal,
    tally,
  });
  await source.check();
  return commit(context, request, begun.upload, sums);
}

interface SentChunk {
  sums: Uint8Array;
  sizeBytes: number;
}

interface SendOptions {
  crewSize: number;
  signal: AbortSignal;
  tally: UploadTally;
}

/** Sends all chunks, several at once; returns them in order. */
async function sendChunks(
  context: ClientContext,
  open: (signal: AbortSignal) => AsyncGenerator<SourceChunk>,
  sender: ChunkSender,
  options: SendOptions,
): Promise<SentChunk[]> {
  const { crewSize, tally } = options;
  const sent: SentChunk[] = [];
  const home = new AbortController();
  const chunks = open(AbortSignal.any([options.signal, home.signal]));
  tally.tell();
  try {
    await runCrew(crewSize, options.signal, async (signal) => {
      for (;;) {
        const next = await orAbort(chunks.next(), signal);
        if (next.done === true) return;
        const chunk = next.value;
        // What all transfers of the client have under way is bounded.
        const { sums, wasThere } = await context.streams.run(async () => {
          const sums = await sumsOf(context, chunk);
          const onPart = (bytes: number) => tally.part(chunk, bytes);
          return await sender.send({ chunk, sums, placement: undefined, onPart }, signal);
        });
        await failpoint("client.put.stored");
        chunk.release();
        sent[chunk.seq] = { sums, sizeBytes: chunk.sizeBytes };
        tally.add(chunk, wasThere);
      }
    });
  } finally {
    home.abort();
  }
  return sent.map((chunk, seq) => must(chunk, `chunk ${seq}`));
}

async function commit(
  context: ClientContext,
  request: UploadRequest,
  uploadId: string,
  sent: SentChunk[],
): Promise<Committed> {
  const sizeBytes = sent.reduce((total, chunk) => total + chunk.sizeBytes, 0);
  const checksum = fileChecksum(sent.map(({ sums }) => sums));
  const message = { upload: uploadId, sizeBytes, chunks: sent.length, checksum };
  let isUnsure = false;
  const onSilence = () => isUnsure = true;
  const options = { signal: request.signal, repeatable: true, onSilence };
  try {
    return await context.trackers.ask(uploadCommit, message, options);
  } catch (cause) {
    // A master that is gone now may have done what it did not answer.
    if (!hasCode(cause, "timeout") && !(isUnsure && hasCode(cause, "no-master"))) throw cause;
    throw unansweredCommit(request.path, cause);
  }
}

/** Keeps the upload alive while chunks take long; returns how to stop that. */
function renewLease(
  context: ClientContext,
  latest: { readonly begun: UploadBeginReply },
): () => void {
  const stopped = new AbortController();
  const timer = context.clock.every(Math.max(latest.begun.leaseMs / 3, 500), () => {
    const options = { signal: stopped.signal, repeatable: false };
    // A lease that can't be renewed shows in the next request that matters.
    context.trackers.ask(uploadExtend, { upload: latest.begun.upload }, options).catch(() => {});
  });
  return () => {
    timer.stop();
    stopped.abort();
  };
}

/**
 * Ends the upload, as well as that can be done now; otherwise its lease does. With `keep` what it
 * has stored stays for the next one to its path.
 */
async function abandon(
  context: ClientContext,
  id: string,
  keep: boolean,
): Promise<{ committed?: Committed }> {
  const given = new AbortController();
  const timer = context.clock.after(ABORT_MS, () => given.abort());
  const options = { signal: given.signal, repeatable: false };
  try {
    const { committed } = await context.trackers.ask(
      uploadAbort,
      { upload: id, keep },
      options,
    );
    return committed === undefined ? {} : { committed };
  } catch (error) {
    context.log.debug("Cannot end an upload; its lease will", { upload: id, error });
    return {};
  } finally {
    timer.stop();
  }
}

function offerOf({ seq, offset, sizeBytes }: SourceChunk, sums: Uint8Array, avoid: string[]) {
  return { seq, offset, sizeBytes, sums, avoid };
}
