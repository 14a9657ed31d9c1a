/**
 * CBOR (RFC 8949) for every message: plain maps, limits on size and depth, and a schema check
 * before anything is used. A long list without bytes lies in it as JSON (tag 262 of the registry
 * of CBOR): the runtime itself reads that ten times as fast, also in a process that has just
 * started. The one door to cbor-x.
 */
import { addExtension, Encoder } from "cbor-x";
import * as v from "valibot";
import { TydfsError } from "./errors.ts";

/** The largest message that is decoded, in bytes: NATS's own limit. */
export const MESSAGE_BYTES_MAX = 1024 * 1024;
const DEPTH_MAX = 16;
const EMBEDDED_JSON = 262;
/** Shorter lists are not worth a second format. */
const LONG_LIST = 32;
/** What is longer as JSON stays CBOR, which has no escapes: a message must pass through NATS. */
const JSON_BYTES_MAX = 768 * 1024;
/** Long lists are not looked for deeper than this, and those that nest deeper stay CBOR. */
const LIST_DEPTH_MAX = 6;

const cbor = new Encoder({
  useRecords: false,
  mapsAsObjects: true,
  tagUint8Array: false,
  variableMapSize: true,
});

/** A list that is encoded as JSON already. */
class EmbeddedList {
  readonly bytes: Uint8Array;

  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
  }
}

addExtension({
  Class: EmbeddedList,
  tag: EMBEDDED_JSON,
  encode: ({ bytes }: EmbeddedList, write: (value: unknown) => Uint8Array) => write(bytes),
  decode: (bytes: unknown): unknown => {
    if (!(bytes instanceof Uint8Array)) throw new TypeError("JSON is to come as bytes");
    return JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  },
});

/** Any valibot schema that checks without waiting. */
export type Schema<T> = v.GenericSchema<unknown, T>;

/**
 * Encodes a plain value. The bytes are a copy of their own, and the same for the same value, also
 * when that was decoded from them.
 */
export function encode(value: unknown): Uint8Array {
  return new Uint8Array(cbor.encode(embedLists(value, 0)));
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

/** The value with its long lists as what is encoded as JSON; itself where it has none. */
function embedLists(value: unknown, depth: number): unknown {
  if (typeof value !== "object" || value === null || value instanceof Uint8Array) return value;
  if (depth > LIST_DEPTH_MAX) return value;
  if (Array.isArray(value)) {
    if (value.length >= LONG_LIST && isText(value, 0)) {
      const bytes = Buffer.from(JSON.stringify(value));
      return bytes.length > JSON_BYTES_MAX ? value : new EmbeddedList(bytes);
    }
    let copy: unknown[] | undefined;
    for (const [at, part] of value.entries()) {
      const embedded = embedLists(part, depth + 1);
      if (embedded !== part) (copy ??= value.slice())[at] = embedded;
    }
    return copy ?? value;
  }
  if (!isPlainObject(value)) return value;
  let copy: Record<string, unknown> | undefined;
  for (const key of Object.keys(value)) {
    const part = (value as Record<string, unknown>)[key];
    const embedded = embedLists(part, depth + 1);
    if (embedded !== part) (copy ??= { ...value })[key] = embedded;
  }
  return copy ?? value;
}

/** Whether JSON gives the value back as it is. */
function isText(value: unknown, depth: number): boolean {
  if (typeof value === "string") return true;
  if (typeof value === "number") return Number.isFinite(value);
  if (typeof value === "boolean" || value === null) return true;
  if (typeof value !== "object" || depth > LIST_DEPTH_MAX) return false;
  if (Array.isArray(value)) {
    for (const item of value) if (!isText(item, depth + 1)) return false;
    return true;
  }
  if (!isPlainObject(value)) return false;
  for (const key of Object.keys(value)) {
    const part = (value as Record<string, unknown>)[key];
    // What is undefined is the same as what is not there.
    if (part !== undefined && !isText(part, depth + 1)) return false;
  }
  return true;
}

function isPlainObject(value: object): boolean {
  const prototype = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
}

/** Refuses what a schema could overlook: excessive depth, prototype keys, tagged objects. */
function checkPlain(value: unknown, what: string, depth: number): void {
  if (typeof value !== "object" || value === null || value instanceof Uint8Array) return;
  if (depth > DEPTH_MAX) throw new TydfsError("invalid", `Cannot read ${what}: nested too deeply`);
  if (Array.isArray(value)) {
    for (const item of value) checkPlain(item, what, depth + 1);
    return;
  }
  if (!isPlainObject(value)) {
    throw new TydfsError("invalid", `Cannot read ${what}: not a plain value`);
  }
  for (const key of Object.keys(value)) {
    if (key === "__proto__" || key === "__proto_" || key === "constructor") {
      throw new TydfsError("invalid", `Cannot read ${what}: forbidden key`);
    }
    checkPlain((value as Record<string, unknown>)[key], what, depth + 1);
  }
}
