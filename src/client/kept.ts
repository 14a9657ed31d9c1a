/** What the user is told of a transfer that is cut off: how much of it is kept, and where. */
import { formatSize } from "../base/bytes.ts";
import { TydfsError } from "../wire/errors.ts";
import { quotePath } from "../wire/names.ts";

/** What is kept of a transfer. */
export interface Kept {
  /** The remote file. */
  path: string;
  bytes: number;
  /** `in the cluster`, `in "a.tydfs-part"`. */
  place: string;
}

/**
 * The same failure, which also says how much is kept, in words and in its data (`keptBytes`).
 * Whatever is no error of tydfs (a signal's own reason, a fault) stays as it is.
 */
export function tellKept(error: unknown, { path, bytes, place }: Kept): unknown {
  if (!(error instanceof TydfsError) || bytes === 0) return error;
  const size = formatSize(bytes);
  const again = "give the same command again to go on";
  const message = error.code === "interrupted"
    ? `Interrupted: ${size} of ${quotePath(path)} are kept ${place}; ${again}`
    : `${error.message}; ${size} of it are kept ${place}: ${again}`;
  const data = { ...error.data, path, keptBytes: bytes };
  return new TydfsError(error.code, message, { data, cause: error });
}
