/**
 * The data plane: chunks over HTTP/1.1, zero-copy where the kernel can (`sendfile`).
 * `ChunkTransport` is what clients and keepers stream with; a simulator may take its place.
 *
 * `PUT /chunk/<id>` with header `x-tydfs-ticket` (body: the whole chunk) → 200 and a
 * `PutAnswer` as JSON.
 * `GET /chunk/<id>` with the same header or `?ticket=`, and `Range: bytes=a-b` → 200 or 206
 * and the bytes.
 * `GET /progress/<id>` with the header of a PUT that is under way → a `ProgressAnswer` as JSON.
 * Errors: the HTTP status of the code (see `ERROR_CODES`) and `{ok: false, code, message}` as JSON.
 */
import * as v from "valibot";
import { KIB, MIB } from "../base/bytes.ts";
import type { Schema } from "./codec.ts";
import { validate } from "./codec.ts";
import { decodeError, ERROR_CODES, TydfsError } from "./errors.ts";
import { Id, Natural } from "./ids.ts";
import type { RangeAnswer } from "./range_socket.ts";
import { openRange } from "./range_socket.ts";
import { ReplyEnvelope } from "./rpc.ts";
import { ChunkOrigin } from "./ticket.ts";
import { Committed } from "./upload.ts";

export const TICKET_HEADER = "x-tydfs-ticket";
/**
 * Set by a keeper that forwards: copies that it still needs before it can answer. Absent on a
 * client's PUT.
 */
export const NEED_HEADER = "x-tydfs-need";

/** Ranges from this size on get a connection of their own; smaller ones share Bun's. */
const OWN_SOCKET_BYTES = MIB;
const ERROR_CHARS_MAX = 64 * KIB;

/** A streamer's address. */
export interface PortAddress {
  host: string;
  port: number;
}

/** The answer to a PUT: who has the chunk durably now, and for a file of one chunk the commit. */
export const PutAnswer = v.object({
  ok: v.literal(true),
  /** Keepers whose copies are durable. */
  keepers: v.array(Id),
  committed: v.optional(Committed),
});
export type PutAnswer = v.InferOutput<typeof PutAnswer>;

/** The answer to `GET /origin/<id>`, on a ticket to read the chunk. */
export const OriginAnswer = v.object({ ok: v.literal(true), origin: v.optional(ChunkOrigin) });
export type OriginAnswer = v.InferOutput<typeof OriginAnswer>;

/** The answer to `GET /progress/<id>`, on the ticket of the PUT that it asks about. */
export const ProgressAnswer = v.object({
  ok: v.literal(true),
  /** Bytes of the chunk that have come in so far; they are not durable before the PUT's answer. */
  receivedBytes: Natural,
});
export type ProgressAnswer = v.InferOutput<typeof ProgressAnswer>;

export interface PutChunkRequest {
  chunk: string;
  ticket: string;
  /** A slice of a file is sent by the kernel; bytes are sent as they are. */
  body: Blob | Uint8Array;
  /** Set by keepers only. */
  need?: number;
  signal: AbortSignal;
}

export interface GetChunkRequest {
  chunk: string;
  ticket: string;
  offset: number;
  length: number;
  signal: AbortSignal;
}

export interface ProgressRequest {
  chunk: string;
  /** The ticket of the PUT. */
  ticket: string;
  signal: AbortSignal;
}

export interface OriginRequest {
  chunk: string;
  ticket: string;
  signal: AbortSignal;
}

/** Streams chunks to and from streamers. Every call ends by its signal at the latest. */
export interface ChunkTransport {
  /** Sends a whole chunk. Throws what the keeper says, `unavailable` when it can't be reached. */
  put(address: PortAddress, request: PutChunkRequest): Promise<PutAnswer>;
  /**
   * How many bytes of a PUT that is under way have come in: the kernel sends them, so the sender
   * itself can't tell. Throws `not-found` when the keeper knows of no such PUT (any more).
   */
  progress(address: PortAddress, request: ProgressRequest): Promise<number>;
  /**
   * Reads a range in pieces of any size; the pieces add up to exactly `length` bytes or it throws.
   */
  get(address: PortAddress, request: GetChunkRequest): Promise<AsyncIterable<Uint8Array>>;
  /** What a keeper knows a chunk was written for; undefined when it does not. */
  origin(address: PortAddress, request: OriginRequest): Promise<ChunkOrigin | undefined>;
  /** Resolves when the streamer's event loop turns: tells a slow peer from a hung one. */
  ping(address: PortAddress, signal: AbortSignal): Promise<void>;
}

/** The real transport: `fetch` over TCP, connections kept alive by Bun. */
export const httpTransport: ChunkTransport = {
  async put(address, request) {
    const headers: Record<string, string> = { [TICKET_HEADER]: request.ticket };
    if (request.need !== undefined) headers[NEED_HEADER] = String(request.need);
    const response = await fetchChunk(address, request, {
      method: "PUT",
      headers,
      body: request.body as BodyInit,
    });
    return readAnswer(PutAnswer, response, address);
  },

  async progress(address, { chunk, ticket, signal }) {
    const url = `http://${address.host}:${address.port}/progress/${chunk}`;
    const headers = { [TICKET_HEADER]: ticket };
    const response = await fetch(url, { headers, signal, redirect: "error" });
    return (await readAnswer(ProgressAnswer, response, address)).receivedBytes;
  },

  async get(address, request) {
    const { offset, length, ticket } = request;
    const range = `bytes=${offset}-${offset + length - 1}`;
    const headers = { [TICKET_HEADER]: ticket, range };
    if (length >= OWN_SOCKET_BYTES) return await getBySocket(address, request, headers);
    const response = await fetchChunk(address, request, { headers });
    if (response.status !== 206 || response.body === null) throw await readError(response, address);
    return exactly(response.body, length, address);
  },

  async origin(address, { chunk, ticket, signal }) {
    const url = `http://${address.host}:${address.port}/origin/${chunk}`;
    const headers = { [TICKET_HEADER]: ticket };
    const response = await fetch(url, { headers, signal, redirect: "error" });
    return (await readAnswer(OriginAnswer, response, address)).origin;
  },

  async ping(address, signal) {
    const response = await fetch(`http://${address.host}:${address.port}/health`, { signal });
    await response.body?.cancel();
  },
};

async function getBySocket(
  address: PortAddress,
  { chunk, length, signal }: GetChunkRequest,
  headers: Record<string, string>,
): Promise<AsyncIterable<Uint8Array>> {
  const path = `/chunk/${chunk}`;
  let answer: RangeAnswer;
  try {
    answer = await openRange({ ...address, path, headers, signal });
  } catch (cause) {
    throw streamFailure(address, signal, cause);
  }
  const { status, body } = answer;
  if (status === 206) return exactly(body, length, address);
  throw await readError(new Response(await readShort(body), { status }), address);
}

/** The text of an error: short, or cut. */
async function readShort(body: AsyncIterable<Uint8Array>): Promise<string> {
  let text = "";
  const decoder = new TextDecoder();
  for await (const piece of body) {
    text += decoder.decode(piece, { stream: true });
    if (text.length > ERROR_CHARS_MAX) break;
  }
  return text;
}

async function fetchChunk(
  address: PortAddress,
  request: { chunk: string; signal: AbortSignal },
  init: RequestInit,
): Promise<Response> {
  const url = `http://${address.host}:${address.port}/chunk/${request.chunk}`;
  try {
    return await fetch(url, { ...init, signal: request.signal, redirect: "error" });
  } catch (cause) {
    throw streamFailure(address, request.signal, cause);
  }
}

/** Reads an answer in JSON. Throws what the keeper says, or `unavailable`. */
export async function readAnswer<T>(
  schema: Schema<T>,
  response: Response,
  address: PortAddress,
): Promise<T> {
  if (!response.ok) throw await readError(response, address);
  return validate(schema, await response.json(), `the answer of ${address.host}:${address.port}`);
}

/** What a keeper's refusal says. */
export async function readError(response: Response, address: PortAddress): Promise<TydfsError> {
  const place = `${address.host}:${address.port}`;
  try {
    const reply = validate(ReplyEnvelope, await response.json(), `the answer of ${place}`);
    if (!reply.ok) return decodeError(reply);
  } catch (cause) {
    const message = `Keeper at ${place} answers ${response.status} without saying why`;
    return new TydfsError("unavailable", message, { cause });
  }
  return new TydfsError("unavailable", `Keeper at ${place} answers ${response.status}`);
}

/**
 * Passes pieces on and throws unless they add up to `length`: a short or long body is never silent.
 */
export async function* exactly(
  body: AsyncIterable<Uint8Array>,
  length: number,
  address: PortAddress,
): AsyncIterable<Uint8Array> {
  const place = `${address.host}:${address.port}`;
  let seen = 0;
  try {
    for await (const piece of body) {
      seen += piece.length;
      if (seen > length) break;
      yield piece;
    }
  } catch (cause) {
    throw new TydfsError("unavailable", `The stream from ${place} broke`, { cause });
  }
  if (seen !== length) {
    const message = `The stream from ${place} has ${seen} bytes where ${length} are due`;
    throw new TydfsError("unavailable", message);
  }
}

/** The failure of a request that got no answer. */
export function streamFailure(address: PortAddress, signal: AbortSignal, cause: unknown): unknown {
  if (signal.aborted && signal.reason instanceof TydfsError) return signal.reason;
  const message = `Cannot reach the keeper at ${address.host}:${address.port}`;
  return new TydfsError("unavailable", message, { cause });
}

/** An error as a keeper answers it over HTTP. */
export function errorResponse(error: TydfsError): Response {
  const { code, message, data } = error;
  return Response.json({ ok: false, code, message, data }, { status: ERROR_CODES[code].http });
}
