/**
 * How far someone has followed the log of events: kept in a file that is written whole and synced,
 * under a lock that dies with the process.
 */
import { dirname } from "node:path";
import * as v from "valibot";
import type { FileLock } from "../../base/file_lock.ts";
import { takeFileLock } from "../../base/file_lock.ts";
import { writePrivate } from "../../base/private_file.ts";
import { TydfsError } from "../../wire/errors.ts";
import { Natural } from "../../wire/ids.ts";
import { quotePath } from "../../wire/names.ts";
import { findStateText, makeStateDirectory } from "../state_files.ts";

const CursorSchema = v.object({
  /** The number of the last event that is done with. */
  seq: Natural,
  /**
   * The highest version of a file that is done with: where the log has forgotten events, files of
   * higher versions are those that were put since.
   */
  version: Natural,
});
export type Cursor = v.InferOutput<typeof CursorSchema>;

/** Where a cursor is kept. */
export interface CursorStore {
  /** Undefined when there is none yet. */
  load(): Cursor | undefined;
  /** Durable when it returns. */
  save(cursor: Cursor): void;
}

export class CursorFile implements CursorStore {
  readonly path: string;
  readonly #lock: FileLock;

  private constructor(path: string, lock: FileLock) {
    this.path = path;
    this.#lock = lock;
  }

  /** Opens the file at `path`. Throws `conflict` when another process follows with it. */
  static open(path: string): CursorFile {
    let lock: FileLock | undefined;
    try {
      makeStateDirectory(dirname(path));
      lock = takeFileLock(`${path}.lock`);
    } catch (cause) {
      throw failure("write", path, cause);
    }
    if (lock !== undefined) return new CursorFile(path, lock);
    const message = "Cannot follow events: another tydfs on does, from the same place " +
      `(it holds ${quotePath(`${path}.lock`)}); give this one another --name`;
    throw new TydfsError("conflict", message);
  }

  load(): Cursor | undefined {
    let text: string | undefined;
    try {
      text = findStateText(this.path);
    } catch (cause) {
      throw failure("read", this.path, cause);
    }
    if (text === undefined) return undefined;
    try {
      return v.parse(CursorSchema, JSON.parse(text));
    } catch (cause) {
      throw new TydfsError(
        "local",
        `Cannot read ${quotePath(this.path)}: it holds no place in the log of events; remove it ` +
          "to begin from now",
        { cause },
      );
    }
  }

  save({ seq, version }: Cursor): void {
    try {
      writePrivate(this.path, JSON.stringify({ seq, version }) + "\n");
    } catch (cause) {
      throw failure("write", this.path, cause);
    }
  }

  close(): void {
    this.#lock.release();
  }
}

function failure(action: string, path: string, cause: unknown): TydfsError {
  const reason = cause instanceof Error ? cause.message : String(cause);
  return new TydfsError("local", `Cannot ${action} ${quotePath(path)}: ${reason}`, { cause });
}
