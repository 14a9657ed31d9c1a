/**
 * Commands from the master to one keeper. Each carries the master's epoch and can be repeated
 * without harm.
 */
import * as v from "valibot";
import { Id, Natural } from "./ids.ts";
import { Holder } from "./file.ts";
import { Done, rpc } from "./rpc.ts";
import { Sums } from "./sums.ts";

/** The master's epoch: a keeper that has heard a newer one refuses with `stale-epoch`. */
const epoch = Natural;

/**
 * `keeper.<id>.replicate`: fetch a chunk from one of `sources`, verify it, make it durable; the
 * answer is given after that.
 */
export const commandReplicate = rpc(
  "replicate",
  v.object({
    epoch,
    chunk: Id,
    sizeBytes: Natural,
    sums: Sums,
    sources: v.pipe(v.array(Holder), v.minLength(1), v.maxLength(16)),
    ticket: v.string(),
    /** The chunk's goal, for the sidecar of the new copy. */
    goal: Natural,
    /** The pace at which it is fetched, at most; undefined: as fast as it goes. */
    bytesPerSecond: v.optional(v.pipe(Natural, v.minValue(1))),
  }),
  Done,
);

/**
 * `keeper.<id>.delete`: remove these chunks; the answer names those that are gone (also if they
 * never were there). One that comes late removes nothing: the master may have learned since that a
 * chunk is needed.
 */
export const commandDelete = rpc(
  "delete",
  v.object({
    epoch,
    chunks: v.pipe(v.array(Id), v.maxLength(1024)),
    /** Wall time in ms after which a keeper refuses it, with leeway, as it does with a ticket. */
    expiresMs: Natural,
  }),
  v.object({ gone: v.array(Id) }),
);

/** `keeper.<id>.verify`: read a chunk again; a bad copy is put aside and reported `lost`. */
export const commandVerify = rpc(
  "verify",
  v.object({ epoch, chunk: Id }),
  v.object({ state: v.picklist(["good", "corrupt", "missing"]) }),
);

/** `keeper.<id>.inventory`: send the inventory now. */
export const commandInventory = rpc("inventory", v.object({ epoch }), Done);

/** `keeper.<id>.register`: this master does not know you (any more): report `joined` again. */
export const commandRegister = rpc("register", v.object({ epoch }), Done);

/**
 * `keeper.<id>.retire`: stop when you are this process: a newer one has your id, or (`removed`) an
 * operator has removed you, and you are not to be started again.
 */
export const commandRetire = rpc(
  "retire",
  v.object({ epoch, keeperEpoch: Natural, removed: v.optional(v.boolean()) }),
  Done,
);

/** `keeper.<id>.scrub`: read all chunks again, beginning now. */
export const commandScrub = rpc("scrub", v.object({ epoch }), Done);

/** Chunks in one `check`, at most. */
export const CHECK_MAX = 1024;

/**
 * `keeper.<id>.check`: whether these chunks lie on the disk with these sizes (their bytes are not
 * read). Names those that don't; one without its sidecar counts as of a wrong size: it can't be
 * served. Errors: `unavailable` (the disk can't tell now).
 */
export const commandCheck = rpc(
  "check",
  v.object({ epoch, chunks: v.pipe(v.array(v.tuple([Id, Natural])), v.maxLength(CHECK_MAX)) }),
  v.object({ missing: v.array(Id), wrongSize: v.array(Id) }),
);
