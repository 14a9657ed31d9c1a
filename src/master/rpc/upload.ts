/**
 * `upload.*`: opens uploads, places their chunks, commits them. A chunk is placed by taking port
 * slots and signing a ticket; what is not used is given back by its lease, so that nothing here
 * needs undoing when a client vanishes.
 */
import { formatSize, MIB } from "../../base/bytes.ts";
import { failpoint } from "../../base/failpoint.ts";
import type { FileFacts } from "../../catalog/operation.ts";
import type { UploadRecord } from "../../catalog/upload_reader.ts";
import { formatLabels } from "../../wire/labels.ts";
import { TydfsError } from "../../wire/errors.ts";
import { makeId } from "../../wire/ids.ts";
import { quotePath } from "../../wire/names.ts";
import type { Rule } from "../../wire/rule.ts";
import { blockCount, sameSums, SUM_BYTES } from "../../wire/sums.ts";
import type { ChunkOrigin, CommitOrder } from "../../wire/ticket.ts";
import { signTicket } from "../../wire/ticket.ts";
import type {
  ChunkOffer,
  ChunkPlacement,
  Committed,
  UploadBeginReply,
  UploadBeginRequest,
} from "../../wire/upload.ts";
import { announceChange } from "../events.ts";
import type { Candidate } from "../placement.ts";
import { allowedBy, fits } from "../placement.ts";
import { policyOf } from "../rulebook.ts";
import type { Chain } from "../slots.ts";
import type { Desk } from "./desk.ts";

/** A PUT must have begun within this time, by the wall clock. */
const PUT_TICKET_MS = 10 * 60_000;
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
  /** The rule that decides about the path, if there is one. */
  rule: Rule | undefined;
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
  const { goal, minCopies } = chooseCopies(desk, request, rule);
  const there = reader.entry(path);
  if (path === "/" || there?.kind === "directory") {
    throw refusal("is-directory", path, "it is a directory");
  }
  if (exclusive && there !== undefined) throw refusal("exists", path, "it exists already");
  const only = chooseOnly(request, settings.chunk_size);
  if (only !== undefined) checkOffer(path, only, settings.chunk_size);
  const resume = request.resume && only === undefined;
  const sizeBytes = only?.sizeBytes ?? request.sizeBytes ?? 0;
  // What is stored already needs no room, as far as it turns out to be the same.
  const newBytes = Math.max(0, sizeBytes - (resume ? reader.resumableBytes(path) : 0));
  const candidates = checkRoom(desk, { path, sizeBytes: newBytes, minCopies, rule });

  const upload = makeId(random);
  const { replicas } = request;
  const asked = replicas === undefined ? {} : { replicas };
  const file: FileFacts = { path, mode, mtimeMs, owner, exclusive, ...asked };
  const described = { mode, mtimeMs, owner, fileBytes: only?.sizeBytes };
  const terms: UploadTerms = { upload, path, goal, minCopies, rule, candidates, described };
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
  const rule = desk.rulebook.find(path);
  const candidates = checkRoom(desk, { path, sizeBytes: offer.sizeBytes, minCopies, rule });
  const described = { mode, mtimeMs, owner, fileBytes };
  const terms: UploadTerms = { upload, path, goal, minCopies, rule, candidates, described };
  return { placement: place(desk, terms, offer).placement };
}

/** `upload.commit`. */
export async function commit(
  desk: Desk,
  request: { upload: string; sizeBytes: number; chunks: number; checksum: string },
): Promise<Committed> {
  const atMs = desk.clock.wallMs();
  const operation = { kind: "upload.commit", ...request, atMs } as const;
  const { replaced: _replaced, event, ...file } = await desk.journal.submit(operation);
  announceChange(desk.announce, event);
  return file;
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

/**
 * Copies wanted and copies needed: as the user says, else the rule, else the cluster. Throws
 * `invalid` when more are needed than wanted.
 */
function chooseCopies(
  desk: Desk,
  request: UploadBeginRequest,
  rule: Rule | undefined,
): { goal: number; minCopies: number } {
  const goal = request.replicas ?? rule?.copies ?? desk.settings.replicas;
  if (request.minCopies !== undefined && request.minCopies > goal) {
    const state = `${request.minCopies} copies before success are more than ${goal} in all`;
    throw refusal("invalid", request.path, state);
  }
  return { goal, minCopies: Math.min(request.minCopies ?? desk.settings.min_copies, goal) };
}

/** The offer of a file of one chunk, when it can be one. */
function chooseOnly(request: UploadBeginRequest, chunkBytes: number): ChunkOffer | undefined {
  const { only, sizeBytes, path } = request;
  if (only === undefined || only.sizeBytes > chunkBytes) return undefined;
  if (only.seq !== 0 || only.offset !== 0 || (sizeBytes ?? only.sizeBytes) !== only.sizeBytes) {
    throw refusal("invalid", path, "the one chunk that is offered is not the whole file");
  }
  return only;
}

function checkOffer(path: string, offer: ChunkOffer, chunkBytes: number): void {
  if (offer.sizeBytes > chunkBytes) {
    const state = `a chunk has ${formatSize(chunkBytes)} at most, not ${offer.sizeBytes} bytes`;
    throw refusal("invalid", path, state);
  }
  if (offer.sums.length !== blockCount(offer.sizeBytes) * SUM_BYTES) {
    const state = `${offer.sums.length} bytes of sums are wrong for ${offer.sizeBytes} bytes`;
    throw refusal("invalid", path, state);
  }
}

/** What room is looked for. */
interface RoomRequest {
  path: string;
  sizeBytes: number;
  minCopies: number;
  rule: Rule | undefined;
}

/**
 * Throws `no-keepers` or `no-space` when no placement could help, however long the client waits for
 * a port.
 */
function checkRoom(desk: Desk, request: RoomRequest): readonly Candidate[] {
  const { sizeBytes, minCopies, rule } = request;
  const candidates = allowedBy(policyOf(rule), desk.slots.candidates());
  if (candidates.length < minCopies) {
    // A full keeper takes part again as soon as it has room: the lack is of space.
    const full = allowedBy(policyOf(rule), fullKeepers(desk)).length;
    if (candidates.length + full >= minCopies) throw noSpace(request, minCopies);
    throw tooFew(request, candidates.length, minCopies);
  }
  if (!fits(candidates, minCopies, sizeBytes)) throw noSpace(request, minCopies);
  return candidates;
}

/** The keepers that are there and would take chunks, had they room. */
function fullKeepers({ roster, tables, slots }: Desk): Candidate[] {
  return roster.all().filter(({ number }) => {
    const row = tables.keepers.find(number);
    return row?.state === "ALIVE" && row.fault === "full";
  }).map((keeper) => slots.candidateOf(keeper));
}

/** Takes slots for a chunk and signs its ticket. Throws `busy`, `no-keepers`, `no-space`. */
function place(
  desk: Desk,
  terms: UploadTerms,
  offer: ChunkOffer,
): { placement: ChunkPlacement; release: () => void } {
  const { slots, clock, random, roster, ticketKey } = desk;
  const { upload, path, goal, minCopies, rule, candidates, commit, described } = terms;
  const { seq, offset, sizeBytes, sums } = offer;
  const avoid = new Set(offer.avoid.flatMap((id) => roster.byId(id)?.number ?? []));
  const policy = policyOf(rule);
  const chain = slots.takeChain({ candidates, goal, minCopies, sizeBytes, avoid, policy });
  if (chain.kind !== "chain") throw chainRefusal(chain, { path, sizeBytes, minCopies, rule });
  const { hops } = chain;
  const chunk = makeId(random);
  const nowMs = clock.wallMs();
  const ticket = signTicket(ticketKey, {
    op: "put",
    chunk,
    sizeBytes,
    sums,
    origin: { path, upload, seq, offset, ...described, placedMs: nowMs },
    hops,
    minCopies,
    goal,
    ...(commit === undefined ? {} : { commit }),
    expiresMs: nowMs + PUT_TICKET_MS,
  });
  const shown = hops.map(({ keeper, host, port }) => ({ keeper, host, port }));
  return { placement: { chunk, ticket, hops: shown }, release: () => slots.release(hops) };
}

function chainRefusal(
  chain: Exclude<Chain, { kind: "chain" }>,
  request: RoomRequest,
): TydfsError {
  switch (chain.kind) {
    case "busy":
      return new TydfsError(
        "busy",
        `Cannot upload ${quotePath(request.path)}: all ports of the keepers are busy; try again`,
        { data: { retryAfterMs: chain.retryAfterMs } },
      );
    case "no-keepers":
      return tooFew(request, chain.alive, chain.needed);
    case "no-space":
      return noSpace(request, chain.needed);
  }
}

function tooFew({ path, rule }: RoomRequest, alive: number, needed: number): TydfsError {
  const state = `${alive} ${alive === 1 ? "keeper" : "keepers"}${wanted(rule)} can be written, ` +
    `${needed} ${needed === 1 ? "is" : "are"} needed`;
  return new TydfsError(
    "no-keepers",
    `Cannot upload ${quotePath(path)}: ${state}${because(rule)}`,
    {
      data: { alive, needed },
    },
  );
}

function noSpace({ path, sizeBytes, rule }: RoomRequest, needed: number): TydfsError {
  const keepers = needed === 1
    ? `no keeper${wanted(rule)} has`
    : `no ${needed} keepers${wanted(rule)} have`;
  const state = `${keepers} room for ${formatSize(sizeBytes)}${because(rule)}`;
  const advice = "add a keeper, or remove files (their space comes back when the trash lets go)";
  return new TydfsError("no-space", `Cannot upload ${quotePath(path)}: ${state}; ${advice}`, {
    data: { sizeBytes, needed },
  });
}

/** The labels that a rule requires, as errors name them. */
function wanted(rule: Rule | undefined): string {
  const labels = formatLabels(rule?.require ?? {});
  return labels === "" ? "" : ` with ${labels}`;
}

function because(rule: Rule | undefined): string {
  if (rule === undefined || wanted(rule) === "") return "";
  return ` (the rule for ${JSON.stringify(rule.pattern)} requires them)`;
}

function refusal(code: "invalid" | "exists" | "is-directory", path: string, state: string) {
  return new TydfsError(code, `Cannot upload ${quotePath(path)}: ${state}`);
}
