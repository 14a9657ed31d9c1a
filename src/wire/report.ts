/** Reports: what keepers tell the master's writer. All of them can be repeated without harm. */
import * as v from "valibot";
import { Host, Id, Label, Natural, PortNumber } from "./ids.ts";
import { Done, rpc } from "./rpc.ts";
import { Sums } from "./sums.ts";
import { Committed } from "./upload.ts";

/** `report.<keeper>.joined`: a keeper registers, at its start and whenever the master asks. */
export const reportJoined = rpc(
  "joined",
  v.object({
    keeper: Id,
    name: Label,
    epoch: Natural,
    /** Made anew by each process: tells two processes with one id apart. */
    instance: Id,
    protocol: Natural,
    version: v.string(),
    host: Host,
    ports: v.pipe(v.array(PortNumber), v.minLength(1), v.maxLength(8)),
    slots: Natural,
    labels: v.record(Label, Label),
    totalBytes: Natural,
    freeBytes: Natural,
  }),
  v.object({
    /** The keeper's number in this cluster: its row in the tables. */
    number: Natural,
    masterEpoch: Natural,
    /** The catalog's id: a keeper obeys the masters of one catalog only. */
    catalog: Id,
    beatMs: Natural,
    chunkBytes: Natural,
  }),
);
export type JoinedRequest = v.InferOutput<typeof reportJoined.request>;
export type JoinedReply = v.InferOutput<typeof reportJoined.reply>;

/**
 * `report.<keeper>.stored`: copies of a chunk are verified and on disk. The head of a
 * chain reports for those that answered it; it sends the ticket along, from which the master
 * takes the client's own sums and, for a file of one chunk, the commit.
 */
export const reportStored = rpc(
  "stored",
  v.object({
    chunk: Id,
    sizeBytes: Natural,
    sums: Sums,
    /** The keepers whose copies are durable. */
    keepers: v.pipe(v.array(Id), v.minLength(1), v.maxLength(16)),
    /** The client's PUT ticket, as it came; undefined for a copy made by the replicator. */
    ticket: v.optional(v.string()),
    /** The reporter is the head of the chain: its report may commit. */
    head: v.boolean(),
  }),
  v.object({ committed: v.optional(Committed) }),
);
export type StoredRequest = v.InferOutput<typeof reportStored.request>;

/** Reports in one `stored-many`, at most. */
export const STORED_MANY_MAX = 64;

/**
 * `report.<keeper>.stored-many`: several reports that nobody waits for. Answers the chunks whose
 * reports were not recorded, and are to be made by themselves: their answers tell why.
 */
export const reportStoredMany = rpc(
  "stored-many",
  v.object({
    reports: v.pipe(v.array(reportStored.request), v.maxLength(STORED_MANY_MAX)),
  }),
  v.object({ failed: v.array(Id) }),
);

/**
 * `report.<keeper>.lost`: replicas that this keeper does not have, or has found corrupt and put
 * aside.
 */
export const reportLost = rpc(
  "lost",
  v.object({
    chunks: v.pipe(v.array(Id), v.maxLength(4096)),
    reason: v.picklist(["missing", "corrupt"]),
  }),
  Done,
);

/** Chunks in one page of an inventory, at most. */
export const INVENTORY_PAGE_MAX = 4096;

/**
 * `report.<keeper>.inventory`: all chunks on the keeper's disk in id order, by
 * pages. `after` is the last id of the page before (empty at first); with `last` everything behind
 * the page's end is known to be absent.
 */
export const reportInventory = rpc(
  "inventory",
  v.object({
    after: v.union([v.literal(""), Id]),
    chunks: v.pipe(
      v.array(v.tuple([Id, Natural])),
      v.maxLength(INVENTORY_PAGE_MAX),
    ),
    last: v.boolean(),
  }),
  v.object({
    unknown: Natural,
    missing: Natural,
    /** Chunks of this page that are on record with another size: bad ones. */
    wrongSize: v.array(Id),
  }),
);
export type InventoryRequest = v.InferOutput<typeof reportInventory.request>;

/** Chunks in one `aside`, at most. */
export const ASIDE_MAX = 1024;

/** A chunk that lies aside. */
export const AsideChunk = v.object({
  chunk: Id,
  /** How long the newest file of it has lain there. */
  ageMs: Natural,
  /** The keeper has a copy in its place, too. */
  held: v.boolean(),
});
export type AsideChunk = v.InferOutput<typeof AsideChunk>;

/**
 * `report.<keeper>.aside`: what this keeper has put aside. Answers those that are not needed any
 * more: the chunk is whole elsewhere, or nothing refers to it. A keeper that has heard of a newer
 * master than `masterEpoch` keeps them. Those that are `wanted` are needed, and no keeper that is
 * there has a copy: what lies aside is to be read once more.
 */
export const reportAside = rpc(
  "aside",
  v.object({ chunks: v.pipe(v.array(AsideChunk), v.maxLength(ASIDE_MAX)) }),
  v.object({ masterEpoch: Natural, discard: v.array(Id), wanted: v.array(Id) }),
);
