/**
 * `upload.*`: opens uploads, places their chunks, commits them. A chunk is placed by taking port
 * slots and signing a ticket; what is not used is given back by its lease, so that nothing here
 * needs undoing when a client vanishes.
 */
import { MIB } from "../../base/bytes.ts";
import { failpoint } from "../../base/failpoint.ts";
import type { FileFacts, PolicyFacts } from "../../catalog/operation.ts";
import type { UploadRecord } from "../../catalog/upload_reader.ts";
import { TydfsError } from "../../wire/errors.ts";
import { makeId } from "../../wire/ids.ts";
import { sameSums } from "../../wire/sums.ts";
import type { ChunkOrigin, CommitOrder } from "../../wire/ticket.ts";
import type {
  ChunkOffer,
  ChunkPlacement,
  Committed,
  UploadBeginReply,
  UploadBeginRequest,
} from "../../wire/upload.ts";
import { announceChange } from "../events.ts";
import type { Candidate } from "../placement.ts";
import {
  checkOffer,
  checkRoom,
  chooseCopies,
  type KeeperWish,
  placeChunk,
  type Placed,
  refuseUpload,
  wishOf,
} from "../placing.ts";
import { policyOf } from "../rulebook.ts";
import type { Desk } from "./desk.ts";

/**
 * Files of one chunk up to this size get no upload record: they are there before anyone could look.
 */
const UNRECORDED_BYTES_MAX = MIB;

/** What all chunks of an upload have in common. */
interface UploadTerms {
  upload: string;
  path: string;
  goal: number;
  minCopies: number;
  /** What the rule that decides about the path wants, if there is one. */
  wish: KeeperWish;
  /** The keepers that can be written now, as far as the rule allows. */
  candidates: readonly Candidate[];
  commit?: CommitOrder;
  /** What the sidecars of its chunks tell of the file. */
  described: Pick<ChunkOrigin, "fileBytes" | "mode" | "mtimeMs" | "owner">;
}

/** `upload.begin`. */
export async function begin(desk: Desk, request: UploadBeginRequest): Promise<UploadBeginReply> {
  const { settings, reader, random } = desk;
  const { path, mode, mtimeMs, owner, exclusive } = request;
  const rule = desk.rulebook.find(path);
  const { goal, minCopies } = chooseCopies(desk, path, request, rule);
  const there = reader.entry(path);
  if (path === "/" || there?.kind === "directory") {
    throw refuseUpload("is-directory", path, "it is a directory");
  }
  if (exclusive && there !== undefined) throw refuseUpload("exists", path, "it exists already");
  const only = chooseOnly(request, settings.chunk_size);
  if (only !== undefined) checkOffer(path, only, settings.chunk_size);
  const resume = request.resume && only === undefined;
  const sizeBytes = only?.sizeBytes ?? request.sizeBytes ?? 0;
  // What is stored already needs no room, as far as it turns out to be the same.
  const newBytes = Math.max(0, sizeBytes - (resume ? reader.resumableBytes(path) : 0));
  const wish = wishOf(rule);
  const candidates = checkRoom(desk, { path, sizeBytes: newBytes, minCopies, wish });

  const upload = makeId(random);
  const { replicas } = request;
  const asked = replicas === undefined ? {} : { replicas };
  const file: FileFacts = { path, mode, mtimeMs, owner, exclusive, ...asked };
  const described = { mode, mtimeMs, owner, fileBytes: only?.sizeBytes };
  const terms: UploadTerms = { upload, path, goal, minCopies, wish, candidates, described };
  const reply = {
    upload,
    chunkBytes: settings.chunk_size,
    leaseMs: settings.upload_lease,
    resumedBytes: 0,
  };
  const atMs = desk.clock.wallMs();
  const told = request.sizeBytes === undefined ? {} : { sizeBytes: request.sizeBytes };
  const begun = { upload, file, goal, minCopies, ...told, atMs };
  const operation = { kind: "upload.begin", ...begun } as const;
  if (only === undefined) {
    const idleBeforeMs = atMs - settings.upload_lease;
    const policy = policyOf(rule);
    const wished = policy === undefined ? {} : { policy };
    const takingOver = resume ? { resume: { idleBeforeMs, ...wished } } : {};
    const { resumedBytes } = await desk.journal.submit({ ...operation, ...takingOver });
    await failpoint("master.begin.opened");
    return { ...reply, resumedBytes: Math.min(resumedBytes, request.sizeBytes ?? Infinity) };
  }
  const order: CommitOrder = { mode, mtimeMs, owner, exclusive, ...asked };
  const { placement, release } = place(desk, { ...terms, commit: order }, only);
  if (only.sizeBytes > UNRECORDED_BYTES_MAX) {
    try {
      await desk.journal.submit(operation);
    } catch (error) {
      release();
      throw error;
    }
  }
  await failpoint("master.begin.opened");
  return { ...reply, placement };
}

/** `upload.extend`. */
export async function extend(
  desk: Desk,
  request: { upload: string; offer?: ChunkOffer | undefined },
): Promise<{ placement?: ChunkPlacement; stored?: true }> {
  const { settings, reader, clock, journal } = desk;
  const { upload, offer } = request;
  const record = reader.upload(upload);
  if (record === undefined) {
    const state = "it is unknown or has run out";
    throw new TydfsError("not-found", `Cannot extend upload "${upload}": ${state}`);
  }
  const atMs = clock.wallMs();
  // A touch costs a transaction: not with each chunk.
  const old = Math.abs(atMs - record.touchedMs) > settings.upload_lease / 4;
  if (old || record.paused) await journal.submit({ kind: "upload.touch", upload, atMs });
  if (offer === undefined) return {};
  const { path, goal, minCopies, mode, mtimeMs, owner, sizeBytes: fileBytes } = record;
  checkOffer(path, offer, settings.chunk_size);
  if (isStored(desk, record, offer)) return { stored: true };
  const wish = wishOf(desk.rulebook.find(path));
  const candidates = checkRoom(desk, { path, sizeBytes: offer.sizeBytes, minCopies, wish });
  const described = { mode, mtimeMs, owner, fileBytes };
  const terms: UploadTerms = { upload, path, goal, minCopies, wish, candidates, described };
  return { placement: place(desk, terms, offer).placement };
}

/** `upload.commit`. */
export async function commit(
  desk: Desk,
  request: { upload: string; sizeBytes: number; chunks: number; checksum: string },
): Promise<Committed> {
  const atMs = desk.clock.wallMs();
  const path = desk.reader.upload(request.upload)?.path;
  const wish = path === undefined ? {} : { wish: wishNow(desk, path) };
  const operation = { kind: "upload.commit", ...request, ...wish, atMs } as const;
  const { replaced: _replaced, event, ...file } = await desk.journal.submit(operation);
  announceChange(desk.announce, event);
  return file;
}

/** What the rules say of a file now, whatever they said when its chunks were placed. */
function wishNow(
  { settings, rulebook }: Pick<Desk, "settings" | "rulebook">,
  path: string,
): { goal: number; policy?: PolicyFacts } {
  const rule = rulebook.find(path);
  const policy = policyOf(rule);
  return { goal: rule?.copies ?? settings.replicas, ...(policy === undefined ? {} : { policy }) };
}

/** `upload.abort`. */
export async function abort(
  desk: Desk,
  request: { upload: string; keep: boolean },
): Promise<{ committed?: Committed }> {
  const atMs = desk.clock.wallMs();
  const { committed } = await desk.journal.submit({ kind: "upload.abort", ...request, atMs });
  if (committed === undefined) return {};
  const { replaced: _replaced, ...file } = committed;
  return { committed: file };
}

/** Whether an upload has the very chunk that is offered, on enough keepers that are alive. */
function isStored(desk: Desk, upload: UploadRecord, offer: ChunkOffer): boolean {
  const there = desk.reader.storedChunk(upload.id, offer.seq);
  if (there === undefined) return false;
  const { offset, sizeBytes, sums, keepers } = there;
  if (offset !== offer.offset || sizeBytes !== offer.sizeBytes) return false;
  // As sure as a copy that is sent now: one on a keeper that is silent may be gone already.
  const alive = keepers.filter((number) => desk.tables.keepers.alive(number)).length;
  return alive >= upload.minCopies && sameSums(sums, offer.sums);
}

/** The offer of a file of one chunk, when it can be one. */
function chooseOnly(request: UploadBeginRequest, chunkBytes: number): ChunkOffer | undefined {
  const { only, sizeBytes, path } = request;
  if (only === undefined || only.sizeBytes > chunkBytes) return undefined;
  if (only.seq !== 0 || only.offset !== 0 || (sizeBytes ?? only.sizeBytes) !== only.sizeBytes) {
    throw refuseUpload("invalid", path, "the one chunk that is offered is not the whole file");
  }
  return only;
}

/** Takes slots for a chunk of an upload. Throws `busy`, `no-keepers`, `no-space`. */
function place(desk: Desk, terms: UploadTerms, offer: ChunkOffer): Placed {
  const { upload, described, ...request } = terms;
  const { seq, offset, sizeBytes, sums, avoid } = offer;
  const origin = { path: terms.path, upload, seq, offset, ...described };
  return placeChunk(desk, { ...request, sizeBytes, sums, origin, avoid });
}
