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
 * `trash.list`: what lies in the trash at `under` or below it, in path order and of one path the
 * latest first; `more` while others follow.
 */
export const trashList = rpc(
  "trash.list",
  v.object({
    under: RemotePath,
    /** The last entry of the page before. */
    after: v.optional(v.object({ path: RemotePath, removedMs: Moment, version: Natural })),
    limit: v.pipe(Natural, v.minValue(1), v.maxValue(TRASH_PAGE_MAX)),
  }),
  v.object({ entries: v.array(TrashEntry), more: v.boolean() }),
);

/** Where the restoring of a directory goes on: the same removal, behind a path. */
const RemovalCursor = v.object({ path: RemotePath, removedMs: Moment });

/**
 * `trash.restore`: brings back what was removed last at `path`: a file version (the one named by
 * `version`, else the latest), or, where files below it were removed later than it, all those of
 * the latest removal, page by page (`next`), a page wholly or not at all. A file that is there now
 * is replaced, and goes to the trash, when `replace`. Errors: `not-found`, `exists`,
 * `is-directory`, `not-directory`, `usage` (a path that would be too long).
 */
export const trashRestore = rpc(
  "trash.restore",
  v.object({
    path: RemotePath,
    version: v.optional(Natural),
    /** Where it goes; to where it was unless given. */
    to: v.optional(RemotePath),
    replace: v.boolean(),
    /** The `next` of the page before. */
    after: v.optional(RemovalCursor),
  }),
  v.object({
    files: Natural,
    bytes: Natural,
    path: RemotePath,
    next: v.optional(RemovalCursor),
  }),
);

/**
 * `trash.empty`: purges what lies in the trash at `under` or below it, a page at a time. What comes
 * there after the first page (`untilMs`) stays.
 */
export const trashEmpty = rpc(
  "trash.empty",
  v.object({ under: RemotePath, untilMs: v.optional(Moment) }),
  v.object({ files: Natural, bytes: Natural, untilMs: Moment, more: v.boolean() }),
);
