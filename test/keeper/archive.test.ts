/** The archive at a keeper: over HTTP on tickets of its own, and by commands of its master only. */
import { expect, test } from "bun:test";
import { systemClock } from "../../src/base/clock.ts";
import type { JournalPiece } from "../../src/wire/archive.ts";
import {
  archiveName,
  commandArchive,
  commandJournal,
  commandPrune,
} from "../../src/wire/archive.ts";
import { httpArchive } from "../../src/wire/archive_http.ts";
import { call } from "../../src/wire/bus.ts";
import { encode } from "../../src/wire/codec.ts";
import { TICKET_HEADER } from "../../src/wire/chunk_http.ts";
import { fileChecksum, sumsOf } from "../../src/wire/sums.ts";
import { signTicket } from "../../src/wire/ticket.ts";
import { getTicket, KEY, random, subjects, type TestKeeper, World } from "./world.ts";

const CATALOG = "c".repeat(32);
const NAME = archiveName("snapshot", CATALOG, 9);
const within = { timeoutMs: 1_000 };
const { signal } = new AbortController();

function ticketFor(bytes: Uint8Array, name = NAME, key = KEY): string {
  const expiresMs = systemClock.wallMs() + 60_000;
  const checksum = fileChecksum([sumsOf(bytes)]);
  return signTicket(key, { op: "archive", name, sizeBytes: bytes.length, checksum, expiresMs });
}

function addressOf({ port }: TestKeeper) {
  return { host: "127.0.0.1", port };
}

async function collect(source: AsyncIterable<Uint8Array>): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  for await (const part of source) parts.push(part);
  return new Uint8Array(Buffer.concat(parts));
}

function pieceAt(from: number, epoch: number, catalog = CATALOG): JournalPiece {
  return {
    ...{ catalog, epoch, cluster: "main", key: "ab".repeat(32), from, to: from },
    hashBefore: new Uint8Array(32),
    operations: encode([encode({ kind: "x" })]),
  };
}

test("a keeper's archive takes a file and gives it back, whole or its beginning", async () => {
  await using world = new World();
  const keeper = await world.keeper();
  const bytes = random.bytes(3_000_000);
  const ticket = ticketFor(bytes);
  const request = { name: NAME, ticket, signal };
  await httpArchive.put(addressOf(keeper), { ...request, body: new Blob([bytes.slice()]) });
  expect(await collect(await httpArchive.get(addressOf(keeper), request))).toEqual(bytes);
  const head = await httpArchive.get(addressOf(keeper), { ...request, firstBytes: 4096 });
  expect(await collect(head)).toEqual(bytes.slice(0, 4096));
});

test("a keeper's archive refuses other tickets, names and bytes, and keeps nothing of it", async () => {
  await using world = new World();
  const keeper = await world.keeper();
  const bytes = random.bytes(5_000);
  const cases: [string, string, Uint8Array, string][] = [
    [NAME, ticketFor(bytes, NAME, "another key"), bytes, "denied"],
    [NAME, ticketFor(bytes, archiveName("snapshot", CATALOG, 8)), bytes, "denied"],
    [NAME, getTicket(CATALOG), bytes, "denied"],
    [NAME, ticketFor(bytes), random.bytes(5_000), "corrupt"],
    [NAME, ticketFor(bytes), random.bytes(4_999), "invalid"],
    ["snapshot-x-1", ticketFor(bytes), bytes, "invalid"],
    ["..%2fkeeper.json", ticketFor(bytes), bytes, "invalid"],
  ];
  for (const [name, ticket, body, code] of cases) {
    const put = httpArchive.put(addressOf(keeper), {
      name,
      ticket,
      body: new Blob([body.slice()]),
      signal,
    });
    await expect(put).rejects.toMatchObject({ code });
  }
  const request = { name: NAME, ticket: ticketFor(bytes), signal };
  await expect(httpArchive.get(addressOf(keeper), request)).rejects.toMatchObject({
    code: "not-found",
  });
  const response = await fetch(`${keeper.base}/archive/${NAME}`, {
    method: "DELETE",
    headers: { [TICKET_HEADER]: request.ticket },
  });
  expect(response.status).toBe(400);
});

test("a keeper appends to journals, lists and prunes them for the newest master of its catalog", async () => {
  await using world = new World();
  const { id, masterEpoch } = await world.keeper();
  const file = archiveName("journal", CATALOG, 1);
  const append = (piece: JournalPiece) =>
    call(world.bus, subjects.command(id, "journal"), commandJournal, {
      ...{ epoch: piece.epoch, file, piece },
    }, within);
  const list = () => call(world.bus, subjects.command(id, "archive"), commandArchive, {}, within);
  const prune = (epoch: number) =>
    call(world.bus, subjects.command(id, "prune"), commandPrune, { epoch, remove: [file] }, within);

  expect(await list()).toEqual({ files: [], masterEpoch: 0 });
  await append(pieceAt(1, 4));
  await append(pieceAt(2, 4));
  await expect(append(pieceAt(3, 3))).rejects.toMatchObject({ code: "stale-epoch" });
  await expect(append(pieceAt(3, 9, "d".repeat(32)))).rejects.toMatchObject({
    code: "stale-epoch",
  });
  expect(masterEpoch.newest).toBe(4);
  const { files, ...facts } = await list();
  expect(facts).toEqual({ masterEpoch: 4, catalog: CATALOG });
  expect(files.map(({ name }) => name)).toEqual([file]);
  await expect(prune(3)).rejects.toMatchObject({ code: "stale-epoch" });
  // The last that was heard is a master of another catalog: it may be its command.
  await expect(prune(4)).rejects.toMatchObject({ code: "stale-epoch" });
  await append(pieceAt(3, 4));
  expect(await prune(4)).toEqual({ removed: 1 });
  expect((await list()).files).toEqual([]);
});
