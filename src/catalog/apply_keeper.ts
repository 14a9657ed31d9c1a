/** Keepers as they register, and what they say of the replicas on their disks. */
import { TydfsError } from "../wire/errors.ts";
import {
  addChunk,
  addReplicas,
  changeChunk,
  type ChunkRow,
  dropReplica,
  findChunk,
  getChunk,
  removeChunk,
} from "./chunk_rows.ts";
import { noteRelabelled } from "./policy.ts";
import type { KeeperFacts, Operation, ResultOf } from "./operation.ts";
import type { Tx } from "./transaction.ts";

type Of<K extends Operation["kind"]> = Extract<Operation, { kind: K }>;

/** The largest number of a keeper: the rows of the tables end there. */
const KEEPER_NUMBER_MAX = 1023;

/** The goal of a chunk that only an inventory has told of: nobody wants copies of it. */
const STRAY_GOAL = 1;

const HOLDERS = "SELECT keeper FROM replica WHERE chunk = ?";

interface KeeperRow {
  number: number;
  id: string;
  name: string;
  host: string;
  ports: string;
  slots: number;
  labels: string;
  epoch: number;
  instance: string;
  removed_ms: number | null;
}

const INSERT_KEEPER = `INSERT INTO keeper
  (name, host, ports, slots, labels, epoch, instance, joined_ms, id, number)
  VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`;
const UPDATE_KEEPER = `UPDATE keeper SET name = ?, host = ?, ports = ?, slots = ?, labels = ?,
  epoch = ?, instance = ?, joined_ms = ?, removed_ms = NULL WHERE id = ?`;
// The same rows, in an order that means nothing: by all chunks of the range, or of the keeper.
const HELD_BY_RANGE = `SELECT c.no, c.id, c.size FROM chunk c
  CROSS JOIN replica r ON r.chunk = c.no AND r.keeper = ?
  WHERE c.id > ? AND c.id <= ?`;
const HELD_BY_KEEPER = `SELECT c.no, c.id, c.size FROM replica r INDEXED BY replica_keeper
  CROSS JOIN chunk c ON c.no = r.chunk
  WHERE r.keeper = ? AND c.id > ? AND c.id <= ?`;
const HELD = "SELECT replicas FROM keeper WHERE number = ?";
const CHUNKS = "SELECT value FROM meta WHERE key = 'chunks'";

/** Greater than every id. */
const AFTER_ALL_IDS = "g";

/** The number of a keeper, if it is known and was not removed. */
export function keeperNumber(tx: Tx, id: string): number | undefined {
  const sql = "SELECT number FROM keeper WHERE id = ? AND removed_ms IS NULL";
  return tx.get<{ number: number }>(sql, id)?.number;
}

/** Registers a keeper: `keeper.join`. */
export function joinKeeper(tx: Tx, operation: Of<"keeper.join">): ResultOf<"keeper.join"> {
  const { keeper, atMs } = operation;
  const known = tx.get<KeeperRow>("SELECT * FROM keeper WHERE id = ?", keeper.id);
  checkJoin(tx, keeper, known);
  const ports = JSON.stringify(keeper.ports);
  const labels = JSON.stringify(keeper.labels);
  const { name, host, slots, epoch, instance } = keeper;
  const facts = [name, host, ports, slots, labels, epoch, instance, atMs] as const;
  if (known !== undefined) {
    tx.run(UPDATE_KEEPER, ...facts, keeper.id);
    const same = known.name === name && known.host === host && known.ports === ports &&
      known.slots === slots && known.labels === labels && known.epoch === epoch &&
      known.instance === instance && known.removed_ms === null;
    if (!same) tx.count("keepers_generation", 1);
    if (known.labels !== labels) noteRelabelled(tx, known.number);
    return { number: known.number };
  }
  const row = tx.get<{ next: number }>("SELECT ifnull(max(number) + 1, 0) AS next FROM keeper");
  const number = row?.next ?? 0;
  if (number > KEEPER_NUMBER_MAX) {
    const state = `the cluster has had ${KEEPER_NUMBER_MAX + 1} keepers, which is the most`;
    throw new TydfsError("limit", `Cannot join keeper "${name}": ${state}`);
  }
  tx.run(INSERT_KEEPER, ...facts, keeper.id, number);
  tx.count("keepers_generation", 1);
  return { number };
}

function checkJoin(tx: Tx, keeper: KeeperFacts, known: KeeperRow | undefined): void {
  const cannot = `Cannot join keeper "${keeper.name}"`;
  if (known !== undefined && keeper.epoch < known.epoch) {
    const state = `epoch ${keeper.epoch} is older than ${known.epoch}, which has joined before`;
    throw new TydfsError("stale-epoch", `${cannot}: ${state}`);
  }
  if (known !== undefined && known.removed_ms !== null && keeper.epoch === known.epoch) {
    const state = "it was removed from the cluster; start it again to have it join anew";
    throw new TydfsError("denied", `${cannot}: ${state}`, { data: { removed: true } });
  }
  if (known?.epoch === keeper.epoch && known.instance !== keeper.instance) {
    const state = `a keeper with this id runs already on "${known.host}"`;
    throw new TydfsError("conflict", `${cannot}: ${state}`);
  }
  const sql = "SELECT id FROM keeper WHERE name = ? AND id <> ?";
  const other = tx.get<{ id: string }>(sql, keeper.name, keeper.id);
  if (other !== undefined) {
    const state = `keeper "${other.id}" has this name; choose another with --name`;
    throw new TydfsError("conflict", `${cannot}: ${state}`);
  }
}

/** Gives up replicas that chunks can do without: `replica.release`. */
export function releaseReplicas(
  tx: Tx,
  operation: Of<"replica.release">,
): ResultOf<"replica.release"> {
  const keeper = keeperNumber(tx, operation.keeper);
  if (keeper === undefined) return { released: [] };
  const alive = new Set(operation.alive.map((id) => keeperNumber(tx, id)));
  alive.delete(keeper);
  const released = operation.chunks.filter((id) => {
    const row = findChunk(tx, id);
    if (row === undefined || row.refs === 0) return false;
    const holders = tx.all<{ keeper: number }>(HOLDERS, row.no);
    const others = holders.filter((holder) => alive.has(holder.keeper)).length;
    return others >= row.goal && dropReplica(tx, row, keeper, operation.atMs);
  });
  return { released };
}

/** Takes replicas away: `replica.gone`. */
export function dropReplicas(tx: Tx, operation: Of<"replica.gone">): Record<string, never> {
  const keeper = keeperNumber(tx, operation.keeper);
  if (keeper === undefined) return {};
  for (const id of operation.chunks) {
    const row = findChunk(tx, id);
    if (row !== undefined) dropReplica(tx, row, keeper, operation.atMs);
  }
  return {};
}

/** Compares a page of a keeper's inventory with its replica rows: `keeper.inventory`. */
export function applyInventory(
  tx: Tx,
  operation: Of<"keeper.inventory">,
): ResultOf<"keeper.inventory"> {
  const { chunks, after, last, atMs } = operation;
  const keeper = checkInventory(tx, operation);
  const until = last ? AFTER_ALL_IDS : chunks.at(-1)?.[0] ?? after;
  const listed = new Map(chunks);
  const held = heldInRange(tx, keeper, after, until);
  let missing = 0;
  const wrongSize: string[] = [];
  for (const { no, id, size } of held) {
    // A file of another length is no replica.
    const listedSize = listed.get(id);
    if (listedSize === size) listed.delete(id);
    else if (dropReplica(tx, getChunk(tx, no), keeper, atMs) && listedSize === undefined) missing++;
  }
  // What is left in `listed` has no replica row.
  let unknown = 0;
  for (const [id, sizeBytes] of listed) {
    const found = findChunk(tx, id);
    const row = found !== undefined && isRefuted(found, sizeBytes) ? undefined : found;
    if (row === undefined) {
      if (found !== undefined) removeChunk(tx, found);
      const facts = { id, sizeBytes, sums: new Uint8Array(), goal: STRAY_GOAL };
      const counts = { refs: 0, copies: 1, committed: 0, policy: 0, stray: 1, packed: 0 };
      const no = addChunk(tx, facts, counts, atMs);
      addReplicas(tx, { no, size: sizeBytes }, [keeper]);
      unknown++;
    } else if (row.size === sizeBytes) {
      const copies = row.copies + addReplicas(tx, row, [keeper]);
      changeChunk(tx, row, { copies }, atMs);
    } else if (row.stray === 0) {
      // Of two keepers that differ about a stray nobody knows which one is right.
      wrongSize.push(id);
    }
  }
  return { unknown, missing, wrongSize };
}

/**
 * Whether a stray was told of by a damaged copy alone, which is gone: a copy of another length is
 * the true one, and would not be removed before the wrong one's row is forgotten.
 */
function isRefuted({ stray, copies, size }: ChunkRow, sizeBytes: number): boolean {
  return stray === 1 && copies === 0 && size !== sizeBytes;
}

/**
 * The chunks on record of a keeper, of the ids behind `after` up to `until`. Ids are random: their
 * first digits tell the part of all chunks that lies there. Of a thousand keepers each has so few
 * that it costs less to look at all of them, page by page.
 */
function heldInRange(
  tx: Tx,
  keeper: number,
  after: string,
  until: string,
): { no: number; id: string; size: number }[] {
  const replicas = tx.get<{ replicas: number }>(HELD, keeper)?.replicas ?? 0;
  const chunks = tx.get<{ value: number }>(CHUNKS)?.value ?? 0;
  const part = placeOf(until) - placeOf(after);
  return tx.all(chunks * part > replicas ? HELD_BY_KEEPER : HELD_BY_RANGE, keeper, after, until);
}

/** Where an id lies among all, as a part of 1. */
function placeOf(id: string): number {
  if (id === "") return 0;
  return id === AFTER_ALL_IDS ? 1 : Number.parseInt(id.slice(0, 8), 16) / 2 ** 32;
}

/**
 * Throws `not-found` for an unknown keeper, `invalid` for a page that is not in order. Returns the
 * keeper's number.
 */
function checkInventory(tx: Tx, operation: Of<"keeper.inventory">): number {
  const cannot = `Cannot take the inventory of keeper "${operation.keeper}"`;
  const keeper = keeperNumber(tx, operation.keeper);
  if (keeper === undefined) throw new TydfsError("not-found", `${cannot}: it has not joined`);
  let before = operation.after;
  for (const [id] of operation.chunks) {
    if (id <= before) {
      throw new TydfsError("invalid", `${cannot}: "${id}" is out of order after "${before}"`);
    }
    before = id;
  }
  return keeper;
}
