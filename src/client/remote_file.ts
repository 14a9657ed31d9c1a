/**
 * A file of the cluster as a reader has opened it: one version, pinned by its inode, whose extents
 * come page by page. What the master answers is checked to add up before a byte is fetched.
 */
import { hasCode, TydfsError } from "../wire/errors.ts";
import type { ChunkLocation, FileLocateReply, Holder, LocatedExtent } from "../wire/file.ts";
import { fileLocate, fileStat } from "../wire/file.ts";
import { quotePath } from "../wire/names.ts";
import { blockCount, fileChecksum, SUM_BYTES } from "../wire/sums.ts";
import type { ClientContext } from "./context.ts";

/** An extent and those who hold its chunk now. */
export interface OpenExtent {
  extent: LocatedExtent;
  holders: Holder[];
}

/** What is known of the version that was opened. */
export interface RemoteFacts {
  path: string;
  inode: number;
  version: number;
  sizeBytes: number;
  checksum: string;
  mtimeMs: number;
  mode: number;
}

export class RemoteFile {
  readonly facts: RemoteFacts;
  readonly #context: ClientContext;
  readonly #firstPage: FileLocateReply;

  private constructor(context: ClientContext, path: string, page: FileLocateReply) {
    const { inode, version, sizeBytes, checksum, mtimeMs, mode } = page;
    this.facts = { path, inode, version, sizeBytes, checksum, mtimeMs, mode };
    this.#context = context;
    this.#firstPage = page;
  }

  /** Opens the version that `path` names now. Throws `not-found`, `is-directory`. */
  static async open(
    context: ClientContext,
    path: string,
    signal: AbortSignal,
  ): Promise<RemoteFile> {
    const options = { signal, repeatable: true, waitMs: context.waitMs };
    const page = await context.trackers.ask(fileLocate, { path, fromSeq: 0 }, options);
    return new RemoteFile(context, path, page);
  }

  /** All extents in order. Throws `corrupt` when they are not one whole file. */
  async *extents(signal: AbortSignal): AsyncGenerator<OpenExtent> {
    const chunkSums: Uint8Array[] = [];
    let wholeChunks = true;
    let offset = 0;
    for (let page = this.#firstPage, seq = 0;;) {
      for (const extent of page.extents) {
        this.#checkExtent(extent, seq, offset);
        wholeChunks &&= extent.chunkOffset === 0 && extent.length === extent.chunkBytes;
        if (wholeChunks) chunkSums.push(extent.sums);
        seq++;
        offset += extent.length;
        yield openExtent(page, extent);
      }
      if (!page.more) break;
      if (page.extents.length === 0) throw this.#broken("a page of its extents is empty");
      page = await this.#page(seq, signal);
    }
    if (offset !== this.facts.sizeBytes) throw this.#broken("its extents do not add up");
    if (wholeChunks && offset > 0 && fileChecksum(chunkSums) !== this.facts.checksum) {
      throw this.#broken("the sums of its blocks do not make its checksum");
    }
  }

  /**
   * An extent again, with a new ticket and those who hold it by now. Its bytes may lie in another
   * chunk: compaction moves what is left of sparse packs.
   */
  async refresh(extent: LocatedExtent, signal: AbortSignal): Promise<OpenExtent> {
    const page = await this.#page(extent.seq, signal);
    const fresh = page.extents.find(({ seq }) => seq === extent.seq);
    if (fresh === undefined || fresh.length !== extent.length) {
      throw this.#broken("an extent is another one now");
    }
    this.#checkExtent(fresh, extent.seq, extent.offset);
    return openExtent(page, fresh);
  }

  /**
   * The keepers that are known to have an extent's chunk, also those that are dead; none where the
   * file has left its path.
   */
  async knownHolders(
    { seq, chunk }: LocatedExtent,
    signal: AbortSignal,
  ): Promise<ChunkLocation["holders"]> {
    const { path, inode } = this.facts;
    const options = { signal, repeatable: true };
    const request = { path, inode, fromSeq: seq };
    try {
      const { chunks } = await this.#context.trackers.ask(fileStat, request, options);
      return chunks.find(({ id }) => id === chunk)?.holders ?? [];
    } catch (error) {
      if (hasCode(error, "not-found", "is-directory")) return [];
      throw error;
    }
  }

  async #page(fromSeq: number, signal: AbortSignal): Promise<FileLocateReply> {
    const { trackers, waitMs } = this.#context;
    const { path, inode, version } = this.facts;
    const options = { signal, repeatable: true, waitMs };
    const page = await trackers.ask(fileLocate, { path, inode, fromSeq }, options);
    if (page.inode !== inode || page.version !== version) {
      const message = `Cannot read on in ${quotePath(path)}: the version that was opened is gone`;
      throw new TydfsError("conflict", message);
    }
    return page;
  }

  #checkExtent(extent: LocatedExtent, seq: number, offset: number): void {
    const { chunkOffset, length, chunkBytes, sums } = extent;
    const fits = chunkOffset + length <= chunkBytes;
    const summed = sums.length === blockCount(chunkBytes) * SUM_BYTES;
    if (extent.seq !== seq || extent.offset !== offset || !fits || !summed) {
      throw this.#broken(`extent ${seq} is not where it should be`);
    }
  }

  #broken(reason: string): TydfsError {
    const message = `Cannot read ${quotePath(this.facts.path)}: ${reason}`;
    return new TydfsError("corrupt", message, { data: { path: this.facts.path } });
  }
}

function openExtent(page: FileLocateReply, extent: LocatedExtent): OpenExtent {
  const wanted = new Set(extent.keepers);
  return { extent, holders: page.holders.filter(({ keeper }) => wanted.has(keeper)) };
}
