/**
 * Safe mode: pure decisions about what the replicator may do at all. At a start, and while many
 * keepers are away, the picture may be wrong: then copies may still be made where that can't harm,
 * but none is given up.
 *
 * - Nothing at all before every known keeper was heard or is dead, nor while fewer than `safeShare`
 *   percent of them are alive: then it is rather the master that is cut off, or a power cut, and
 *   copying everything elsewhere would be a storm.
 * - From then on repairs run, the most endangered first: a copy too many harms nobody.
 * - Deletions and moves wait until the living keepers have told what they have, the picture has
 *   stood for a while, and (once after a start) 99.9 % of the chunks have a living copy, as in
 *   HDFS: an older catalog, or disks that were not mounted, show by that.
 */
import { unreachable } from "../base/assert.ts";
import type { KeeperState } from "../wire/cluster.ts";

/** Why something is held back, with the numbers that the words need. */
export type SafeMode =
  | { kind: "starting" }
  | { kind: "unheard"; unheard: number; known: number }
  | { kind: "few"; alive: number; known: number }
  | { kind: "unlisted"; unlisted: number; known: number }
  | { kind: "settling"; leftMs: number }
  | { kind: "uncounted" }
  | { kind: "unreported"; missing: number; chunks: number }
  /** Keepers have archived a newer history of this catalog: it comes from an old backup. */
  | { kind: "older"; newer: number }
  | { kind: "off" };

export interface SafetyFacts {
  /** The cluster's keepers; `listed`: their inventory has come in. */
  keepers: readonly { state: KeeperState; listed: boolean }[];
  /** Percent of the keepers that must be alive. */
  safeShare: number;
  /** For how long every keeper has been heard or dead, and enough of them alive. */
  settledForMs: number;
  settleMs: number;
  /**
   * Chunks in use, and those of them that have lost all living copies since the start, or as far as
   * is known; undefined before they were counted. Not looked at once `passed`.
   */
  chunks: number;
  missing: number | undefined;
  /** Safe mode was left before, since the start. */
  passed: boolean;
  /** The last operation that keepers have archived of a newer history than this one, else 0. */
  newer: number;
}

/** The part of the chunks, 1 in so many, that may be missing when safe mode is left at a start. */
const MISSING_PART = 1_000;

/** Decides what is held back now. */
export function decideSafeMode(facts: SafetyFacts): SafeMode {
  const { keepers, safeShare, settledForMs, settleMs, chunks, missing, passed, newer } = facts;
  const known = keepers.length;
  const unheard = keepers.filter(({ state }) => state === "JOINING").length;
  if (unheard > 0) return { kind: "unheard", unheard, known };
  const alive = keepers.filter(({ state }) => state === "ALIVE");
  if (alive.length * 100 < known * safeShare) return { kind: "few", alive: alive.length, known };
  const unlisted = alive.filter(({ listed }) => !listed).length;
  if (unlisted > 0) return { kind: "unlisted", unlisted, known };
  if (settledForMs < settleMs) {
    return { kind: "settling", leftMs: Math.ceil(settleMs - settledForMs) };
  }
  if (newer > 0) return { kind: "older", newer };
  if (passed) return { kind: "off" };
  if (missing === undefined) return { kind: "uncounted" };
  if (missing * MISSING_PART > chunks) return { kind: "unreported", missing, chunks };
  return { kind: "off" };
}

/** Whether copies may be made of chunks that have too few. */
export function allowsRepairs({ kind }: SafeMode): boolean {
  return kind !== "starting" && kind !== "unheard" && kind !== "few";
}

/** Whether copies may be given up, and chunks moved. */
export function allowsDeletions({ kind }: SafeMode): boolean {
  return kind === "off";
}

/** Safe modes by the number that stands for them in a table; a fresh table says `starting`. */
const KINDS: readonly SafeMode["kind"][] = [
  "starting",
  "unheard",
  "few",
  "unlisted",
  "settling",
  "uncounted",
  "unreported",
  "off",
  "older",
];

/** A safe mode as three numbers: its kind, and the two that go with it. */
export function packSafeMode(mode: SafeMode): [number, number, number] {
  const code = KINDS.indexOf(mode.kind);
  switch (mode.kind) {
    case "unheard":
      return [code, mode.unheard, mode.known];
    case "few":
      return [code, mode.alive, mode.known];
    case "unlisted":
      return [code, mode.unlisted, mode.known];
    case "settling":
      return [code, mode.leftMs, 0];
    case "unreported":
      return [code, mode.missing, mode.chunks];
    case "older":
      return [code, mode.newer, 0];
    default:
      return [code, 0, 0];
  }
}

/** The opposite of `packSafeMode`. */
export function unpackSafeMode([code, first, second]: readonly [number, number, number]): SafeMode {
  const kind = KINDS[code] ?? "starting";
  switch (kind) {
    case "unheard":
      return { kind, unheard: first, known: second };
    case "few":
      return { kind, alive: first, known: second };
    case "unlisted":
      return { kind, unlisted: first, known: second };
    case "settling":
      return { kind, leftMs: first };
    case "unreported":
      return { kind, missing: first, chunks: second };
    case "older":
      return { kind, newer: first };
    default:
      return { kind };
  }
}

/** The reason in words; undefined when nothing is held back. */
export function describeSafeMode(mode: SafeMode): string | undefined {
  switch (mode.kind) {
    case "starting":
      return "the master has just started";
    case "unheard":
      return `${mode.unheard} of ${mode.known} keepers have not been heard of since the master's ` +
        "start";
    case "few":
      return `only ${mode.alive} of ${mode.known} keepers are alive ` +
        "(tydfs keeper remove forgets those that are gone for good)";
    case "unlisted":
      return `${mode.unlisted} of ${mode.known} keepers have not told yet what they have`;
    case "settling":
      return `keepers have come or gone just now: waiting ${Math.ceil(mode.leftMs / 1_000)} s ` +
        "for the picture to settle";
    case "uncounted":
      return "copies are being counted after the master's start";
    case "older":
      return `the catalog is an older one: keepers have its history up to change ${mode.newer} ` +
        "(stop the master, move its data directory away, and bring the newer one back with " +
        "tydfs master --recover)";
    case "unreported":
      return `no living keeper has ${mode.missing} of ${mode.chunks} chunks ` +
        "(start the keepers that have them, or have tydfs keeper remove forget those)";
    case "off":
      return undefined;
    default:
      return unreachable(mode);
  }
}
