/** Remote calls on the trash: what was removed or replaced, until its time is over. */
import * as v from "valibot";
import { Moment } from "./file.ts";
import { Natural } from "./ids.ts";
import { RemotePath } from "./names.ts";
import { rpc } from "./rpc.ts";

/** A file version in the trash. */
export const TrashEntry = v.object({
  /** Names it in `trash.restore`, as `versions` do for people. */
  version: Natural,
  path: RemotePath,
  size: Natural,
  mtimeMs: Moment,
  owner: v.string(),
  removedMs: Moment,
  /** When it goes for good. */
  purgeMs: Moment,
  /** It was replaced by a newer version, not removed. */
  replaced: v.boolean(),
});
export type TrashEntry = v.InferOutput<typeof TrashEntry>;

/** Entries in one reply of `trash.list`, at most. */
export const TRASH_PAGE_MAX = 500;

/**
 * `trash.list`: what lies in the trash at `under` or below it, in path order and the latest
 * removal first; `next` while there is more.
 */
export const trashList = rpc(
  "trash.list",
  v.object({
    under: RemotePath,
    after: v.optional(v.object({ path: RemotePath, version: Natural })),
    limit: v.pipe(Natural, v.minValue(1), v.maxValue(TRASH_PAGE_MAX)),
  }),
  v.object({ entries: v.array(TrashEntry), more: v.boolean() }),
);

/**
 * `trash.restore`: brings back what was removed last at `path`: a file version (the one named by
 * `version`, else the latest), or, where files below it were removed, all those of the latest
 * removal, a page at a time (`more`). A file that is there now is replaced, and goes to the trash,
 * when `replace`. Errors: `not-found`, `exists`, `is-directory`, `not-directory`.
 */
export const trashRestore = rpc(
  "trash.restore",
  v.object({
    path: RemotePath,
    version: v.optional(Natural),
    /** Where it goes; to where it was unless given. */
    to: v.optional(RemotePath),
    replace: v.boolean(),
  }),
  v.object({ files: Natural, path: RemotePath, more: v.boolean() }),
);

/** `trash.empty`: purges what lies in the trash at `under` or below it, a page at a time. */
export const trashEmpty = rpc(
  "trash.empty",
  v.object({ under: RemotePath }),
  v.object({ files: Natural, bytes: Natural, more: v.boolean() }),
);
