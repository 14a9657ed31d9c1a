/**
 * CBOR (RFC 8949) for every message: plain maps, limits on size and depth, and a schema check
 * before anything is used. The one door to cbor-x.
 */
import { Encoder } from "cbor-x";
import * as v from "valibot";
import { TydfsError } from "./errors.ts";

/** The largest message that is decoded, in bytes: NATS's own limit. */
export const MESSAGE_BYTES_MAX = 1024 * 1024;
const DEPTH_MAX = 16;

const cbor = new Encoder({
  useRecords: false,
  mapsAsObjects: true,
  tagUint8Array: false,
  variableMapSize: true,
});

/** Any valibot schema that checks without waiting. */
export type Schema<T> = v.GenericSchema<unknown, T>;

/** Encodes a plain value. The bytes are a copy of their own. */
export function encode(value: unknown): Uint8Array {
  return new Uint8Array(cbor.encode(value));
}

/**
 * Decodes and checks a message. Throws `invalid` on what is not CBOR, too large, too deep, or not
 * of the schema; `what` names the message in the error.
 */
export function decode<T>(schema: Schema<T>, bytes: Uint8Array, what: string): T {
  if (bytes.length > MESSAGE_BYTES_MAX) {
    throw new TydfsError("invalid", `Cannot read ${what}: ${bytes.length} bytes are too many`);
  }
  let value: unknown;
  try {
    value = cbor.decode(bytes);
  } catch (cause) {
    throw new TydfsError("invalid", `Cannot read ${what}: not well-formed CBOR`, { cause });
  }
  checkPlain(value, what, 0);
  return validate(schema, value, what);
}

/** Checks a value against its schema. Throws `invalid` naming the first field that is wrong. */
export function validate<T>(schema: Schema<T>, value: unknown, what: string): T {
  const result = v.safeParse(schema, value, { abortEarly: true });
  if (result.success) return result.output;
  const issue = result.issues[0];
  const path = v.getDotPath(issue);
  const place = path === null ? "" : ` in "${path}"`;
  throw new TydfsError("invalid", `Cannot read ${what}: ${issue.message}${place}`);
}

/** Refuses what a schema could overlook: excessive depth, prototype keys, tagged objects. */
function checkPlain(value: unknown, what: string, depth: number): void {
  if (typeof value !== "object" || value === null || value instanceof Uint8Array) return;
  if (depth > DEPTH_MAX) throw new TydfsError("invalid", `Cannot read ${what}: nested too deeply`);
  if (Array.isArray(value)) {
    for (const item of value) checkPlain(item, what, depth + 1);
    return;
  }
  const prototype = Object.getPrototypeOf(value);
  if (prototype !== Object.prototype && prototype !== null) {
    throw new TydfsError("invalid", `Cannot read ${what}: not a plain value`);
  }
  for (const key of Object.keys(value)) {
    if (key === "__proto__" || key === "__proto_" || key === "constructor") {
      throw new TydfsError("invalid", `Cannot read ${what}: forbidden key`);
    }
    checkPlain((value as Record<string, unknown>)[key], what, depth + 1);
  }
}
