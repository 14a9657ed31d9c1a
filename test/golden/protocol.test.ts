/**
 * The protocol as it was released: a hash of every schema, and messages as bytes. A change here
 * means that old and new processes may not understand each other: raise PROTOCOL_VERSION, then put
 * the new values into golden.json.
 */
import { expect, test } from "bun:test";
import { encode } from "../../src/wire/codec.ts";
import * as archive from "../../src/wire/archive.ts";
import * as audit from "../../src/wire/audit.ts";
import * as cluster from "../../src/wire/cluster.ts";
import * as command from "../../src/wire/command.ts";
import * as dir from "../../src/wire/dir.ts";
import * as event from "../../src/wire/event.ts";
import * as file from "../../src/wire/file.ts";
import * as heartbeat from "../../src/wire/heartbeat.ts";
import * as http from "../../src/wire/chunk_http.ts";
import * as locate from "../../src/wire/locate_many.ts";
import * as operator from "../../src/wire/operator.ts";
import * as pack from "../../src/wire/pack.ts";
import * as report from "../../src/wire/report.ts";
import * as rule from "../../src/wire/rule.ts";
import * as ticket from "../../src/wire/ticket.ts";
import * as trash from "../../src/wire/trash.ts";
import * as upload from "../../src/wire/upload.ts";
import { PROTOCOL_VERSION } from "../../src/wire/version.ts";
import golden from "./golden.json" with { type: "json" };

const FAMILIES = {
  archive,
  audit,
  cluster,
  command,
  dir,
  event,
  file,
  heartbeat,
  http,
  locate,
  operator,
  pack,
  report,
  rule,
  ticket,
  trash,
  upload,
};
const ID = "00112233445566778899aabbccddeeff";

const MESSAGES: Record<string, unknown> = {
  heartbeat: {
    keeper: ID,
    epoch: 3,
    beat: 17,
    ports: [{ port: 7000, slots: 8, inUse: 1, bytesIn: 2 ** 33, bytesOut: 5, grants: [2 ** 31] }],
    totalBytes: 2 ** 40,
    freeBytes: 2 ** 39,
    chunks: 12,
    readOnly: false,
    leaving: false,
    aside: 1,
    scrub: {
      running: true,
      doneBytes: 2 ** 33,
      totalBytes: 2 ** 34,
      bad: 0,
      passedMs: 1_700_000_000_000,
      beganMs: 1_700_000_000_001,
      dueMs: 1_700_604_800_001,
    },
  },
  getTicket: { op: "get", chunk: ID, expiresMs: 1_700_000_000_000 },
  commit: { upload: ID, sizeBytes: 2 ** 30, chunks: 16, checksum: "0123456789abcdef" },
  error: { ok: false, code: "busy", message: "All ports are busy", data: { retryAfterMs: 200 } },
};

/**
 * What a schema accepts, as text: kinds, keys, literals and limits in a fixed order, without
 * functions.
 */
function describeSchema(schema: unknown): unknown {
  if (Array.isArray(schema)) return schema.map(describeSchema);
  if (typeof schema !== "object" || schema === null) return schema;
  const facts = schema as Record<string, unknown>;
  const told = ["type", "entries", "items", "item", "key", "value", "options", "literal"];
  told.push("wrapped", "pipe", "requirement", "rest");
  const entries = "type" in facts ? told : Object.keys(facts).sort();
  return entries.filter((key) => key in facts && typeof facts[key] !== "function").map((key) => [
    key,
    facts[key] instanceof RegExp ? String(facts[key]) : describeSchema(facts[key]),
  ]);
}

function hashSchemas(): string {
  const told = Object.entries(FAMILIES).map(([name, family]) => [
    name,
    Object.entries(family).sort(([a], [b]) => a < b ? -1 : 1)
      .filter(([, value]) => typeof value === "object")
      .map(([key, value]) => [key, describeSchema(value)]),
  ]);
  return new Bun.CryptoHasher("sha256").update(JSON.stringify(told)).digest("hex");
}

test("the schemas are those of this protocol version", () => {
  expect({ version: PROTOCOL_VERSION, schemas: hashSchemas() }).toEqual({
    version: golden.version,
    schemas: golden.schemas,
  });
});

test("messages have the bytes that they always had", () => {
  const bytes = Object.fromEntries(
    Object.entries(MESSAGES).map(([name, message]) => [name, encode(message).toHex()]),
  );
  expect(bytes).toEqual(golden.messages);
});
