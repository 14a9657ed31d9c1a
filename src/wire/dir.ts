/** Remote calls on directories: list by pages, make. */
import * as v from "valibot";
import { Natural } from "./ids.ts";
import { Entry, Moment, Owner } from "./file.ts";
import { RemotePath } from "./names.ts";
import { rpc } from "./rpc.ts";

/** Entries in one reply of `dir.list`, at most. */
export const LIST_PAGE_MAX = 1000;

/**
 * `dir.list`: the entries of a directory in byte order (a directory sorts as `name/`), or the one
 * file that `path` names. Pages follow while `next` is set. Errors: `not-found`, `invalid`.
 */
export const dirList = rpc(
  "dir.list",
  v.object({
    path: RemotePath,
    /** All that is below, depth first, not only the direct entries. */
    recursive: v.boolean(),
    /** Where the page before ended: its `next`. */
    after: v.optional(v.pipe(v.string(), v.maxLength(8192))),
    limit: v.pipe(Natural, v.minValue(1), v.maxValue(LIST_PAGE_MAX)),
  }),
  v.object({ entries: v.array(Entry), next: v.optional(v.string()) }),
);

/**
 * `dir.make`: makes a directory. With `parents` the missing ones above it too, and an existing one
 * is no error (nor changed). Errors: `exists`, `not-found` (parent), `not-directory`.
 */
export const dirMake = rpc(
  "dir.make",
  v.object({
    path: RemotePath,
    parents: v.boolean(),
    owner: Owner,
    /** 0755 unless given. */
    mode: v.optional(Natural),
    /** Now unless given. */
    mtimeMs: v.optional(Moment),
  }),
  v.object({ path: RemotePath, made: v.boolean() }),
);
