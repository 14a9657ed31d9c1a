/**
 * Files of keepers' archives over HTTP: `PUT` and `GET /archive/<name>` on an `archive` ticket in
 * the header `x-tydfs-ticket`. A GET may ask for a range.
 */
import * as v from "valibot";
import { ArchiveName } from "./archive.ts";
import type { PortAddress } from "./chunk_http.ts";
import { exactly, readAnswer, readError, streamFailure, TICKET_HEADER } from "./chunk_http.ts";
import { validate } from "./codec.ts";

/** Of the largest file that an archive takes, in bytes. */
export const ARCHIVE_BYTES_MAX = 64 * 2 ** 30;
export const ARCHIVE_PREFIX = "/archive/";

/** The answer to a PUT: the file is on disk, and its checksum was right. */
export const ArchiveAnswer = v.object({ ok: v.literal(true) });

export interface PutArchiveRequest {
  name: string;
  ticket: string;
  /** A file is sent by the kernel. */
  body: Blob;
  signal: AbortSignal;
}

export interface GetArchiveRequest {
  name: string;
  ticket: string;
  /** Bytes from the file's beginning, at most; the whole file unless given. */
  firstBytes?: number;
  signal: AbortSignal;
}

/** How a master stores and fetches archives; a simulator may take its place. */
export interface ArchiveTransport {
  /** Resolves when the file is durable there. Throws what the keeper says. */
  put(address: PortAddress, request: PutArchiveRequest): Promise<void>;
  /** The file's bytes; throws when they are fewer than the keeper has announced. */
  get(address: PortAddress, request: GetArchiveRequest): Promise<AsyncIterable<Uint8Array>>;
}

/** The real transport: `fetch` over TCP. */
export const httpArchive: ArchiveTransport = {
  async put(address, { name, ticket, body, signal }) {
    const headers = { [TICKET_HEADER]: ticket };
    const response = await request(address, name, { method: "PUT", headers, body, signal });
    await readAnswer(ArchiveAnswer, response, address);
  },

  async get(address, { name, ticket, firstBytes, signal }) {
    const headers: Record<string, string> = { [TICKET_HEADER]: ticket };
    if (firstBytes !== undefined) headers["range"] = `bytes=0-${firstBytes - 1}`;
    const response = await request(address, name, { headers, signal });
    if (!response.ok || response.body === null) throw await readError(response, address);
    return exactly(response.body, Number(response.headers.get("content-length")), address);
  },
};

async function request(
  address: PortAddress,
  name: string,
  init: RequestInit & { signal: AbortSignal },
): Promise<Response> {
  const url = `http://${address.host}:${address.port}${ARCHIVE_PREFIX}${name}`;
  try {
    return await fetch(url, { ...init, redirect: "error" });
  } catch (cause) {
    throw streamFailure(address, init.signal, cause);
  }
}

/** The file that a path under `ARCHIVE_PREFIX` means. Throws `invalid`. */
export function archiveNameIn(pathname: string): string {
  return validate(ArchiveName, pathname.slice(ARCHIVE_PREFIX.length), "the archive's path");
}
