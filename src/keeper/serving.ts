/**
 * Serving: how a chunk, or a range of it, leaves this keeper. The kernel sends the bytes; nothing
 * is read here.
 */
import { failpoint } from "../base/failpoint.ts";
import type { Log } from "../base/log.ts";
import type { ChunkStore } from "../chunks/chunk_store.ts";
import type { PortTable } from "../tables/port_table.ts";
import { TydfsError } from "../wire/errors.ts";
import { parseRange } from "./range.ts";
import type { Reporter } from "./reporter.ts";

export interface ServingOptions {
  row: number;
  ports: PortTable;
  store: ChunkStore;
  reporter: Reporter;
  log: Log;
}

const HEADERS = {
  "accept-ranges": "bytes",
  "content-type": "application/octet-stream",
  // A file's name would be guessed from its path otherwise.
  "content-disposition": "attachment",
};

/**
 * Answers a GET or HEAD whose ticket is in order. Throws `not-found` or `lost`, and reports either
 * to the master.
 */
export async function serveChunk(
  options: ServingOptions,
  request: Request,
  id: string,
): Promise<Response> {
  const { store, reporter, ports, row, log } = options;
  const found = await store.find(id);
  if (found.kind === "missing") {
    reporter.lostLater(id, "missing", () => store.durable(id));
    throw new TydfsError("not-found", `Chunk "${id}" is not on this keeper`);
  }
  if (found.kind === "damaged") {
    log.error("A chunk is damaged and was put aside", { chunk: id, reason: found.reason });
    await store.quarantine(id);
    reporter.lostLater(id, "corrupt", () => store.durable(id));
    throw new TydfsError("lost", `Chunk "${id}" is damaged on this keeper: ${found.reason}`);
  }
  const { body, sizeBytes } = found;
  const wanted = parseRange(request.headers.get("range"), sizeBytes);
  if (wanted.kind === "unsatisfiable") {
    return new Response(null, {
      status: 416,
      headers: { ...HEADERS, "content-range": `bytes */${sizeBytes}` },
    });
  }
  const { start, end } = wanted.kind === "part" ? wanted : { start: 0, end: sizeBytes };
  const headers: Record<string, string> = { ...HEADERS, "content-length": String(end - start) };
  if (wanted.kind === "part") headers["content-range"] = `bytes ${start}-${end - 1}/${sizeBytes}`;
  const status = wanted.kind === "part" ? 206 : 200;
  if (request.method === "HEAD") return new Response(null, { status, headers });
  await failpoint("keeper.get.serving");
  ports.countBytes(row, 0, end - start);
  return new Response(body.slice(start, end), { status, headers });
}
