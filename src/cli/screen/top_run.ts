/** Runs `tydfs top`: the view with its keys, on the terminal or printed once. */
import { parseDuration } from "../../base/bytes.ts";
import { systemClock } from "../../base/clock.ts";
import type { ClusterStatus } from "../../client/client.ts";
import { ConfigError } from "../../config/load.ts";
import type { LiveView } from "./live.ts";
import { runLive } from "./live.ts";
import type { Paint } from "../color.ts";
import { plain } from "../color.ts";
import type { Rates } from "./rates.ts";
import { RateBook } from "./rates.ts";
import type { ClientSession } from "../session.ts";
import type { Key, TerminalSize } from "./terminal.ts";
import { openTerminal } from "./terminal.ts";
import type { SortKey, TopState } from "./top_view.ts";
import { clampScroll, renderTop, roomFor, SORT_KEYS } from "./top_view.ts";

/** Intervals that + and - go through. */
const INTERVALS_MS = [200, 500, 1_000, 2_000, 5_000, 10_000, 30_000, 60_000];
const INTERVAL_MIN_MS = 200;
const INTERVAL_MAX_MS = 3_600_000;
/** Between the two looks of --once, from which the rates follow. */
const ONCE_MS = 1_100;
/** The width of a picture that goes to no terminal, unless COLUMNS says another. */
const COLUMNS_DEFAULT = 160;
const COLUMNS_MIN = 40;

/** Runs a view on the terminal, and leaves that as it was. */
export async function watchLive(
  { client, signal }: ClientSession,
  view: LiveView,
): Promise<void> {
  const terminal = openTerminal();
  try {
    const ask = (signal: AbortSignal) => client.status({ signal });
    await runLive({ terminal, clock: systemClock, signal, ask, view });
  } finally {
    terminal.close();
  }
}

/** Prints one picture, or the status as JSON. */
export async function printOnce(
  { client, signal, output, json }: ClientSession,
  view: TopView,
  columns: number,
): Promise<void> {
  const first = await client.status({ signal });
  if (json) return output.line(JSON.stringify(first));
  view.take(first, systemClock.monotonicMs());
  await systemClock.sleep(ONCE_MS, signal);
  view.take(await client.status({ signal }), systemClock.monotonicMs());
  const width = columns >= COLUMNS_MIN ? columns : COLUMNS_DEFAULT;
  for (const line of view.print(width)) output.line(line);
}

/** What `top` shows, and how keys change that. */
export class TopView implements LiveView {
  readonly #book = new RateBook();
  readonly #paint: Paint;
  #status: ClusterStatus | undefined;
  #rates: Rates = new Map();
  #intervalMs: number;
  #paused = false;
  #sort: SortKey;
  #scroll = 0;

  constructor(options: { intervalMs: number; sort: SortKey; paint: Paint }) {
    this.#intervalMs = options.intervalMs;
    this.#sort = options.sort;
    this.#paint = options.paint;
  }

  get intervalMs(): number | undefined {
    return this.#paused ? undefined : this.#intervalMs;
  }

  take(status: ClusterStatus, nowMs: number): void {
    this.#status = status;
    this.#rates = this.#book.add(status, nowMs);
  }

  draw(size: TerminalSize, silentMs: number | undefined): string[] {
    const { columns, rows } = size;
    const state = this.#state(silentMs);
    return state === undefined ? [] : renderTop(state, { columns, rows, paint: this.#paint });
  }

  /** A picture without an end, for standard output. */
  print(columns: number): string[] {
    const state = this.#state(undefined);
    if (state === undefined) return [];
    return renderTop(state, { columns, rows: undefined, paint: plain })
      .filter((line) => line !== "");
  }

  press(key: Key, { rows }: TerminalSize): boolean {
    const keepers = this.#status?.keepers.length ?? 0;
    const room = roomFor(rows);
    const steps: Record<string, number> = {
      "up": -1,
      "k": -1,
      "down": 1,
      "j": 1,
      "page-up": -room,
      "page-down": room,
      "home": -keepers,
      "end": keepers,
    };
    this.#scroll = clampScroll(this.#scroll + (steps[key] ?? 0), keepers, room);
    if (key === "p" || key === " ") this.#paused = !this.#paused;
    if (key === "+" || key === "=") this.#intervalMs = nextInterval(this.#intervalMs, 1);
    if (key === "-") this.#intervalMs = nextInterval(this.#intervalMs, -1);
    if (key === "s") this.#sort = nextSort(this.#sort);
    return key !== "quit";
  }

  #state(silentMs: number | undefined): TopState | undefined {
    if (this.#status === undefined) return undefined;
    return {
      status: this.#status,
      rates: this.#rates,
      silentMs,
      paused: this.#paused,
      intervalMs: this.#intervalMs,
      sort: this.#sort,
      scroll: this.#scroll,
    };
  }
}

/** The next interval of the list, longer (1) or shorter (-1); the last one stays. */
export function nextInterval(intervalMs: number, step: 1 | -1): number {
  const next = step === 1
    ? INTERVALS_MS.find((other) => other > intervalMs)
    : INTERVALS_MS.findLast((other) => other < intervalMs);
  return next ?? intervalMs;
}

function nextSort(sort: SortKey): SortKey {
  return SORT_KEYS[(SORT_KEYS.indexOf(sort) + 1) % SORT_KEYS.length] ?? "name";
}

/** The value of --interval in ms. Throws `ConfigError`. */
export function parseInterval(text: string): number {
  const ms = parseDuration(text);
  if (ms !== undefined && ms >= INTERVAL_MIN_MS && ms <= INTERVAL_MAX_MS) return ms;
  const words = `Cannot use ${JSON.stringify(text)} for --interval: give 200ms to 1h`;
  throw new ConfigError(words);
}

/** The value of --sort. Throws `ConfigError`. */
export function parseSort(text: string): SortKey {
  const key = SORT_KEYS.find((known) => known === text);
  if (key !== undefined) return key;
  const words = `Cannot use ${JSON.stringify(text)} for --sort: choose of ${SORT_KEYS.join(", ")}`;
  throw new ConfigError(words);
}
