/**
 * Ids and the patterns that every id from outside must match before it is used, above all in paths.
 */
import * as v from "valibot";
import type { Random } from "../base/random.ts";
import { randomHex } from "../base/random.ts";

/**
 * Chunks, uploads and keepers are named by 16 random bytes in hexadecimal; ids are never reused.
 */
const ID_PATTERN = /^[0-9a-f]{32}$/;

/** The schema of chunk, upload and keeper ids. */
export const Id = v.pipe(v.string(), v.regex(ID_PATTERN, "an id has 32 hexadecimal digits"));

/** Whether `text` is an id: nothing else may become part of a path on a keeper's disk. */
export function isId(text: string): boolean {
  return ID_PATTERN.test(text);
}

/** A new id. */
export function makeId(random: Random): string {
  return randomHex(random, 16);
}

/** What a keeper, a cluster or a label may be called. */
export const Label = v.pipe(
  v.string(),
  v.regex(/^[a-zA-Z0-9][a-zA-Z0-9._-]{0,62}$/, "a name has 1–63 letters, digits, '.', '_' or '-'"),
);

/** A whole number that JavaScript holds exactly, ≥ 0: sizes, counts, ms. */
export const Natural = v.pipe(v.number(), v.safeInteger(), v.minValue(0));

/** A TCP port. */
export const PortNumber = v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(65535));

/**
 * A network host as a keeper advertises it: a name or an address, nothing that could alter a URL.
 */
export const Host = v.pipe(
  v.string(),
  v.regex(/^(?:[a-zA-Z0-9.-]{1,253}|\[[0-9a-fA-F:.]{2,45}\])$/, "not a host name"),
);
