/**
 * Remote calls that compare the catalog with the keepers and tell which files are in danger. They
 * are long: the caller asks page by page, and the answers come from a thread of their own.
 */
import * as v from "valibot";
import { Id, Natural } from "./ids.ts";
import { rpc } from "./rpc.ts";

/** Files or chunks that one page names, at most. */
export const AUDIT_PAGE_MAX = 256;

/** How a file fares: the worst of its chunks decides. */
export const Danger = v.picklist(["lost", "endangered", "short"]);
export type Danger = v.InferOutput<typeof Danger>;

/** A file that has fewer copies than it should. */
export const FileAtRisk = v.object({
  path: v.string(),
  size: Natural,
  /** `lost`: a chunk has no copy; `endangered`: one copy is left; `short`: below the goal. */
  danger: Danger,
  /** Chunks of it that are in this state, and of how many. */
  chunks: Natural,
  chunksTotal: Natural,
  /** The fewest copies of any of its chunks, and how many it is to have. */
  copies: Natural,
  goal: Natural,
  /** It lies in the trash. */
  trashed: v.boolean(),
});
export type FileAtRisk = v.InferOutput<typeof FileAtRisk>;

/**
 * `audit.risk`: the files whose chunks have too few copies on keepers that are alive, were the
 * keepers `without` (names, ids or beginnings of ids) away too. By pages over the chunks: a file
 * may be named again by a later page. Errors: `not-found` (a keeper).
 */
export const auditRisk = rpc(
  "audit.risk",
  v.object({
    without: v.pipe(v.array(v.string()), v.maxLength(64)),
    /** The `next` of the page before; 0 at first. */
    after: Natural,
  }),
  v.object({
    files: v.array(FileAtRisk),
    /** Chunks looked at so far on this page. */
    chunks: Natural,
    next: v.optional(Natural),
  }),
);
export type RiskPage = v.InferOutput<typeof auditRisk.reply>;

/** What `fsck` has found wrong with one chunk on one keeper, or in the catalog. */
export const Finding = v.object({
  kind: v.picklist([
    /** The catalog has a copy that its keeper does not have. */
    "missing",
    /** A copy of another length than is on record. */
    "wrong-size",
    /** A keeper has it, the catalog does not know it there. */
    "unrecorded",
    /** A chunk that nothing refers to. */
    "orphan",
    /** The keeper could not be asked. */
    "unreachable",
    /** The catalog contradicts itself. */
    "catalog",
  ]),
  chunk: v.optional(Id),
  keeper: v.optional(v.string()),
  detail: v.string(),
  /** Copies that it stands for, where they are not told one by one. */
  copies: v.optional(Natural),
  /** `repair` has mended it, or has begun to. */
  repaired: v.boolean(),
});
export type Finding = v.InferOutput<typeof Finding>;

/**
 * `fsck.check`: compares one page of the catalog's chunks with what the keepers have on their
 * disks; the first pages (from `after` 0 on) check the catalog itself. With `repair` wrong records
 * are corrected, so that the replicator mends the rest.
 */
export const fsckCheck = rpc(
  "fsck.check",
  v.object({ after: Natural, repair: v.boolean() }),
  v.object({
    findings: v.array(Finding),
    files: v.array(FileAtRisk),
    /** Chunks in use looked at on this page, and in the catalog. */
    chunks: Natural,
    chunksTotal: Natural,
    next: v.optional(Natural),
  }),
);
export type FsckPage = v.InferOutput<typeof fsckCheck.reply>;
