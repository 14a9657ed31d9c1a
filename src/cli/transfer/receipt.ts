/**
 * The receipt of a put: how many copies are durable, and, where they are fewer than wanted, why, in
 * words and for scripts, from the state of the cluster (`askState`).
 */
import type { ClusterStatus, KeeperStatus, TydfsClient } from "../../client/client.ts";
import { printable } from "../output.ts";

/** Copies that are durable, and those that are wanted. */
export interface Copies {
  copies: number;
  goal: number;
}

/** Why there are fewer copies than wanted; more than one may hold, the first counts. */
export type Shortage =
  /** Keepers are away, or take nothing. */
  | "keepers-away"
  /** Fewer keepers are known than copies wanted. */
  | "few-keepers"
  /** The master holds repairs back for now. */
  | "safe-mode"
  | "being-made"
  /** The master could not be asked. */
  | "unknown";

export interface Explanation {
  reason: Shortage;
  words: string;
  /** Keepers that could have had a copy, and why they have none. */
  missing: { keeper: string; state: string }[];
}

/** The put is over: nobody waits longer for the reason of something that is no failure. */
const ASK_MS = 2_000;
/** Keepers that are named in one line. */
const NAMED_MAX = 5;
const ORDINALS = ["", "first", "second", "third", "fourth", "fifth", "sixth"];

/** `3/3 copies, synced, xxh3 …`, or why there are fewer. */
export function formatReceipt(file: Copies & { checksum: string }, why?: Explanation): string {
  const { copies, goal, checksum } = file;
  const words = why === undefined ? ", synced" : `: ${why.words} · synced`;
  return `${copies}/${goal} copies${words}, xxh3 ${checksum}`;
}

/** What `--json` tells of a file's copies. */
export function receiptJson({ copies, goal }: Copies, why?: Explanation): Record<string, unknown> {
  const facts = { copies, replicas: goal, goal, synced: true };
  return why === undefined
    ? { ...facts, missing: [] }
    : { ...facts, reason: why.reason, missing: why.missing };
}

/** Why a file has fewer copies than wanted; undefined when it has all. */
export function whyShort(file: Copies, state: ClusterStatus | undefined): Explanation | undefined {
  return file.copies < file.goal ? explainCopies(file, state) : undefined;
}

/**
 * The state of the cluster, if it is to be had soon, for telling why copies are missing: never
 * throws, since the put has succeeded and nothing must hide that.
 */
export async function askState(
  client: TydfsClient,
  signal: AbortSignal,
): Promise<ClusterStatus | undefined> {
  const soon = AbortSignal.any([signal, AbortSignal.timeout(ASK_MS)]);
  return await client.status({ signal: soon }).catch(() => undefined);
}

/** The receipts of many files, summed up. */
export class ReceiptBook {
  #complete: Copies | undefined;
  #files = 0;
  #short = 0;
  /** The file that lacks most. */
  #worst: Copies | undefined;
  #alike = true;

  add({ copies, goal }: Copies): void {
    this.#files++;
    if (copies < goal) {
      this.#short++;
      const lacks = (file: Copies) => file.goal - file.copies;
      const worst = this.#worst;
      if (worst === undefined || goal - copies > lacks(worst)) this.#worst = { copies, goal };
      return;
    }
    this.#alike &&= this.#complete === undefined || this.#complete.copies === copies;
    this.#complete = { copies, goal };
  }

  /** The file that lacks most copies; undefined when none lacks any. */
  get worst(): Copies | undefined {
    return this.#worst;
  }

  /** All of them in a few words; none when nothing was put. `state` is that of `askState`. */
  words(state: ClusterStatus | undefined): string | undefined {
    const complete = this.#complete;
    if (this.#worst !== undefined) {
      const { words } = explainCopies(this.#worst, state);
      return `${this.#short} of ${this.#files} files with fewer copies than wanted: ${words}`;
    }
    if (complete === undefined) return undefined;
    return this.#alike ? `${complete.copies}/${complete.goal} copies, synced` : "all copies synced";
  }

  /** What the summary for scripts tells. */
  json(state: ClusterStatus | undefined): Record<string, unknown> {
    if (this.#files === 0) return {};
    const facts = { synced: true, short: this.#short };
    if (this.#worst === undefined) return { ...facts, missing: [] };
    const { reason, missing } = explainCopies(this.#worst, state);
    return { ...facts, reason, missing };
  }
}

/** Why a file has fewer copies than wanted, from the state of the cluster. */
export function explainCopies(
  { copies, goal }: Copies,
  status: ClusterStatus | undefined,
): Explanation {
  if (status === undefined) {
    const words = "the master was not reached again to tell why";
    return { reason: "unknown", words, missing: [] };
  }
  const { keepers, safeMode } = status;
  const away = keepers.flatMap((keeper) => {
    const state = whyNot(keeper);
    return state === undefined ? [] : [{ keeper, state }];
  });
  const usable = keepers.length - away.length;
  const enough = usable >= goal;
  const missing = enough ? [] : away.map(({ keeper, state }) => ({ keeper: keeper.name, state }));
  const coming = Math.min(goal, usable) - copies;
  // Without keepers enough the safe mode changes nothing.
  if (safeMode?.holdsRepairs === true && keepers.length >= goal) {
    const words = `no more are made in safe mode (${printable(safeMode.reason)})`;
    return { reason: "safe-mode", words, missing };
  }
  const parts: string[] = [];
  if (keepers.length < goal) parts.push(fewKeepers(keepers.length, goal));
  if (!enough && away.length > 0) parts.push(awayWords(missing));
  if (coming > 0) parts.push(comingWords(coming, copies));
  const reason = keepers.length < goal ? "few-keepers" : enough ? "being-made" : "keepers-away";
  // It has lost a copy between the commit and the answer, or got one.
  return { reason, words: parts.join("; ") || "the others are being made now", missing };
}

/** Why a keeper can take no copy; undefined when it can. */
function whyNot({ state, readOnly, fault }: KeeperStatus): string | undefined {
  if (state === "DEAD") return "down";
  if (state === "SUSPECT") return "silent";
  if (state === "JOINING") return "not heard yet";
  if (state === "DRAINING") return "being drained";
  if (!readOnly) return undefined;
  return fault === "full" ? "full" : fault === "broken" ? "out of order" : "read-only";
}

function fewKeepers(known: number, goal: number): string {
  const there = known === 1 ? "1 keeper is known" : `${known} keepers are known`;
  const ordinal = ORDINALS[goal];
  const more = goal - known;
  if (more === 1 && ordinal !== undefined) return `${there}, a ${ordinal} would complete it`;
  return `${there}, ${more} more would complete it`;
}

/** `a, b are down, c is full`. */
function awayWords(missing: Explanation["missing"]): string {
  const byState = Map.groupBy(missing, ({ state }) => state);
  return [...byState].map(([state, ofState]) => {
    const names = ofState.slice(0, NAMED_MAX).map(({ keeper }) => printable(keeper)).join(", ");
    const rest = ofState.length - NAMED_MAX;
    const more = rest > 0 ? ` and ${rest} more` : "";
    return `${names}${more} ${ofState.length === 1 ? "is" : "are"} ${state}`;
  }).join(", ");
}

function comingWords(coming: number, copies: number): string {
  if (coming > 1) return `${coming} more are being made now`;
  const ordinal = ORDINALS[copies + 1];
  return `${ordinal === undefined ? "one more" : `the ${ordinal}`} is being made now`;
}
