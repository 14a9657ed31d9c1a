/**
 * Gets one small file: its bytes gather in memory, and go to their place in one step when they are
 * right. There is nothing that a later try could go on with, so that no lock and no partial file is
 * needed.
 */
import { KIB } from "../../base/bytes.ts";
import type { TydfsError } from "../../wire/errors.ts";
import type { ClientContext } from "../context.ts";
import type { DownloadOptions, DownloadTarget } from "../download.ts";
import { downloadInto } from "../download.ts";
import { isFresh } from "../local_target.ts";
import type { RemoteFile } from "../remote_file.ts";
import { SmallWriter } from "./small_writer.ts";

/** Larger ones are written by other threads while they come. */
const SMALL_BYTES_MAX = 128 * KIB;

/**
 * Puts the file at `place`, where nothing is yet; `sync` waits until it is on its disk. Returns
 * false, with nothing done, where `LocalTarget` is to do it: the file is too large, something is
 * there that it replaces, or an earlier try has left a part of it. Throws what the download does,
 * and `local`.
 */
export async function getSmall(
  context: ClientContext,
  file: RemoteFile,
  place: string,
  options: DownloadOptions & { sync: boolean },
): Promise<boolean> {
  const { sizeBytes, mtimeMs, mode } = file.facts;
  if (sizeBytes > SMALL_BYTES_MAX || !isFresh(place)) return false;
  const bytes = new Uint8Array(sizeBytes);
  const done = { doneBytes: 0, resumedBytes: 0 };
  await downloadInto(context, file, memoryTarget(bytes), { ...options, done });
  options.signal.throwIfAborted();
  const { sync } = options;
  const writer = new SmallWriter({ random: context.random, sync });
  let failure: TydfsError | undefined;
  await writer.write(place, bytes, { mode, mtimeMs }, (error) => failure = error);
  if (sync) {
    await writer.flush();
    await writer.syncDirectories();
  }
  if (failure !== undefined) throw failure;
  return true;
}

function memoryTarget(bytes: Uint8Array): DownloadTarget {
  return {
    foundBytes: 0,
    fit: () => Promise.resolve(),
    readBack: () => Promise.resolve(false),
    write: (part, position) => {
      bytes.set(part, position);
      return Promise.resolve();
    },
  };
}
