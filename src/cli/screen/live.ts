/**
 * A screen that is looked at: asks again and again, redraws when something has changed, and goes on
 * while nobody answers. What is asked and what is drawn is its caller's.
 */
import type { Clock } from "../../base/clock.ts";
import type { ClusterStatus } from "../../client/client.ts";
import { hasCode } from "../../wire/errors.ts";
import type { Key, Terminal, TerminalSize } from "./terminal.ts";

/** Time for one answer; after that it is asked again. */
const ASK_MS = 3_000;
/** An answer is overdue when it takes longer. */
const OVERDUE_MS = 1_500;
/** The picture is drawn anew at least each so often: it tells ages. */
const REDRAW_MS = 1_000;

export interface LiveView {
  /** Takes an answer of the master. */
  take(status: ClusterStatus, nowMs: number): void;
  /** The lines of the picture; `silentMs` is the time since the last answer, when it is overdue. */
  draw(size: TerminalSize, silentMs: number | undefined): string[];
  /** Reacts to a key; false ends it. */
  press(key: Key, size: TerminalSize): boolean;
  /** Time between two answers; undefined while nothing is asked. */
  readonly intervalMs: number | undefined;
}

export interface LiveOptions {
  terminal: Terminal;
  clock: Clock;
  signal: AbortSignal;
  ask: (signal: AbortSignal) => Promise<ClusterStatus>;
  view: LiveView;
}

/** Runs until a key or the signal ends it. Throws what the first answer's failure is. */
export async function runLive(options: LiveOptions): Promise<void> {
  const { terminal, clock, view } = options;
  const left = new AbortController();
  const signal = AbortSignal.any([options.signal, left.signal]);
  let answeredMs = clock.monotonicMs();
  // When the first question was asked that has no answer yet.
  let openSinceMs: number | undefined;
  let wake = new AbortController();

  function draw(): void {
    const nowMs = clock.monotonicMs();
    const isOverdue = openSinceMs !== undefined && nowMs - openSinceMs > OVERDUE_MS;
    terminal.show(view.draw(terminal.size, isOverdue ? nowMs - answeredMs : undefined));
  }

  async function ask(): Promise<void> {
    // An answer that comes late is of no use: the next one will be newer.
    const late = new AbortController();
    const timer = clock.after(ASK_MS, () => late.abort());
    openSinceMs ??= clock.monotonicMs();
    try {
      const status = await options.ask(AbortSignal.any([signal, late.signal]));
      answeredMs = clock.monotonicMs();
      openSinceMs = undefined;
      view.take(status, answeredMs);
    } catch (error) {
      // That the client may not ask will not change; silence may.
      if (!signal.aborted && hasCode(error, "denied")) throw error;
    } finally {
      timer.stop();
    }
  }

  terminal.onResize(draw);
  terminal.onKey((key) => {
    if (!view.press(key, terminal.size)) return left.abort();
    wake.abort();
    draw();
  });
  let askedMs = clock.monotonicMs();
  view.take(await options.ask(signal), askedMs);
  const redraw = clock.every(REDRAW_MS, draw);
  try {
    draw();
    while (!signal.aborted) {
      wake = new AbortController();
      const { intervalMs } = view;
      const dueMs = intervalMs === undefined ? Infinity : askedMs + intervalMs;
      const pauseMs = Math.min(REDRAW_MS, dueMs - clock.monotonicMs());
      if (pauseMs > 0) {
        const woken = AbortSignal.any([signal, wake.signal]);
        // A key may change the interval: then it is looked at anew.
        await clock.sleep(pauseMs, woken).catch(() => {});
        continue;
      }
      askedMs = clock.monotonicMs();
      await ask();
      draw();
    }
  } finally {
    redraw.stop();
  }
  // Ctrl-C from elsewhere is an interruption; a key is the end that was wished for.
  if (!left.signal.aborted) options.signal.throwIfAborted();
}
