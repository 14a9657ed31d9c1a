/**
 * Places chunks for who asked for room: how many copies, whether keepers have room at all, slots
 * taken and a ticket signed. What is not used is given back by its lease, so that nothing here
 * needs undoing when a client vanishes.
 */
import { formatSize } from "../base/bytes.ts";
import type { Clock } from "../base/clock.ts";
import type { Random } from "../base/random.ts";
import type { PolicyFacts } from "../catalog/operation.ts";
import type { Settings } from "../config/options.ts";
import { TydfsError } from "../wire/errors.ts";
import { formatLabels } from "../wire/labels.ts";
import { quotePath } from "../wire/names.ts";
import type { Rule } from "../wire/rule.ts";
import { blockCount, SUM_BYTES } from "../wire/sums.ts";
import type { ChunkOrigin, CommitOrder, Hop } from "../wire/ticket.ts";
import { signTicket } from "../wire/ticket.ts";
import type { ChunkPlacement } from "../wire/upload.ts";
import type { ChunkIds } from "./chunk_ids.ts";
import type { Candidate } from "./placement.ts";
import { allowedBy, fits } from "./placement.ts";
import type { Roster } from "./roster.ts";
import { policyOf } from "./rulebook.ts";
import type { Chain, Slots } from "./slots.ts";
import type { Tables } from "./wiring.ts";

/** A PUT must have begun within this time, by the wall clock. */
const PUT_TICKET_MS = 10 * 60_000;

/** Keepers of a master that has just started are on their way: who is early asks again soon. */
const YOUNG_MS = 5_000;
const RETRY_MS = 25;

/** What placing works with. */
export interface PlacingParts {
  readonly settings: Pick<Settings, "replicas" | "min_copies">;
  readonly clock: Clock;
  readonly random: Random;
  readonly chunkIds: ChunkIds;
  readonly roster: Roster;
  readonly slots: Slots;
  readonly tables: Pick<Tables, "keepers">;
  readonly ticketKey: string;
  /** Monotonic time of the master's start, in ms; long ago unless given. */
  readonly startedMs?: number;
}

/** What the keepers of a chunk must have, and the pattern of the rule that says so, if one does. */
export interface KeeperWish {
  policy: PolicyFacts | undefined;
  pattern?: string;
}

/** What room is looked for. */
export interface RoomRequest {
  /** The file, as errors name it. */
  path: string;
  sizeBytes: number;
  minCopies: number;
  wish: KeeperWish;
}

/** A chunk that is to be placed. */
export interface PlaceRequest extends RoomRequest {
  goal: number;
  sums: Uint8Array;
  /** What its sidecars are to tell; the time of its placing is added. */
  origin: Omit<ChunkOrigin, "placedMs">;
  /** The keepers that can be written now, as far as the wish allows. */
  candidates: readonly Candidate[];
  /** Ids of keepers that are taken only where `minCopies` can't be had without. */
  avoid: readonly string[];
  commit?: CommitOrder;
}

/** A chunk that was placed: the slots of its hops are taken. */
export interface Placed {
  placement: ChunkPlacement;
  /** Gives the slots back. */
  release: () => void;
}

/** What a rule wants of keepers. */
export function wishOf(rule: Rule | undefined): KeeperWish {
  const policy = policyOf(rule);
  return rule === undefined ? { policy } : { policy, pattern: rule.pattern };
}

/**
 * Copies wanted and copies needed: as the user says, else the rule, else the cluster. Throws
 * `invalid` when more are needed than wanted; `path` is for its message.
 */
export function chooseCopies(
  { settings }: Pick<PlacingParts, "settings">,
  path: string,
  asked: { replicas?: number | undefined; minCopies?: number | undefined },
  rule: Rule | undefined,
): { goal: number; minCopies: number } {
  const goal = asked.replicas ?? rule?.copies ?? settings.replicas;
  if (asked.minCopies !== undefined && asked.minCopies > goal) {
    const state = `${asked.minCopies} copies before success are more than ${goal} in all`;
    throw refuseUpload("invalid", path, state);
  }
  return { goal, minCopies: Math.min(asked.minCopies ?? settings.min_copies, goal) };
}

/** Throws `invalid` for a chunk that is too large, or whose sums don't fit its size. */
export function checkOffer(
  path: string,
  offer: { sizeBytes: number; sums: Uint8Array },
  chunkBytes: number,
): void {
  if (offer.sizeBytes > chunkBytes) {
    const state = `a chunk has ${formatSize(chunkBytes)} at most, not ${offer.sizeBytes} bytes`;
    throw refuseUpload("invalid", path, state);
  }
  if (offer.sums.length !== blockCount(offer.sizeBytes) * SUM_BYTES) {
    const state = `${offer.sums.length} bytes of sums are wrong for ${offer.sizeBytes} bytes`;
    throw refuseUpload("invalid", path, state);
  }
}

/**
 * The keepers that can be written now and that the wish allows. Throws `no-keepers` or `no-space`
 * when no placement could help, however long the client waits for a port.
 */
export function checkRoom(parts: PlacingParts, request: RoomRequest): readonly Candidate[] {
  const { sizeBytes, minCopies, wish: { policy } } = request;
  const candidates = allowedBy(policy, parts.slots.candidates());
  if (candidates.length < minCopies) {
    // A full keeper takes part again as soon as it has room: the lack is of space.
    const full = allowedBy(policy, fullKeepers(parts)).length;
    if (candidates.length + full >= minCopies) throw noSpace(request, minCopies);
    throw tooFew(parts, request, candidates.length, minCopies);
  }
  if (!fits(candidates, minCopies, sizeBytes)) throw noSpace(request, minCopies);
  return candidates;
}

/** Takes slots for a chunk and signs its ticket. Throws `busy`, `no-keepers`, `no-space`. */
export function placeChunk(parts: PlacingParts, request: PlaceRequest): Placed {
  const { slots, clock, chunkIds, roster, ticketKey } = parts;
  const { goal, minCopies, sizeBytes, sums, origin, wish, candidates, commit } = request;
  const avoid = new Set(request.avoid.flatMap((id) => roster.byId(id)?.number ?? []));
  const { policy } = wish;
  const chain = slots.takeChain({ candidates, goal, minCopies, sizeBytes, avoid, policy });
  if (chain.kind !== "chain") throw chainRefusal(parts, chain, request);
  const hops: readonly Hop[] = chain.hops;
  const chunk = chunkIds.next();
  const nowMs = clock.wallMs();
  const ticket = signTicket(ticketKey, {
    op: "put",
    chunk,
    sizeBytes,
    sums,
    origin: { ...origin, placedMs: nowMs },
    hops: [...hops],
    minCopies,
    goal,
    ...(commit === undefined ? {} : { commit }),
    expiresMs: nowMs + PUT_TICKET_MS,
  });
  const shown = hops.map(({ keeper, host, port }) => ({ keeper, host, port }));
  return { placement: { chunk, ticket, hops: shown }, release: () => slots.release(hops) };
}

/** Why a path is not put, as a user reads it. */
export function refuseUpload(
  code: "invalid" | "exists" | "is-directory",
  path: string,
  state: string,
): TydfsError {
  return new TydfsError(code, `Cannot upload ${quotePath(path)}: ${state}`);
}

/** The keepers that are there and would take chunks, had they room. */
function fullKeepers({ roster, tables, slots }: PlacingParts): Candidate[] {
  return roster.all().filter(({ number }) => {
    const row = tables.keepers.find(number);
    return row?.state === "ALIVE" && row.fault === "full";
  }).map((keeper) => slots.candidateOf(keeper));
}

function chainRefusal(
  parts: PlacingParts,
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
      return tooFew(parts, request, chain.alive, chain.needed);
    case "no-space":
      return noSpace(request, chain.needed);
  }
}

function tooFew(
  { clock, startedMs = -Infinity }: PlacingParts,
  { path, wish }: RoomRequest,
  alive: number,
  needed: number,
): TydfsError {
  const isYoung = clock.monotonicMs() - startedMs < YOUNG_MS;
  const state = `${alive} ${alive === 1 ? "keeper" : "keepers"}${wanted(wish)} can be written, ` +
    `${needed} ${needed === 1 ? "is" : "are"} needed`;
  return new TydfsError(
    "no-keepers",
    `Cannot upload ${quotePath(path)}: ${state}${because(wish)}`,
    {
      data: { alive, needed, ...(isYoung ? { retryAfterMs: RETRY_MS } : {}) },
    },
  );
}

function noSpace({ path, sizeBytes, wish }: RoomRequest, needed: number): TydfsError {
  const keepers = needed === 1
    ? `no keeper${wanted(wish)} has`
    : `no ${needed} keepers${wanted(wish)} have`;
  const state = `${keepers} room for ${formatSize(sizeBytes)}${because(wish)}`;
  const advice = "add a keeper, or remove files (their space comes back when the trash lets go)";
  return new TydfsError("no-space", `Cannot upload ${quotePath(path)}: ${state}; ${advice}`, {
    data: { sizeBytes, needed },
  });
}

/** The labels that are required, as errors name them. */
function wanted({ policy }: KeeperWish): string {
  const labels = formatLabels(policy?.require ?? {});
  return labels === "" ? "" : ` with ${labels}`;
}

function because(wish: KeeperWish): string {
  if (wish.pattern === undefined || wanted(wish) === "") return "";
  return ` (the rule for ${JSON.stringify(wish.pattern)} requires them)`;
}
