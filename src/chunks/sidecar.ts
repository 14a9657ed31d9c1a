/**
 * Sidecars: a JSON file beside each chunk with its sums and with what it was written for, so that
 * files can be rescued from the keepers' disks without a master. People may read them; nothing
 * trusts one that does not fit the schema.
 */
import * as v from "valibot";
import { validate } from "../wire/codec.ts";
import { TydfsError } from "../wire/errors.ts";
import { Id, Natural } from "../wire/ids.ts";
import { RemotePath } from "../wire/names.ts";
import { blockCount, SUM_BYTES } from "../wire/sums.ts";
import type { ChunkOrigin } from "../wire/ticket.ts";

const FORMAT = 1;

/** What is known of a chunk: enough to verify it, and to find its place in its file. */
export interface ChunkFacts {
  chunk: string;
  sizeBytes: number;
  sums: Uint8Array;
  /** Copies that it is to have; 0 when not known here. */
  goal: number;
  /** What it was written for; a copy made by repair may not know. */
  origin?: ChunkOrigin | undefined;
  /** When this copy of it was made, in wall ms; known from a sidecar only. */
  landedMs?: number;
}

const SidecarFile = v.object({
  format: v.literal(FORMAT),
  chunk: Id,
  sizeBytes: Natural,
  /** 16 hexadecimal digits a block. */
  sums: v.pipe(v.string(), v.regex(/^(?:[0-9a-f]{16})*$/, "sums have 16 digits a block")),
  goal: Natural,
  path: v.optional(RemotePath),
  upload: v.optional(Id),
  seq: v.optional(Natural),
  offset: v.optional(Natural),
  // Not there in sidecars of older versions.
  fileBytes: v.optional(Natural),
  mode: v.optional(Natural),
  mtimeMs: v.optional(v.pipe(v.number(), v.safeInteger())),
  owner: v.optional(v.string()),
  placedMs: v.optional(Natural),
  landedMs: Natural,
});

/** A chunk's facts as the bytes of its sidecar. */
export function formatSidecar(facts: ChunkFacts, landedMs: number): Uint8Array {
  const file: v.InferOutput<typeof SidecarFile> = {
    format: FORMAT,
    chunk: facts.chunk,
    sizeBytes: facts.sizeBytes,
    sums: facts.sums.toHex(),
    goal: facts.goal,
    ...facts.origin,
    landedMs,
  };
  return new TextEncoder().encode(JSON.stringify(file, null, 1) + "\n");
}

/** Reads the sidecar of `chunk`. Throws `corrupt` on anything that is not its sidecar. */
export function parseSidecar(chunk: string, bytes: Uint8Array): ChunkFacts {
  const fail = (reason: string, cause?: unknown) =>
    new TydfsError("corrupt", `Cannot read the sidecar of chunk "${chunk}": ${reason}`, { cause });
  let file: v.InferOutput<typeof SidecarFile>;
  try {
    file = validate(SidecarFile, JSON.parse(new TextDecoder().decode(bytes)), "a sidecar");
  } catch (cause) {
    throw fail("it is malformed", cause);
  }
  if (file.chunk !== chunk) throw fail(`it belongs to "${file.chunk}"`);
  const sums = Uint8Array.fromHex(file.sums);
  if (sums.length !== blockCount(file.sizeBytes) * SUM_BYTES) throw fail("a sum is missing");
  const { sizeBytes, goal, path, upload, seq, offset, landedMs } = file;
  const whole = path !== undefined && upload !== undefined && seq !== undefined &&
    offset !== undefined;
  return {
    chunk,
    sizeBytes,
    sums,
    goal,
    origin: whole ? { path, upload, seq, offset, ...fileFactsOf(file) } : undefined,
    landedMs,
  };
}

/** What a sidecar knows of the whole file. */
function fileFactsOf(
  { fileBytes, mode, mtimeMs, owner, placedMs }: v.InferOutput<typeof SidecarFile>,
): Partial<ChunkOrigin> {
  return {
    ...(fileBytes === undefined ? {} : { fileBytes }),
    ...(mode === undefined ? {} : { mode }),
    ...(mtimeMs === undefined ? {} : { mtimeMs }),
    ...(owner === undefined ? {} : { owner }),
    ...(placedMs === undefined ? {} : { placedMs }),
  };
}
