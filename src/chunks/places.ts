/**
 * Where things lie below a keeper's data directory. The only file that builds a path from a chunk's
 * id.
 */
import { assert } from "../base/assert.ts";
import { isId } from "../wire/ids.ts";

export const CHUNKS = "chunks";
export const INCOMING = "tmp";
export const ARCHIVE = "archive";
export const QUARANTINE = "quarantine";
/** There while a keeper is ready, and after one was killed. */
export const READY_FILE = "ready";
export const SIDECAR_ENDING = ".json";

/** The directory of a chunk: `chunks/ab/cd`. */
export function shelfOf(id: string): string {
  // Invariant: nothing but an id becomes part of a path.
  assert(isId(id), "a chunk's path is built from an id");
  return `${CHUNKS}/${id.slice(0, 2)}/${id.slice(2, 4)}`;
}

/** The directory that holds a chunk's shelf: `chunks/ab`. */
export function aisleOf(id: string): string {
  return shelfOf(id).slice(0, -3);
}

/** A chunk's file. */
export function chunkPath(id: string): string {
  return `${shelfOf(id)}/${id}`;
}

/** A chunk's sidecar. */
export function sidecarPath(id: string): string {
  return chunkPath(id) + SIDECAR_ENDING;
}
