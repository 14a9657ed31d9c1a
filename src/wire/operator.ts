/**
 * Remote calls of an operator: keepers that are to be emptied or forgotten, the balance of their
 * disks, and chunks that are to be read again.
 */
import * as v from "valibot";
import { Id, Natural } from "./ids.ts";
import { RemotePath } from "./names.ts";
import { Done, rpc } from "./rpc.ts";

/** A keeper as people name it: by its name, its id, or the first digits of its id. */
const KeeperWord = v.pipe(v.string(), v.minLength(1), v.maxLength(63));

/**
 * `keeper.drain`: begins (or with `on` false ends) to move everything off a keeper; it takes no new
 * chunks meanwhile. Errors: `not-found`, `no-keepers` (the others could not hold the copies),
 * `no-space`.
 */
export const keeperDrain = rpc(
  "keeper.drain",
  v.object({ keeper: KeeperWord, on: v.boolean() }),
  v.object({
    keeper: Id,
    name: v.string(),
    /** Chunks that are still to be copied elsewhere. */
    chunksLeft: Natural,
    bytesLeft: Natural,
    /** Of these chunks: no other keeper can take a copy as things are. */
    stuck: Natural,
    /** Why nothing is moved for now, if nothing is. */
    heldBack: v.optional(v.string()),
    /** Each chunk that it holds has all its copies elsewhere: it may be stopped and removed. */
    safeToRemove: v.boolean(),
  }),
);
export type DrainReply = v.InferOutput<typeof keeperDrain.reply>;

/**
 * `keeper.remove`: forgets a keeper. Refused with `conflict` while chunks need its copies, unless
 * `force`. Should it come back with its disk, it joins as before and its copies count again.
 * Errors: `not-found`, `conflict`.
 */
export const keeperRemove = rpc(
  "keeper.remove",
  v.object({ keeper: KeeperWord, force: v.boolean() }),
  v.object({
    keeper: Id,
    name: v.string(),
    /** Chunks that have lost a copy which they needed, and those that have none left. */
    short: Natural,
    lost: Natural,
    /** Only a part is done: ask again, and add up. */
    more: v.boolean(),
  }),
);

/** How much of its disk a keeper uses, and what balancing would change. */
export const BalanceStep = v.object({
  name: v.string(),
  usedPercent: v.number(),
  /** Bytes to be moved onto it (positive) or off it (negative). */
  moveBytes: v.pipe(v.number(), v.safeInteger()),
  afterPercent: v.number(),
});
export type BalanceStep = v.InferOutput<typeof BalanceStep>;

/**
 * `cluster.rebalance`: tells what balancing would move (`plan`), begins it (`start`) or ends it
 * (`stop`). Once begun it goes on, also after a restart of the master, until the keepers are even.
 */
export const clusterRebalance = rpc(
  "cluster.rebalance",
  v.object({ action: v.picklist(["plan", "start", "stop"]) }),
  v.object({
    running: v.boolean(),
    /** Largest difference between a keeper's used share and the mean, in percent of a disk. */
    spreadPercent: v.number(),
    steps: v.array(BalanceStep),
    /** Bytes that are to be moved in all. */
    moveBytes: Natural,
  }),
);
export type RebalanceReply = v.InferOutput<typeof clusterRebalance.reply>;

/**
 * `keeper.scrub`: has a keeper read all its chunks again, beginning now and without the usual
 * cap on its bandwidth. How far it is stands in `cluster.status`. Errors: `not-found`,
 * `no-keepers` (it is dead), `unavailable`.
 */
export const keeperScrub = rpc("keeper.scrub", v.object({ keeper: KeeperWord }), Done);

/** Copies that one `file.scrub` has read, at most. */
export const SCRUB_PAGE_MAX = 8;

/**
 * `file.scrub`: has the holders of a page of a file's chunks read their copies again; bad ones are
 * put aside and repaired. Errors: `not-found`, `is-directory`.
 */
export const fileScrub = rpc(
  "file.scrub",
  v.object({ path: RemotePath, inode: v.optional(Natural), fromSeq: Natural }),
  v.object({
    inode: Natural,
    /** Copies read, and their bytes. */
    copies: Natural,
    bytes: Natural,
    /**
     * Copies that were bad or missing, or (with no keeper) a chunk of which no copy is on record;
     * `unread`: their keepers could not be asked.
     */
    bad: v.array(v.object({ chunk: Id, keeper: v.string(), state: v.string() })),
    unread: v.array(v.object({ chunk: Id, keeper: v.string(), reason: v.string() })),
    /** The next page's `fromSeq`; undefined at the end. */
    next: v.optional(Natural),
  }),
);
export type ScrubPage = v.InferOutput<typeof fileScrub.reply>;
