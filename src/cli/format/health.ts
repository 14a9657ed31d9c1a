/**
 * How a cluster fares, in plain words: what is in danger, what is being repaired and until when,
 * what goes on, and how safe the catalog is. One line when all is well. Pure.
 */
import { formatDuration, formatSize } from "../../base/bytes.ts";
import type { ClusterStatus, KeeperStatus } from "../../client/client.ts";
import type { Tone } from "../color.ts";
import { printable } from "../output.ts";
import { formatCount } from "./format.ts";

/** A line, and how serious it is; one without a tone only tells. */
export interface HealthLine {
  tone?: Tone;
  text: string;
}

type SafeModeStatus = NonNullable<ClusterStatus["safeMode"]>;

const DAY_MS = 86_400_000;
/** A whole pass is due each seven days unless keepers were told otherwise; one day is leeway. */
const SCRUB_LATE_MS = 8 * DAY_MS;
/** Changes that may be on their way to the keepers in a cluster that works. */
const JOURNAL_LAG = 1_000;
/** Keepers that are named in one line. */
const NAMED_MAX = 5;

/** What is to be said of a cluster at wall time `nowMs`; nothing of one that is new and empty. */
export function healthLines(status: ClusterStatus, nowMs: number): HealthLine[] {
  const { keepers, chunks } = status;
  if (keepers.length + chunks.total === 0) return [];
  const held = safeModeLines(status);
  const isMild = status.safeMode?.holdsRepairs !== true;
  const lines = [
    ...chunkLines(status),
    ...repairLines(status),
    ...(isMild ? [] : held),
    ...keepers.flatMap(keeperLines),
    ...keepers.flatMap((keeper) => scrubLines(keeper, nowMs)),
    ...balanceLines(status),
    ...placementLines(status),
    ...journalLines(status),
  ];
  const well = { text: "All is well: every chunk has all its copies" };
  const catalog = catalogWords(status, nowMs);
  return [
    ...(lines.length === 0 ? [well] : lines),
    // That deletions wait for a while after a start is no trouble.
    ...(isMild ? held : []),
    ...unknownLines(status),
    ...(catalog === undefined ? [] : [{ text: `The catalog ${catalog}` }]),
  ];
}

/** The repairs in one line. */
export function repairsLine(status: ClusterStatus): string {
  const { running, queued, queuedBytes, bytesPerSecond, etaMs, waiting } = status.repairs;
  if (running + queued > 0) {
    const rate = bytesPerSecond > 0 ? ` at ${formatSize(bytesPerSecond)}/s` : "";
    const left = queuedBytes > 0 ? ` · ${formatSize(queuedBytes)} left${rate}` : "";
    const eta = etaMs === undefined ? "" : `, done in about ${formatWait(etaMs)}`;
    return `Repairs: ${running} running, ${queued} queued${left}${eta}`;
  }
  if (waiting > 0) return waitingWords(status);
  return status.chunks.under > 0 ? whyNoRepairs(status) : "No repairs are due";
}

/** Why nothing is deleted or moved, or repaired either. */
export function safeModeWords({ reason, holdsRepairs }: SafeModeStatus): string {
  const held = holdsRepairs ? "deleted, moved or repaired" : "deleted or moved";
  return `Safe mode: ${printable(reason)}; nothing is ${held} meanwhile`;
}

/** So long ago, roughly. */
export function formatAgo(ms: number): string {
  if (ms < 2_000) return "just now";
  if (ms >= DAY_MS) return `${formatCount(Math.floor(ms / DAY_MS), "day")} ago`;
  return `${formatDuration(ms).split(" ").slice(0, 2).join(" ")} ago`;
}

/** A time that is still to go: what is nearly over takes a second. */
function formatWait(ms: number): string {
  return formatDuration(Math.max(1_000, ms));
}

/** `a`, `a and b`, `a, b and 4 more`. */
export function nameKeepers(keepers: readonly { name: string }[]): string {
  const names = keepers.map(({ name }) => printable(name));
  if (names.length > NAMED_MAX) {
    const shown = names.slice(0, NAMED_MAX - 1);
    return `${shown.join(", ")} and ${names.length - shown.length} more`;
  }
  return names.length < 2 ? names.join("") : `${names.slice(0, -1).join(", ")} and ${names.at(-1)}`;
}

function chunkLines(status: ClusterStatus): HealthLine[] {
  const { chunks: { lost, under }, repairs: { endangered } } = status;
  const lines: HealthLine[] = [];
  if (lost > 0) {
    const what = formatCount(lost, "chunk has", "chunks have");
    const then = keepersAway(status).length > 0
      ? "a keeper that has one must come back"
      : "tydfs fsck tells which files are lost";
    lines.push({ tone: "bad", text: `${what} no copy in reach: ${then}` });
  }
  const few = under > 0 ? fewKeepersWords(status) : undefined;
  if (few !== undefined) lines.push({ tone: endangered > 0 ? "bad" : "doubtful", text: few });
  if (few === undefined && endangered > 0) {
    const what = formatCount(endangered, "chunk has", "chunks have");
    lines.push({
      tone: "bad",
      text: `${what} one copy left: ${endangered === 1 ? "it is" : "these are"} repaired first`,
    });
  }
  if (few === undefined && under > endangered) {
    const more = endangered > 0 ? "more " : "";
    const are = formatCount(under - endangered, `${more}chunk is`, `${more}chunks are`);
    lines.push({ tone: "doubtful", text: `${are} short of copies` });
  }
  if (lost + under === 0) lines.push(...needlessLines(status));
  return lines;
}

/** Keepers that are not there, while nothing is missing. */
function needlessLines(status: ClusterStatus): HealthLine[] {
  const unheard = status.keepers.filter(({ state }) => state === "JOINING");
  const silent = status.keepers.filter(({ state }) => state === "SUSPECT");
  const down = status.keepers.filter(({ state }) => state === "DEAD");
  const texts = [
    ...(unheard.length === 0
      ? []
      : [`Not heard yet since the master's start: ${nameKeepers(unheard)}`]),
    // Its copies still count: nobody knows yet whether they are missing.
    ...(silent.length === 0
      ? []
      : [`${nameKeepers(silent)} ${isOrAre(silent)} silent, and may be down`]),
    ...(down.length === 0 ? [] : [
      `${nameKeepers(down)} ${isOrAre(down)} down, and nothing is missing without ` +
      (down.length === 1 ? "it" : "them"),
    ]),
  ];
  return texts.map((text) => ({ tone: "doubtful", text }));
}

function isOrAre({ length }: readonly unknown[]): string {
  return length === 1 ? "is" : "are";
}

/** Where there are fewer keepers than copies wanted, no repair helps: that is said in its place. */
function fewKeepersWords(status: ClusterStatus): string | undefined {
  const { keepers, replicas, chunks: { total, under, lost } } = status;
  const known = keepers.length;
  if (known >= replicas) return undefined;
  const need = replicas - known === 1
    ? "one more keeper is needed"
    : `${replicas - known} more keepers are needed`;
  const whole = keepersAway(status).length === 0 && under === total && lost === 0;
  if (whole && status.repairs.running + status.repairs.queued === 0) {
    return `Every file has ${known} of ${replicas} copies: ${need}`;
  }
  const { endangered } = status.repairs;
  const last = endangered > 0 ? `, ${endangered} of them with one copy left` : "";
  return `${formatCount(under, "chunk is", "chunks are")} short of copies${last}: ${need}`;
}

function repairLines(status: ClusterStatus): HealthLine[] {
  const { repairs: { running, queued, waiting }, chunks: { under, lost } } = status;
  const lines: HealthLine[] = [];
  if (running + queued > 0) lines.push({ text: repairsLine(status) });
  if (waiting > 0) lines.push({ text: waitingWords(status) });
  if (lines.length > 0 || under + lost === 0) return lines;
  const hopeless = under === 0 || status.safeMode?.holdsRepairs === true ||
    (status.keepers.length < status.replicas && keepersAway(status).length === 0);
  return hopeless ? [] : [{ text: whyNoRepairs(status) }];
}

/** Until when repairs wait, and for whom. */
function waitingWords(status: ClusterStatus): string {
  const { waiting, waitMs } = status.repairs;
  const away = keepersAway(status);
  const whom = away.length === 0 ? "their keepers" : nameKeepers(away);
  const time = waitMs === undefined ? "" : ` up to ${formatWait(waitMs)}`;
  const what = formatCount(waiting, "chunk waits", "chunks wait");
  return `${what}${time} for ${whom} to come back, before the repair begins`;
}

/** Why chunks are short, and yet nothing is repaired. */
function whyNoRepairs(status: ClusterStatus): string {
  const away = keepersAway(status);
  const takers = status.keepers.filter(({ state, readOnly }) => state === "ALIVE" && !readOnly);
  if (status.safeMode?.holdsRepairs === true) return "Repairs wait for the end of the safe mode";
  // What is left lies on it.
  if (takers.length === 1) return "Repairs wait for another keeper with room";
  if (away.length > 0) {
    const have = away.length === 1 ? "has" : "have";
    const delay = "for the master's --repair-delay";
    return `Repairs begin when ${nameKeepers(away)} ${have} been down ${delay}`;
  }
  if (takers.length < status.replicas) return "Repairs wait for another keeper with room";
  return "Repairs have not begun yet: the next look at all chunks finds them";
}

function safeModeLines({ safeMode }: ClusterStatus): HealthLine[] {
  if (safeMode === undefined) return [];
  const text = safeModeWords(safeMode);
  return [safeMode.holdsRepairs ? { tone: "bad", text } : { text }];
}

function keeperLines(keeper: KeeperStatus): HealthLine[] {
  const { state, readOnly, fault, aside, drain, scrub } = keeper;
  const name = printable(keeper.name);
  const lines: HealthLine[] = [];
  if (readOnly && state !== "DEAD") {
    const why = fault === "full"
      ? "is full"
      : fault === "broken"
      ? "has a disk that fails"
      : "can't write to its disk";
    lines.push({ tone: "doubtful", text: `${name} ${why}: it takes nothing, and goes on serving` });
  }
  if (drain !== undefined) {
    const text = drain.safeToRemove
      ? `${name} is drained: it may be stopped, and tydfs keeper remove ${name} forgets it`
      : `${name} is being drained: ${formatCount(drain.chunksLeft, "chunk")} left`;
    lines.push({ text });
  }
  if (scrub.bad > 0) {
    const copies = formatCount(scrub.bad, "bad copy", "bad copies");
    lines.push({ tone: "doubtful", text: `${name} has found ${copies} since its start` });
  }
  if (aside > 0) {
    const chunks = formatCount(aside, "bad or unknown chunk");
    lines.push({ text: `${name} keeps ${chunks} aside` });
  }
  return lines;
}

/** A keeper whose last whole pass is long ago; of one that was never scrubbed, since when. */
function scrubLines({ name, state, scrub }: KeeperStatus, nowMs: number): HealthLine[] {
  const { passedMs, beganMs, running, doneBytes, totalBytes } = scrub;
  const sinceMs = passedMs > 0 ? passedMs : beganMs;
  if (state === "DEAD" || sinceMs === 0 || nowMs - sinceMs <= SCRUB_LATE_MS) return [];
  const ago = formatAgo(nowMs - sinceMs);
  const last = passedMs > 0 ? `last full scrub ${ago}` : `no full scrub since it began ${ago}`;
  const percent = Math.floor(doneBytes / Math.max(1, totalBytes) * 100);
  const now = running ? `; one is under way, ${percent} % done` : "";
  return [{ tone: "doubtful", text: `${printable(name)}: ${last}${now}` }];
}

function balanceLines(
  { balance: { running, moving, spreadPercent } }: ClusterStatus,
): HealthLine[] {
  if (!running) return [];
  const chunks = formatCount(moving, "chunk");
  const spread = `${Math.round(spreadPercent * 10) / 10} %`;
  const text = `Balancing: ${chunks} on the way; disks are up to ${spread} from the mean`;
  return [{ text }];
}

function placementLines({ chunks }: ClusterStatus): HealthLine[] {
  const { misplaced = 0, blocked = 0 } = chunks;
  if (misplaced === 0) return [];
  const waiting = blocked === 0
    ? ""
    : `; ${blocked} wait for one more keeper with the labels and room`;
  const moves = formatCount(misplaced, "chunk is", "chunks are");
  return [{ tone: "doubtful", text: `${moves} to be moved by placement rules${waiting}` }];
}

/** Leftovers of uploads as a rule; after a recovery perhaps files that the catalog lacks. */
function unknownLines({ chunks: { unknown } }: ClusterStatus): HealthLine[] {
  if (unknown === undefined) return [];
  const { chunks, bytes, leftMs } = unknown;
  const what = formatCount(chunks, "chunk on keepers is", "chunks on keepers are");
  return [{
    text: `${what} not in the catalog (${formatSize(bytes)}): kept for ` +
      `${formatDuration(leftMs)} yet; tydfs fsck names them, tydfs rescue gets files out of them`,
  }];
}

function journalLines({ archive }: ClusterStatus): HealthLine[] {
  const { sequence, archived, keepers } = archive;
  if (sequence === 0) return [];
  if (keepers === 0) {
    const text = "The catalog is on the master's disk only: no keeper has its journal";
    return [{ tone: "doubtful", text }];
  }
  if (sequence - archived <= JOURNAL_LAG) return [];
  const changes = formatCount(sequence - archived, "change");
  return [{ tone: "doubtful", text: `${changes} of the catalog are not on the keepers yet` }];
}

/** Where the catalog is safe; undefined while nothing is known of that. */
function catalogWords({ archive }: ClusterStatus, nowMs: number): string | undefined {
  const { sequence, keepers, snapshotMs, snapshotCopies } = archive;
  if (sequence === 0 || keepers === 0) return undefined;
  const place = `is kept on ${formatCount(keepers, "keeper")}, too`;
  if (snapshotMs === 0) return `${place}, without a snapshot yet`;
  const copies = snapshotCopies === keepers
    ? ""
    : ` in ${formatCount(snapshotCopies, "copy", "copies")}`;
  return `${place}, its last snapshot${copies} ${formatAgo(nowMs - snapshotMs)}`;
}

/** Keepers that are not there now; one that is expected at the master's start counts. */
function keepersAway({ keepers }: ClusterStatus): KeeperStatus[] {
  return keepers.filter(({ state }) =>
    state === "DEAD" || state === "SUSPECT" ||
    state === "JOINING"
  );
}
