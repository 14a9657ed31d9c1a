/**
 * Sidecars: a JSON file beside each chunk with its sums and with what it was written for, so that
 * files can be rescued from the keepers' disks without a master. People may read them; nothing
 * trusts one that does not fit the schema.
 *
 * The sidecar of a pack lists the pack's files, at its end and with a sum of its own: a list may
 * have some hundred KiB, and who only wants to know the chunk does not read it. It is a copy of the
 * pack's manifest: where it is damaged the chunk is as good as before.
 */
import * as v from "valibot";
import { validate } from "../wire/codec.ts";
import { TydfsError } from "../wire/errors.ts";
import { Id, Natural } from "../wire/ids.ts";
import { RemotePath } from "../wire/names.ts";
import { PACK_FILES_MAX, PackedFile } from "../wire/pack.ts";
import { blockCount, hashBlock, SUM_BYTES } from "../wire/sums.ts";
import { ChunkOrigin } from "../wire/ticket.ts";

const FORMAT = 1;
/** Begins the list of a pack's files. Text in JSON has no line break: this is found once. */
const LIST_START = '\n "files": [';
const LIST_END = "\n ]\n}\n";

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
  /**
   * The origin of a pack, instead of the fields above: versions that know no packs take such a
   * chunk for one without an origin, not for the first of its files.
   */
  pack: v.optional(ChunkOrigin),
  landedMs: Natural,
  /** XXH3-64 of the list of files, from `LIST_START` to the end, as 16 hexadecimal digits. */
  filesSum: v.optional(v.string()),
});

const FileList = v.object({ files: v.pipe(v.array(PackedFile), v.maxLength(PACK_FILES_MAX)) });

/** A chunk's facts as the bytes of its sidecar; with the files of a pack, where they are known. */
export function formatSidecar(
  facts: ChunkFacts,
  landedMs: number,
  files?: readonly PackedFile[],
): Uint8Array {
  const { origin } = facts;
  const file: v.InferOutput<typeof SidecarFile> = {
    format: FORMAT,
    chunk: facts.chunk,
    sizeBytes: facts.sizeBytes,
    sums: facts.sums.toHex(),
    goal: facts.goal,
    ...(origin?.packed === true ? { pack: origin } : origin),
    landedMs,
  };
  if (files === undefined) return Buffer.from(JSON.stringify(file, null, 1) + "\n");
  const lines = files.map((each) => `\n  ${JSON.stringify(each)}`).join(",");
  const list = Buffer.from(LIST_START + lines + LIST_END);
  const head = JSON.stringify({ ...file, filesSum: sumOf(list) }, null, 1);
  return Buffer.concat([Buffer.from(`${head.slice(0, -2)},`), list]);
}

/**
 * Reads the sidecar of `chunk`, but not the list of a pack's files. Throws `corrupt` on anything
 * that is not its sidecar.
 */
export function parseSidecar(chunk: string, bytes: Uint8Array): ChunkFacts {
  const fail = (reason: string, cause?: unknown) => malformed(chunk, reason, cause);
  const file = parseHead(chunk, splitList(bytes).head);
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
    origin: file.pack ??
      (whole ? { path, upload, seq, offset, ...fileFactsOf(file) } : undefined),
    landedMs,
  };
}

/**
 * The files of a pack of `packBytes`, as its sidecar lists them; undefined when it has no list.
 * Throws `corrupt` when that is damaged.
 */
export function parseFileList(
  chunk: string,
  packBytes: number,
  bytes: Uint8Array,
): PackedFile[] | undefined {
  const { head, list } = splitList(bytes);
  if (list.length === 0) return undefined;
  if (parseHead(chunk, head).filesSum !== sumOf(list)) {
    throw malformed(chunk, "its list of files does not match its sum");
  }
  try {
    const { files } = validate(FileList, JSON.parse(`{${decodeText(list)}`), "a list of files");
    if (files.every(({ offset, sizeBytes }) => offset + sizeBytes <= packBytes)) return files;
  } catch (cause) {
    throw malformed(chunk, "its list of files is malformed", cause);
  }
  throw malformed(chunk, "it lists bytes that the chunk does not have");
}

/** The list of files, as it was written, and what stands before it, which is JSON by itself. */
function splitList(bytes: Uint8Array): { head: string; list: Uint8Array } {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const start = buffer.indexOf(LIST_START);
  if (start < 0) return { head: decodeText(buffer), list: buffer.subarray(buffer.length) };
  const head = decodeText(buffer.subarray(0, start)).replace(/,$/, "");
  return { head: `${head}}`, list: buffer.subarray(start) };
}

function parseHead(chunk: string, head: string): v.InferOutput<typeof SidecarFile> {
  try {
    return validate(SidecarFile, JSON.parse(head), "a sidecar");
  } catch (cause) {
    throw malformed(chunk, "it is malformed", cause);
  }
}

function sumOf(list: Uint8Array): string {
  return hashBlock(list).toString(16).padStart(16, "0");
}

function decodeText(bytes: Uint8Array): string {
  return new TextDecoder().decode(bytes);
}

function malformed(chunk: string, reason: string, cause?: unknown): TydfsError {
  const message = `Cannot read the sidecar of chunk "${chunk}": ${reason}`;
  return new TydfsError("corrupt", message, { cause });
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
