/**
 * Follows the log of events in order and misses none: each that is selected is handed on, and the
 * cursor moves behind it only when that has succeeded. So one may be handed on twice, after a crash
 * in between, but none is left out. Where the log has forgotten what lies behind the cursor, the
 * files that are there tell what was put since.
 */
import type { Clock } from "../../base/clock.ts";
import type { Random } from "../../base/random.ts";
import { EVENT_PAGE_MAX } from "../../wire/event.ts";
import { ROOT } from "../../wire/names.ts";
import type { Entry, LoggedEvent } from "../api.ts";
import type { TydfsClient } from "../client.ts";
import { orAbort } from "../crew.ts";
import type { PresenceEvent } from "../presence.ts";
import { Presence, saysAway } from "../presence.ts";
import type { Cursor, CursorStore } from "./cursor.ts";

/** The log is read this often though nothing was heard. */
const POLL_MS = 5_000;
/** Files that are gathered at once where the log has forgotten. */
const GATHER_MAX = 10_000;

export type LogClient = Pick<TydfsClient, "loggedEvents" | "listen" | "list">;

export type FollowerEvent =
  | PresenceEvent
  /** Where it begins, and whether it has been there before. */
  | { kind: "following"; seq: number; resumed: boolean }
  /** The log has forgotten `count` events behind the cursor; files tell what was put since. */
  | { kind: "forgotten"; count: number; recovers: boolean }
  /** The log ends before the cursor: it is that of another cluster, or of an older state of it. */
  | { kind: "shorter"; seq: number; latest: number };

export interface LogFollowerParts {
  client: LogClient;
  clock: Clock;
  random: Random;
  cursors: CursorStore;
  /** Whether an event is to be handed on. */
  selects: (event: LoggedEvent) => boolean;
  /** Takes an event; when it resolves, the event is done with. What it throws ends all. */
  handle: (event: LoggedEvent) => Promise<void>;
  onEvent: (event: FollowerEvent) => void;
}

export interface LogFollowerOptions {
  /** Without a cursor: from the beginning of what is known, not from now. */
  fromStart: boolean;
  /** Whether puts are selected at all: only they can be told from the files that are there. */
  hearsPuts: boolean;
  /** End when all that has happened is done with. */
  once: boolean;
}

export class LogFollower {
  readonly #parts: LogFollowerParts;
  readonly #options: LogFollowerOptions;
  readonly #presence: Presence;
  #cursor: Cursor = { seq: 0, version: 0 };
  #saved: Cursor | undefined;
  #wake = Promise.withResolvers<void>();

  constructor(parts: LogFollowerParts, options: LogFollowerOptions) {
    const { client, clock, random, onEvent } = parts;
    this.#parts = parts;
    this.#options = options;
    const probe = (signal: AbortSignal) => client.loggedEvents(0, 1, { signal });
    this.#presence = new Presence({ clock, random, probe, onEvent });
  }

  /** Follows until the signal aborts (and throws its reason), or, with `once`, to the log's end. */
  async run(signal: AbortSignal): Promise<void> {
    // Heard before the first look, so that nothing falls between.
    const wake = () => this.#awake();
    this.#parts.client.listen(wake, signal, wake);
    await this.#begin(signal);
    for (;;) {
      const wake = this.#wake.promise;
      const isEnd = await this.#readPage(signal);
      if (!isEnd) continue;
      if (this.#options.once) return;
      await this.#sleep(wake, signal);
    }
  }

  async #begin(signal: AbortSignal): Promise<void> {
    const { cursors, onEvent } = this.#parts;
    const cursor = cursors.load();
    this.#saved = cursor;
    if (cursor !== undefined) this.#cursor = cursor;
    else if (!this.#options.fromStart) this.#cursor = await this.#now(signal);
    // A new one is kept at once: what comes from now on is not to be missed after a crash, either.
    this.#save();
    onEvent({ kind: "following", seq: this.#cursor.seq, resumed: cursor !== undefined });
  }

  /** The end of the log, and the highest version that it names. */
  async #now(signal: AbortSignal): Promise<Cursor> {
    const { latest } = await this.#ask(0, 1, signal);
    for (let end = latest; end > 0; end -= EVENT_PAGE_MAX) {
      const after = Math.max(0, end - EVENT_PAGE_MAX);
      const { events } = await this.#ask(after, EVENT_PAGE_MAX, signal);
      const versions = events.filter(({ seq }) => seq <= latest).map(({ version = 0 }) => version);
      const version = Math.max(0, ...versions);
      if (version > 0) return { seq: latest, version };
    }
    return { seq: latest, version: 0 };
  }

  /** Reads on from the cursor; returns whether that was the end. */
  async #readPage(signal: AbortSignal): Promise<boolean> {
    const page = await this.#ask(this.#cursor.seq, EVENT_PAGE_MAX, signal);
    const { events, forgotten, latest } = page;
    if (forgotten > this.#cursor.seq) {
      await this.#recover(forgotten, signal);
      return false;
    }
    if (latest < this.#cursor.seq) {
      this.#parts.onEvent({ kind: "shorter", seq: this.#cursor.seq, latest });
      this.#cursor = await this.#now(signal);
      this.#save();
      return true;
    }
    for (const event of events) await this.#handle(event, signal);
    this.#save();
    return events.length === 0;
  }

  async #handle(event: LoggedEvent, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    const { seq, kind } = event;
    const isPut = kind === "put" || kind === "replaced";
    const version = isPut ? event.version ?? 0 : 0;
    // One that was found as a file, where the log had forgotten it, is done with.
    const isDone = isPut && version > 0 && version <= this.#cursor.version;
    const isSelected = !isDone && this.#parts.selects(event);
    if (isSelected) await this.#parts.handle(event);
    this.#cursor = { seq, version: Math.max(version, this.#cursor.version) };
    if (isSelected) this.#save();
  }

  /** Takes the files that were put since for the events that the log has forgotten. */
  async #recover(forgotten: number, signal: AbortSignal): Promise<void> {
    const { onEvent, selects } = this.#parts;
    const { hearsPuts: recovers } = this.#options;
    onEvent({ kind: "forgotten", count: forgotten - this.#cursor.seq, recovers });
    // Files that come while this goes on have higher numbers, too.
    const upTo = (await this.#ask(forgotten, 1, signal)).forgotten;
    for (let more = recovers; more;) {
      const found = await this.#filesSince(this.#cursor.version, signal);
      more = found.more;
      for (const { path, version, size, owner, mtimeMs } of found.files) {
        signal.throwIfAborted();
        const event: LoggedEvent = {
          ...{ seq: upTo, kind: "put", atMs: Math.max(0, mtimeMs), path, entry: "file" },
          ...{ version, sizeBytes: size, owner },
        };
        if (selects(event)) await this.#parts.handle(event);
        this.#cursor = { ...this.#cursor, version };
        this.#save();
      }
    }
    this.#cursor = { ...this.#cursor, seq: upTo };
    this.#save();
  }

  /** Files of higher versions than this, the lowest first, and whether there are more of them. */
  async #filesSince(
    version: number,
    signal: AbortSignal,
  ): Promise<{ files: Entry[]; more: boolean }> {
    return await this.#patiently(signal, async () => {
      const byVersion = (left: Entry, right: Entry) => left.version - right.version;
      let files: Entry[] = [];
      let more = false;
      for await (const entry of this.#parts.client.list(ROOT, { recursive: true, signal })) {
        if (entry.kind !== "file" || entry.version <= version) continue;
        files.push(entry);
        if (files.length < 2 * GATHER_MAX) continue;
        files = files.sort(byVersion).slice(0, GATHER_MAX);
        more = true;
      }
      files.sort(byVersion);
      return { files: files.slice(0, GATHER_MAX), more: more || files.length > GATHER_MAX };
    });
  }

  #ask(after: number, limit: number, signal: AbortSignal) {
    return this.#patiently(
      signal,
      () => this.#parts.client.loggedEvents(after, limit, { signal }),
    );
  }

  /** Repeats `ask` until the master answers. */
  async #patiently<T>(signal: AbortSignal, ask: () => Promise<T>): Promise<T> {
    for (;;) {
      try {
        return await ask();
      } catch (error) {
        signal.throwIfAborted();
        if (this.#options.once || !saysAway(error)) throw error;
        await this.#presence.wait(error, signal);
      }
    }
  }

  #save(): void {
    const { seq, version } = this.#cursor;
    if (this.#saved?.seq === seq && this.#saved.version === version) return;
    this.#parts.cursors.save(this.#cursor);
    this.#saved = this.#cursor;
  }

  async #sleep(wake: Promise<void>, signal: AbortSignal): Promise<void> {
    const due = Promise.withResolvers<void>();
    const timer = this.#parts.clock.after(POLL_MS, due.resolve);
    await orAbort(Promise.race([wake, due.promise]), signal).finally(() => timer.stop());
  }

  #awake(): void {
    this.#wake.resolve();
    this.#wake = Promise.withResolvers();
  }
}
