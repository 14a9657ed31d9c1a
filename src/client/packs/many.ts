/** Puts many local files: the small ones in packs, all others one by one. */
import { AssertionError } from "../../base/assert.ts";
import { forEachLimited } from "../../base/limit.ts";
import { TydfsError, wrapError } from "../../wire/errors.ts";
import { parsePath } from "../../wire/names.ts";
import type { PutOptions, PutResult } from "../api.ts";
import { signalOf } from "../context.ts";
import { lookAt } from "../trees/local_tree.ts";
import type { PackedOptions, PackedOutcome, SmallFile } from "./small_file.ts";

/** Files that are looked at, and put in packs, before the next ones are. */
const BATCH_FILES = 4_096;
const LOOKS_AT_ONCE = 64;

/** What putting many files needs of the client. */
export interface FilePutter {
  put(local: string, remote: string, options: PutOptions): Promise<PutResult>;
  putPacked(files: readonly SmallFile[], options: PackedOptions): Promise<PackedOutcome[]>;
}

/** Puts `files`, at most `parallel` of the large ones at once; see `TydfsClient.putMany`. */
export async function putMany(
  client: FilePutter,
  files: readonly { local: string; remote: string }[],
  options: PutOptions & { parallel: number },
): Promise<(PutResult | TydfsError)[]> {
  const { parallel, onProgress: _, ...put } = options;
  const signal = signalOf(options);
  const outcomes: PackedOutcome[] = files.map(() => undefined);
  for (let first = 0; first < files.length; first += BATCH_FILES) {
    const batch = files.slice(first, first + BATCH_FILES);
    const small = await smallOnes(batch);
    const packed = await client.putPacked(small.map(({ file }) => file), put);
    for (const [at, outcome] of packed.entries()) {
      outcomes[first + (small[at]?.index ?? 0)] = outcome;
    }
  }
  await forEachLimited(files.entries(), parallel, async ([index, { local, remote }]) => {
    if (outcomes[index] !== undefined) return;
    try {
      outcomes[index] = await client.put(local, remote, put);
    } catch (error) {
      signal.throwIfAborted();
      if (error instanceof AssertionError) throw error;
      outcomes[index] = wrapError(error);
    }
  });
  return outcomes.map((outcome) => outcome ?? new TydfsError("internal", "Cannot put a file"));
}

/** Those that are small regular files with a good name, and where they stand. */
async function smallOnes(
  files: readonly { local: string; remote: string }[],
): Promise<{ index: number; file: SmallFile }[]> {
  const found: { index: number; file: SmallFile }[] = [];
  await forEachLimited(files.entries(), LOOKS_AT_ONCE, async ([index, { local, remote }]) => {
    try {
      const entry = await lookAt(local);
      if (entry?.kind !== "file") return;
      const { sizeBytes, mtimeMs } = entry;
      found.push({ index, file: { path: parsePath(remote), local, sizeBytes, mtimeMs } });
    } catch {
      // Put by itself, it says what is wrong.
    }
  });
  return found.sort((left, right) => left.index - right.index);
}
