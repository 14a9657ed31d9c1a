/**
 * The progress of one transfer: on a terminal one line on stderr, redrawn at most ten times a
 * second; elsewhere a plain line now and then.
 */
import { formatSize } from "../../base/bytes.ts";
import type { Clock } from "../../base/clock.ts";
import { systemClock } from "../../base/clock.ts";
import type { Progress, ProgressListener } from "../../client/client.ts";
import type { Output } from "../output.ts";
import { printable } from "../output.ts";
import { formatTimeLeft } from "./time_left.ts";

const REDRAW_MS = 100;
/** A transfer that is over sooner shows nothing. */
const FIRST_DRAW_MS = 300;
/** Between plain lines. */
const LINE_MS = 10_000;
const CLEAR_LINE = "\r\x1b[2K";
const BAR_CELLS = 20;

export class ProgressBar {
  readonly #output: Output;
  readonly #label: string;
  readonly #clock: Clock;
  readonly #startMs: number;
  readonly #hidden: boolean;
  readonly #everyMs: number;
  #drawnMs: number;
  #drawn = false;

  constructor(output: Output, label: string, hidden: boolean, clock: Clock = systemClock) {
    this.#output = output;
    this.#label = printable(label);
    this.#clock = clock;
    this.#hidden = hidden;
    this.#everyMs = output.messagesOnTerminal ? REDRAW_MS : LINE_MS;
    this.#startMs = clock.monotonicMs();
    const firstMs = output.messagesOnTerminal ? FIRST_DRAW_MS : LINE_MS;
    this.#drawnMs = this.#startMs + firstMs - this.#everyMs;
  }

  /** To be given to the client. */
  get listener(): ProgressListener {
    return (progress) => this.#update(progress);
  }

  /** Takes the line away. */
  end(): void {
    if (this.#drawn) this.#output.draw(CLEAR_LINE);
    this.#drawn = false;
  }

  #update(progress: Progress): void {
    if (this.#hidden) return;
    const nowMs = this.#clock.monotonicMs();
    if (nowMs - this.#drawnMs < this.#everyMs) return;
    this.#drawnMs = nowMs;
    const line = formatProgress(this.#label, progress, nowMs - this.#startMs);
    if (!this.#output.messagesOnTerminal) {
      // A bar is for eyes that see it grow.
      return this.#output.message(`tydfs: ${line.replace(/^[█░]+ +/, "")}`);
    }
    this.#drawn = true;
    this.#output.draw(CLEAR_LINE + line.slice(0, this.#output.columns - 1));
  }
}

/** One line: bar, per cent, bytes, rate, time left. */
export function formatProgress(label: string, progress: Progress, elapsedMs: number): string {
  const { doneBytes, totalBytes, resumedBytes = 0 } = progress;
  // What was there already says nothing about speed.
  const bytesPerMs = (doneBytes - resumedBytes) / Math.max(elapsedMs, 1);
  const rate = `${formatSize(Math.round(bytesPerMs * 1000))}/s`;
  if (totalBytes === undefined) return `${label}  ${formatSize(doneBytes)}  ${rate}`;
  const share = totalBytes === 0 ? 1 : doneBytes / totalBytes;
  const cells = Math.floor(share * BAR_CELLS);
  const bar = "█".repeat(cells) + "░".repeat(BAR_CELLS - cells);
  const percent = `${Math.floor(share * 100)} %`.padStart(5);
  const moved = { done: doneBytes - resumedBytes, left: totalBytes - doneBytes };
  const left = formatTimeLeft({ elapsedMs, ...moved, perMs: bytesPerMs });
  const bytes = `${formatSize(doneBytes)} of ${formatSize(totalBytes)}`;
  return `${bar} ${percent}  ${bytes}  ${rate}${left === undefined ? "" : `  ${left}`}  ${label}`;
}
