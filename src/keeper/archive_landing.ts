/** Files of the archive as they come to this keeper and leave it over HTTP. */
import type { Clock } from "../base/clock.ts";
import type { Archive } from "../chunks/archive.ts";
import type { ChunkStore } from "../chunks/chunk_store.ts";
import type { Disk } from "../chunks/disk.ts";
import { TydfsError } from "../wire/errors.ts";
import type { ArchiveTicket } from "../wire/ticket.ts";
import { refuseLength } from "./landing.ts";
import { parseRange } from "./range.ts";
import type { StallLimits, StreamControl } from "./stall_watch.ts";
import { watchUpload } from "./stall_watch.ts";

export interface ArchiveDoorOptions {
  archive: Archive;
  store: Pick<ChunkStore, "space">;
  disk: Disk;
  clock: Clock;
  limits: StallLimits;
}

/**
 * Takes in a file of the archive; resolves when it is durable. Throws `no-space` when the reserve
 * would be touched, `corrupt`, and what is wrong with the request.
 */
export async function takeArchive(
  options: ArchiveDoorOptions,
  request: Request,
  control: StreamControl,
  ticket: ArchiveTicket,
): Promise<void> {
  const { archive, store, disk, clock, limits } = options;
  const { sizeBytes, name } = ticket;
  refuseLength(request, sizeBytes);
  if ((await store.space()).freeBytes < sizeBytes) {
    throw new TydfsError("no-space", `Cannot store "${name}": the disk is full`);
  }
  await archive.land(ticket, async (path) => {
    let cut = "the sender has gone";
    const upload = { request, control, sizeBytes, received: () => disk.sizeOf(path) ?? 0 };
    const unwatch = watchUpload(clock, limits, upload, (reason) => cut = reason);
    try {
      await disk.receive(path, request);
    } catch (cause) {
      if (!request.signal.aborted) throw cause;
      throw new TydfsError("interrupted", `Cannot store "${name}": ${cut}`, { cause });
    } finally {
      unwatch();
    }
  });
}

/** Gives out a file of the archive, or a part of it. Throws `not-found`. */
export function giveArchive(archive: Archive, request: Request, name: string): Response {
  const found = archive.find(name);
  if (found === undefined) {
    throw new TydfsError("not-found", `The archive of this keeper has no "${name}"`);
  }
  const { body, sizeBytes } = found;
  const wanted = parseRange(request.headers.get("range"), sizeBytes);
  if (wanted.kind === "unsatisfiable") {
    throw new TydfsError("invalid", `Cannot read "${name}": it has no such part`);
  }
  const { start, end } = wanted.kind === "part" ? wanted : { start: 0, end: sizeBytes };
  const headers: Record<string, string> = {
    "content-type": "application/octet-stream",
    "content-length": String(end - start),
  };
  if (wanted.kind === "part") headers["content-range"] = `bytes ${start}-${end - 1}/${sizeBytes}`;
  return new Response(body.slice(start, end), {
    status: wanted.kind === "part" ? 206 : 200,
    headers,
  });
}
