/** `file.stat-many`: what is known of many paths, in one answer. */
import * as v from "valibot";
import { Entry } from "./file.ts";
import { Natural } from "./ids.ts";
import { RemotePath } from "./names.ts";
import { rpc } from "./rpc.ts";

/** Paths in one request, at most; the answer may stop sooner. */
export const STAT_MANY_MAX = 1024;

/** What is known of one path; see `file.stat`. */
export const Stat = v.object({ entry: Entry, checksum: v.string(), replicas: Natural });
export type Stat = v.InferOutput<typeof Stat>;

/**
 * `file.stat-many`: `stats` answers the first of `paths`, in their order; null where `file.stat`
 * is to say what is wrong. An answer has a size that NATS carries: it may stop sooner, but tells of
 * one path at least.
 */
export const fileStatMany = rpc(
  "file.stat-many",
  v.object({ paths: v.pipe(v.array(RemotePath), v.minLength(1), v.maxLength(STAT_MANY_MAX)) }),
  v.object({ stats: v.array(v.nullable(Stat)) }),
);
export type FileStatManyReply = v.InferOutput<typeof fileStatMany.reply>;
