/**
 * Tickets: what a keeper serves, it serves on a ticket that a tracker has signed. CBOR, then
 * HMAC-SHA256 over it, in base64url. Bearer and short-lived.
 */
import { timingSafeEqual } from "node:crypto";
import * as v from "valibot";
import { ArchiveName } from "./archive.ts";
import { decode, encode } from "./codec.ts";
import { TydfsError } from "./errors.ts";
import { Host, Id, Natural, PortNumber } from "./ids.ts";
import { RemotePath } from "./names.ts";
import { Sums } from "./sums.ts";

/**
 * One keeper of a chain: where it listens, and the port slot that was taken for this stream there.
 */
export const Hop = v.object({
  keeper: Id,
  host: Host,
  port: PortNumber,
  /** The slot in the master's PortTable, as one word; see `PortTable`. */
  grant: Natural,
});
export type Hop = v.InferOutput<typeof Hop>;

/**
 * What a chunk was written for; the sidecar keeps it, so that files can be rescued without a
 * master.
 */
export const ChunkOrigin = v.object({
  path: RemotePath,
  upload: Id,
  /** The chunk's place in the file, and where it starts there, in bytes. */
  seq: Natural,
  offset: Natural,
  /** The whole file's size, mode, time and owner, as far as the upload's beginning told them. */
  fileBytes: v.optional(Natural),
  mode: v.optional(Natural),
  mtimeMs: v.optional(v.pipe(v.number(), v.safeInteger())),
  owner: v.optional(v.pipe(v.string(), v.maxLength(255))),
  /**
   * When the master placed the chunk, in wall ms: all versions of a path are told apart by one
   * clock, and copies that are made later keep the time.
   */
  placedMs: v.optional(Natural),
  /**
   * The chunk is a pack: its manifest names its files (see `pack.ts`), and `path` is but the first
   * of them.
   */
  packed: v.optional(v.literal(true)),
});
export type ChunkOrigin = v.InferOutput<typeof ChunkOrigin>;

/** How a file of one chunk is committed together with its chunk, by the head keeper's report. */
export const CommitOrder = v.object({
  mode: Natural,
  mtimeMs: v.pipe(v.number(), v.safeInteger()),
  owner: v.pipe(v.string(), v.maxLength(255)),
  /** Refuse when the path exists (`put --no-replace`). */
  exclusive: v.boolean(),
  /** The copies that the user asked for by number. */
  replicas: v.optional(Natural),
});
export type CommitOrder = v.InferOutput<typeof CommitOrder>;

/** Leave to write one chunk to a chain of keepers. The sums are the client's own. */
export const PutTicket = v.object({
  op: v.literal("put"),
  chunk: Id,
  sizeBytes: Natural,
  sums: Sums,
  origin: ChunkOrigin,
  hops: v.pipe(v.array(Hop), v.minLength(1), v.maxLength(16)),
  /** Copies on disk before the PUT is answered. */
  minCopies: Natural,
  /** Copies that the replicator brings the chunk to. */
  goal: Natural,
  commit: v.optional(CommitOrder),
  /** Wall time in ms after which a keeper refuses it. */
  expiresMs: Natural,
});
export type PutTicket = v.InferOutput<typeof PutTicket>;

/** Leave to read one chunk from any keeper that has it. */
export const GetTicket = v.object({ op: v.literal("get"), chunk: Id, expiresMs: Natural });
export type GetTicket = v.InferOutput<typeof GetTicket>;

/** Leave to write or read one file of a keeper's archive (see `archive.ts`). */
export const ArchiveTicket = v.object({
  op: v.literal("archive"),
  name: ArchiveName,
  /** What is written must have this size and checksum; a reader's ticket has 0 and "". */
  sizeBytes: Natural,
  checksum: v.string(),
  expiresMs: Natural,
});
export type ArchiveTicket = v.InferOutput<typeof ArchiveTicket>;

export const Ticket = v.variant("op", [PutTicket, GetTicket, ArchiveTicket]);
export type Ticket = v.InferOutput<typeof Ticket>;

/** Wall clocks of machines may differ by this much. */
export const CLOCK_LEEWAY_MS = 30_000;
const MAC_BYTES = 32;
const TICKET_CHARS_MAX = 12 * 1024;

/** Signs a ticket: base64url text that fits into a header or a query. */
export function signTicket(key: string, ticket: Ticket): string {
  const body = encode(ticket);
  return Buffer.concat([body, macOf(key, body)]).toString("base64url");
}

/**
 * Checks a ticket and returns what it allows. Throws `denied` when it was not signed with this key,
 * `expired` when its time is over (with leeway), `invalid` when it is no ticket.
 */
export function openTicket(key: string, text: string, wallMs: number): Ticket {
  if (text.length > TICKET_CHARS_MAX) {
    throw new TydfsError("invalid", "Cannot read the ticket: it is too long");
  }
  const bytes = Buffer.from(text, "base64url");
  if (bytes.length <= MAC_BYTES) throw new TydfsError("denied", "Cannot serve: the ticket is none");
  const body = bytes.subarray(0, -MAC_BYTES);
  if (!timingSafeEqual(macOf(key, body), bytes.subarray(-MAC_BYTES))) {
    throw new TydfsError("denied", "Cannot serve: the ticket was not signed by this cluster");
  }
  const ticket = decode(Ticket, body, "the ticket");
  if (wallMs > ticket.expiresMs + CLOCK_LEEWAY_MS) {
    throw new TydfsError("expired", "Cannot serve: the ticket has run out");
  }
  return ticket;
}

function macOf(key: string, body: Uint8Array): Uint8Array {
  return new Bun.CryptoHasher("sha256", key).update(body).digest();
}
