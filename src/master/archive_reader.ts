/**
 * Reads keepers' archives from the outside, with nothing but the keepers' secret: which snapshots
 * there are, the newest first, and what journals hold. What one keeper can't give, another may.
 */
import type { Clock } from "../base/clock.ts";
import { forEachLimited } from "../base/limit.ts";
import type { Log } from "../base/log.ts";
import type { SnapshotHead } from "../wire/archive.ts";
import { JournalPiece, parseArchiveName } from "../wire/archive.ts";
import type { ArchiveTransport } from "../wire/archive_http.ts";
import { decode } from "../wire/codec.ts";
import { TydfsError } from "../wire/errors.ts";
import { FrameReader } from "../wire/journal_frame.ts";
import { openSealedKey, ticketKey } from "../wire/secrets.ts";
import { hashBlock } from "../wire/sums.ts";
import { signTicket } from "../wire/ticket.ts";
import type { HeardKeeper } from "./roll_call.ts";
import type { ByteSink } from "./snapshot_file.ts";
import { HEAD_BYTES_MAX, readHead, readSnapshot } from "./snapshot_file.ts";

export interface ArchiveReaderOptions {
  /** The secret of the keepers' role. */
  keeperSecret: string;
  transport: ArchiveTransport;
  clock: Clock;
  log: Log;
  signal: AbortSignal;
}

/** A snapshot, and the keepers that have it. */
export interface FoundSnapshot {
  name: string;
  checksum: string;
  head: SnapshotHead;
  clusterKey: string;
  holders: HeardKeeper[];
}

/** Time for a file, besides what it takes at the least pace. */
const GET_MS = 60_000;
const BYTES_PER_MS = 1024;
const FETCHES_AT_ONCE = 4;

export class ArchiveReader {
  readonly #options: ArchiveReaderOptions;

  constructor(options: ArchiveReaderOptions) {
    this.#options = options;
  }

  /** The snapshots that the keepers have, the newest first, without those of other clusters. */
  async snapshots(keepers: readonly HeardKeeper[]): Promise<FoundSnapshot[]> {
    const holders = new Map<string, { name: string; checksum: string; holders: HeardKeeper[] }>();
    for (const keeper of keepers) {
      for (const { name, checksum } of keeper.files) {
        if (parseArchiveName(name).kind !== "snapshot") continue;
        const known = holders.get(`${name} ${checksum}`);
        if (known !== undefined) known.holders.push(keeper);
        else holders.set(`${name} ${checksum}`, { name, checksum, holders: [keeper] });
      }
    }
    const found: FoundSnapshot[] = [];
    for (const file of holders.values()) {
      const head = await this.#headOf(file.name, file.holders);
      if (head === undefined) continue;
      const clusterKey = openSealedKey(this.#options.keeperSecret, head.key);
      if (clusterKey !== undefined) found.push({ ...file, head, clusterKey });
    }
    return found.sort(({ head: left }, { head: right }) =>
      right.epoch - left.epoch || right.sequence - left.sequence
    );
  }

  /** Writes the database of a snapshot to `sink`, from this keeper. Throws what is wrong. */
  async fetch(
    { name, checksum }: FoundSnapshot,
    holder: HeardKeeper,
    sink: ByteSink,
  ): Promise<SnapshotHead> {
    const sizeBytes = holder.files.find((file) => file.name === name)?.sizeBytes ?? 0;
    return await this.#get(
      holder,
      name,
      sizeBytes,
      undefined,
      (bytes) => readSnapshot(bytes, checksum, sink),
    );
  }

  /**
   * All pieces of journals that reach behind operation `after`, each once. Keepers that can't be
   * read are named in `unread`.
   */
  async pieces(
    keepers: readonly HeardKeeper[],
    after: number,
  ): Promise<{ pieces: JournalPiece[]; unread: string[] }> {
    const pieces = new Map<string, JournalPiece>();
    const unread = new Set<string>();
    await forEachLimited(keepers, FETCHES_AT_ONCE, async (keeper) => {
      for (const { name, sizeBytes } of keeper.files) {
        if (parseArchiveName(name).kind !== "journal") continue;
        try {
          await this.#get(keeper, name, sizeBytes, undefined, async (bytes) => {
            for await (const piece of readPieces(bytes)) {
              if (piece.to <= after) continue;
              const { catalog, epoch, from, to } = piece;
              const sum = hashBlock(piece.operations);
              pieces.set([catalog, epoch, from, to, sum].join(" "), piece);
            }
          });
        } catch (error) {
          if (this.#options.signal.aborted) throw error;
          unread.add(keeper.name);
          this.#options.log.warn("Cannot read a journal", { keeper: keeper.name, name, error });
        }
      }
    });
    return { pieces: [...pieces.values()], unread: [...unread].sort() };
  }

  async #headOf(
    name: string,
    holders: readonly HeardKeeper[],
  ): Promise<SnapshotHead | undefined> {
    for (const holder of holders) {
      try {
        const sizeBytes = Math.min(
          HEAD_BYTES_MAX,
          holder.files.find((file) => file.name === name)?.sizeBytes ?? 0,
        );
        return await this.#get(holder, name, sizeBytes, sizeBytes, async (bytes) => {
          const parts: Uint8Array[] = [];
          for await (const part of bytes) parts.push(part);
          return readHead(Buffer.concat(parts));
        });
      } catch (error) {
        if (this.#options.signal.aborted) throw error;
        const { log } = this.#options;
        log.warn("Cannot read a snapshot's head", { keeper: holder.name, name, error });
      }
    }
    return undefined;
  }

  /** Reads a file, or its first bytes. */
  async #get<T>(
    { host, ports }: HeardKeeper,
    name: string,
    sizeBytes: number,
    firstBytes: number | undefined,
    read: (bytes: AsyncIterable<Uint8Array>) => Promise<T>,
  ): Promise<T> {
    const { transport, clock, keeperSecret } = this.#options;
    const withinMs = GET_MS + sizeBytes / BYTES_PER_MS;
    const ticket = signTicket(ticketKey(keeperSecret), {
      ...{ op: "archive", name, sizeBytes: 0, checksum: "" },
      expiresMs: Math.round(clock.wallMs() + withinMs),
    });
    const late = new AbortController();
    const timer = clock.after(withinMs, () => {
      late.abort(new TydfsError("timeout", `Cannot read "${name}": it takes too long`));
    });
    const signal = AbortSignal.any([late.signal, this.#options.signal]);
    const part = firstBytes === undefined ? {} : { firstBytes };
    try {
      const address = { host, port: ports[0] ?? 0 };
      return await read(await transport.get(address, { name, ticket, signal, ...part }));
    } finally {
      timer.stop();
    }
  }
}

/** The pieces in a journal's file, up to what is torn. */
export async function* readPieces(
  bytes: AsyncIterable<Uint8Array>,
): AsyncGenerator<JournalPiece> {
  const reader = new FrameReader();
  for await (const part of bytes) {
    for (const payload of reader.read(part)) {
      yield decode(JournalPiece, payload, "a piece of the journal");
    }
  }
}
