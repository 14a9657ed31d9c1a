/** `file.locate-many`: where the bytes of many small files lie, each chunk told once. */
import type { Holder } from "../../wire/file.ts";
import type { FileLocateManyReply, SharedChunk, SmallFile } from "../../wire/locate_many.ts";
import { signTicket } from "../../wire/ticket.ts";
import { holderOf } from "../roster.ts";
import type { Desk } from "./desk.ts";
import { GET_TICKET_MS, HOLDER_BYTES, PAGE_BYTES_MAX, readable } from "./file.ts";

/** A file without its checksum; a chunk without its sums, its holders and its ticket. */
const FILE_BYTES = 200;
const CHUNK_BYTES = 150;

/** `file.locate-many`. */
export function locateMany(desk: Desk, request: { paths: string[] }): FileLocateManyReply {
  const found = desk.reader.locateMany(request.paths);
  const expiresMs = desk.clock.wallMs() + GET_TICKET_MS;
  const files: SmallFile[] = [];
  const chunks: SharedChunk[] = [];
  /** The index of each chunk told, by its index in what was found. */
  const told = new Map<number, number>();
  const holders = new Map<string, Holder>();
  let bytes = 0;
  for (const file of found.files) {
    const index = file.kind === "file" ? file.chunk : undefined;
    const chunk = index === undefined || told.has(index) ? undefined : found.chunks[index];
    const live = chunk === undefined ? [] : readable(desk, chunk);
    const ticket = chunk && signTicket(desk.ticketKey, { op: "get", chunk: chunk.id, expiresMs });
    bytes += FILE_BYTES;
    if (chunk !== undefined && ticket !== undefined) {
      bytes += CHUNK_BYTES + ticket.length + chunk.sums.length + live.length * HOLDER_BYTES;
    }
    if (bytes > PAGE_BYTES_MAX && files.length > 0) break;
    if (index !== undefined && chunk !== undefined && ticket !== undefined) {
      const { id, sizeBytes: chunkBytes, sums } = chunk;
      for (const keeper of live) holders.set(keeper.id, holderOf(keeper));
      const keepers = live.map(({ id }) => id);
      told.set(index, chunks.push({ chunk: id, chunkBytes, sums, keepers, ticket }) - 1);
    }
    const place = index === undefined ? undefined : told.get(index);
    files.push(file.kind === "file" ? { ...file, chunk: place } : file);
  }
  return { files, chunks, holders: [...holders.values()] };
}
