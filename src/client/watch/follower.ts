/**
 * Follows one path at a time into the cluster: compares the disk with what was sent, and sends,
 * renames, removes or leaves alone. It looks at the disk itself, right before it acts; whoever
 * calls it only says where.
 */
import { must } from "../../base/assert.ts";
import { CHUNK_BYTES_MAX, fileChecksum } from "../../wire/sums.ts";
import type { ProgressListener, PutOptions } from "../api.ts";
import { LocalSource } from "../local_files.ts";
import type { LocalEntry } from "../trees/local_tree.ts";
import { FileSource } from "../source.ts";
import { Mover } from "./mover.ts";
import type { KnownEntry } from "./plan.ts";
import { compareEntry, knownOf, sameLook } from "./plan.ts";
import { isSent } from "./remote_side.ts";
import type { RemoverParts } from "./remover.ts";
import { Remover } from "./remover.ts";
import { isSmall, smallFile } from "../packs/small_file.ts";
import type { Sighting } from "./settling.ts";
import type { Member } from "./together.ts";

export interface FollowerOptions {
  /** Whether what is removed here is removed there. */
  deletes: boolean;
  trustInodes: boolean;
  put: Pick<PutOptions, "replicas" | "minCopies">;
  onProgress?: ProgressListener;
}

/** What following a path needs of its caller. */
export interface FollowContext {
  signal: AbortSignal;
  /** Called when it is known whether the path was moved here; what follows may take long. */
  decided: () => void;
  /** Set where a small file is sent together with others. */
  together?: Member | undefined;
}

/**
 * `done`; `unsettled`: the path was or is changing; `root-lost`: there is nothing to look at.
 * Paths that need a look then are in `again`.
 */
export interface FollowOutcome {
  kind: "done" | "unsettled" | "root-lost";
  again: Sighting[];
}

const DONE: FollowOutcome = { kind: "done", again: [] };

export class Follower {
  readonly #parts: RemoverParts;
  readonly #options: FollowerOptions;
  readonly #mover: Mover;
  readonly #remover: Remover;

  constructor(parts: RemoverParts, options: FollowerOptions) {
    this.#parts = parts;
    this.#options = options;
    this.#mover = new Mover(parts);
    this.#remover = new Remover(parts);
  }

  /** Brings one path in step, if it is as it was seen. Throws what the client throws. */
  async follow({ path, seen }: Sighting, context: FollowContext): Promise<FollowOutcome> {
    const { disk, state } = this.#parts;
    const look = await disk.look(path);
    if (look.kind === "ignored") {
      state.forget(path);
      return DONE;
    }
    const now = look.kind === "there" ? look.entry : undefined;
    if (!sameLook(seen, now)) return unsettled(path, now);
    if (now !== undefined) return await this.#appear(now, context);
    if (!this.#options.deletes) return DONE;
    if (!await this.#remover.follow(path, context.signal)) return { kind: "root-lost", again: [] };
    return { kind: "done", again: await this.#remover.emptied(path) };
  }

  async #appear(entry: LocalEntry, context: FollowContext): Promise<FollowOutcome> {
    const { state } = this.#parts;
    const { signal } = context;
    const known = state.find(entry.path);
    switch (compareEntry(entry, known, this.#options)) {
      case "none":
        return DONE;
      case "identity":
        state.save(knownOf(entry, must(known, entry.path)));
        return DONE;
      case "kind": {
        const sent = must(known, entry.path);
        // Without --delete nothing in a directory goes, and the put says what is in its way.
        const stays = sent.kind === "directory" && !this.#options.deletes;
        if (!stays && !await this.#remover.clearWay(sent, signal)) {
          return unsettled(entry.path, entry);
        }
        return await this.#bring(entry, undefined, context);
      }
      case "facts":
        return await this.#bring(entry, known, context);
      case "maybe": {
        const isSame = await hasChecksum(entry.local, must(known, entry.path).checksum);
        return await this.#bring(entry, isSame ? known : undefined, context);
      }
      case "content":
      case "new":
        return await this.#bring(entry, undefined, context);
    }
  }

  /** Moves, updates (where the bytes are those of `same`), makes or sends. */
  async #bring(
    entry: LocalEntry,
    same: KnownEntry | undefined,
    context: FollowContext,
  ): Promise<FollowOutcome> {
    const { signal, decided } = context;
    const moved = await this.#mover.moveOr(entry, signal, async () => {
      decided();
      if (same !== undefined && await this.#update(entry, same, signal)) return DONE;
      return entry.kind === "directory"
        ? await this.#make(entry, signal)
        : await this.#send(entry, context);
    });
    if ("replaced" in moved) return moved.replaced;
    const again = await this.#mover.review(moved.from, entry);
    if (this.#options.deletes) again.push(...await this.#remover.emptied(moved.from.path));
    return { kind: "done", again };
  }

  async #send(
    entry: LocalEntry,
    { signal, together }: FollowContext,
  ): Promise<FollowOutcome> {
    const { remote, disk, state, onEvent } = this.#parts;
    const { put, onProgress } = this.#options;
    const { path, local, kind, mtimeMs, target } = entry;
    const options = { ...put, signal, ...(onProgress && { onProgress }) };
    const to = remote.pathOf(path);
    const alone = () =>
      kind === "link"
        ? remote.client.putLink(target ?? "", to, { ...options, mtimeMs })
        : remote.client.put(local, to, options);
    const result = together !== undefined && isSmall(entry)
      ? await together.send(smallFile(entry, to), alone)
      : await alone();
    state.save(knownOf(entry, result));
    onEvent({ kind: "sent", ...result, local });
    // What was sent is what was seen only if it is the same still.
    const after = await disk.look(path);
    const now = after.kind === "there" ? after.entry : undefined;
    return sameLook(entry, now) ? DONE : unsettled(path, now);
  }

  async #make(entry: LocalEntry, signal: AbortSignal): Promise<FollowOutcome> {
    const { remote, disk, state, onEvent } = this.#parts;
    // Where only includes decide, a directory comes with what is sent from it.
    if (disk.rules.keepsEmpty) {
      const { mode } = entry;
      const path = remote.pathOf(entry.path);
      const { made } = await remote.client.makeDirectory(path, { parents: true, mode, signal });
      if (made) onEvent({ kind: "made", path });
      // A file that came first has brought it, with the mode that directories have.
      else if ((await remote.find(path, signal))?.mode !== mode) {
        await remote.client.set(path, { mode }, { signal });
      }
    }
    state.save(knownOf(entry, { version: 0, checksum: "" }));
    return DONE;
  }

  /** Tells the cluster another mode and time; false when its file is not what was sent. */
  async #update(entry: LocalEntry, known: KnownEntry, signal: AbortSignal): Promise<boolean> {
    const { remote, state, onEvent } = this.#parts;
    const { mode, mtimeMs } = entry;
    const isDirectory = entry.kind === "directory";
    const path = remote.pathOf(entry.path);
    const there = await remote.find(path, signal);
    if (!isSent(there, known)) return false;
    if (there.mode !== mode || (!isDirectory && there.mtimeMs !== mtimeMs)) {
      await remote.client.set(path, isDirectory ? { mode } : { mode, mtimeMs }, { signal });
      onEvent({ kind: "updated", path });
    }
    state.save(knownOf(entry, known));
    return true;
  }
}

/** Whether a local file has the bytes that this is the checksum of. */
async function hasChecksum(local: string, checksum: string): Promise<boolean> {
  const file = await LocalSource.open(local);
  try {
    const sums: Uint8Array[] = [];
    const { signal } = new AbortController();
    for await (const chunk of new FileSource(file).chunks(CHUNK_BYTES_MAX, signal)) {
      sums.push(await chunk.sums());
    }
    await file.check();
    return fileChecksum(sums) === checksum;
  } finally {
    await file.close();
  }
}

function unsettled(path: string, seen: LocalEntry | undefined): FollowOutcome {
  return { kind: "unsettled", again: [{ path, seen }] };
}
