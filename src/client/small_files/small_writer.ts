/**
 * Writes many small local files. Each is written whole beside its name and then renamed: nobody
 * sees half of one, and of one that fails nothing stays. Done by calls that do not return before
 * the system has: passing each of them to another thread costs several times what it does.
 */
import {
  closeSync,
  constants,
  fchmodSync,
  fstatSync,
  fsync,
  futimesSync,
  lstatSync,
  mkdirSync,
  openSync,
  renameSync,
  unlinkSync,
  writeSync,
} from "node:fs";
import { open } from "node:fs/promises";
import { basename, dirname } from "node:path";
import { promisify } from "node:util";
import { forEachLimited } from "../../base/limit.ts";
import type { Random } from "../../base/random.ts";
import { randomHex } from "../../base/random.ts";
import { TydfsError } from "../../wire/errors.ts";
import { PERMISSION_BITS } from "../../wire/file.ts";
import { quotePath } from "../../wire/names.ts";
import { joinLocal, localError } from "../local_files.ts";
import { refusePartialName } from "../local_target.ts";

/** Files whose syncs are awaited together: a file system makes one of many. */
const SYNCS_MAX = 64;
/** Directories that are remembered to be synced, at most; more are synced in between. */
const DIRECTORIES_MAX = 1_024;
const OPEN_TRIES = 3;

export interface SmallWriterOptions {
  random: Random;
  /** Wait until all is on its disk. */
  sync: boolean;
}

/** What a file is like besides its bytes. */
export interface SmallFacts {
  mode: number;
  mtimeMs: number;
}

/** Hears that a file is in its place, or with what error it is not. */
export type Settle = (error: TydfsError | undefined) => void;

/** A file that is written, and not in its place yet. */
interface Written {
  path: string;
  temporary: string;
  fd: number;
  settle: Settle;
}

const syncFile = promisify(fsync);

export class SmallWriter {
  readonly #options: SmallWriterOptions;
  /** The name of the file that is being written: it is free again when that is renamed. */
  #name: string;
  #names = 0;
  /** The directory of the last file, and the modes that it gives to new files unchanged. */
  #directory = "";
  readonly #modes = new Map<number, boolean>();
  readonly #unsynced: Written[] = [];
  readonly #directories = new Set<string>();

  constructor(options: SmallWriterOptions) {
    this.#options = options;
    this.#name = temporaryName(options.random);
  }

  /**
   * Writes a file with these bytes at `path`, in place of a file or link that is there, and makes
   * the directories above it. `settle` is called once, perhaps after the return; what it hears of
   * then is `local`. A promise is to be awaited before the next file.
   */
  write(
    path: string,
    bytes: Uint8Array,
    facts: SmallFacts,
    settle: Settle,
  ): Promise<void> | undefined {
    let written: Written;
    try {
      written = { ...this.#begin(path, bytes, facts), settle };
    } catch (cause) {
      settle(localError("write", path, cause));
      return undefined;
    }
    if (!this.#options.sync) {
      this.#finish(written);
      return undefined;
    }
    this.#unsynced.push(written);
    return this.#unsynced.length < SYNCS_MAX ? undefined : this.flush();
  }

  /** Puts in their places what still waits for its sync. */
  async flush(): Promise<void> {
    const batch = this.#unsynced.splice(0);
    await Promise.all(batch.map(async (written) => {
      try {
        await syncFile(written.fd);
      } catch (cause) {
        this.#drop(written, cause);
        return;
      }
      this.#finish(written);
      this.#directories.add(dirname(written.path));
    }));
    if (this.#directories.size > DIRECTORIES_MAX) await this.syncDirectories();
  }

  /** Waits until the new names are on their disk, too. Throws `local`. */
  async syncDirectories(): Promise<void> {
    const directories = [...this.#directories];
    this.#directories.clear();
    await forEachLimited(directories, SYNCS_MAX, async (path) => {
      try {
        const handle = await open(path === "" ? "." : path, "r");
        await handle.sync().finally(() => handle.close());
      } catch (cause) {
        throw localError("write", path, cause);
      }
    });
  }

  /** Takes away what was written and is not in its place. */
  drop(): void {
    const cause = new TydfsError("interrupted", "Interrupted");
    for (const written of this.#unsynced.splice(0)) this.#drop(written, cause);
  }

  #begin(path: string, bytes: Uint8Array, facts: SmallFacts): Omit<Written, "settle"> {
    refusePartialName(basename(path));
    refuseOther(path);
    const directory = dirname(path);
    const mode = facts.mode & PERMISSION_BITS;
    const { temporary, fd } = this.#open(directory, mode);
    try {
      for (let done = 0; done < bytes.length;) {
        done += writeSync(fd, bytes, done, bytes.length - done);
      }
      if (!this.#hasMode(directory, fd, mode)) fchmodSync(fd, mode);
      // As a date, since seconds with a fraction lose a millisecond now and then.
      const modified = new Date(facts.mtimeMs);
      futimesSync(fd, modified, modified);
    } catch (error) {
      this.#drop({ path, temporary, fd, settle: () => {} }, error);
      throw error;
    }
    return { path, temporary, fd };
  }

  /** Opens a new file beside the one that it becomes. */
  #open(directory: string, mode: number): { temporary: string; fd: number } {
    const { O_WRONLY, O_CREAT, O_EXCL, O_NOFOLLOW } = constants;
    const flags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW;
    for (let tries = 1;; tries++) {
      // Those that wait for their syncs need names of their own.
      const name = this.#options.sync ? `${this.#name}${this.#number()}` : `${this.#name}0000`;
      const temporary = joinLocal(directory, name);
      try {
        return { temporary, fd: openSync(temporary, flags, mode) };
      } catch (error) {
        const { code } = error as { code?: unknown };
        if (tries >= OPEN_TRIES) throw error;
        if (code === "ENOENT") mkdirSync(directory, { recursive: true });
        else if (code === "EEXIST") this.#name = temporaryName(this.#options.random);
        else throw error;
      }
    }
  }

  #number(): string {
    this.#names = (this.#names + 1) % 0x10000;
    return this.#names.toString(16).padStart(4, "0");
  }

  /**
   * Whether new files of a mode have it: the umask takes bits away, and so may rules of the
   * directory, which is looked at once.
   */
  #hasMode(directory: string, fd: number, mode: number): boolean {
    if (directory !== this.#directory) this.#modes.clear();
    this.#directory = directory;
    let has = this.#modes.get(mode);
    if (has === undefined) {
      has = (fstatSync(fd).mode & PERMISSION_BITS) === mode;
      this.#modes.set(mode, has);
    }
    return has;
  }

  #finish({ path, temporary, fd, settle }: Written): void {
    let error: TydfsError | undefined;
    try {
      // Some file systems tell of a failed write only now: before the file is in its place.
      closeSync(fd);
      renameSync(temporary, path);
    } catch (cause) {
      error = localError("write", path, cause);
      tryUnlink(temporary);
    }
    settle(error);
  }

  #drop({ path, temporary, fd, settle }: Written, cause: unknown): void {
    try {
      closeSync(fd);
    } catch {
      // It goes with the file.
    }
    tryUnlink(temporary);
    settle(localError("write", path, cause));
  }
}

/** A device or pipe must not be replaced by a file, and a directory can't be. */
function refuseOther(path: string): void {
  const there = lstatSync(path, { throwIfNoEntry: false });
  if (there === undefined || there.isFile() || there.isSymbolicLink()) return;
  throw new TydfsError("local", `Cannot write ${quotePath(path)}: it is no regular file`);
}

/** The beginning of a name that `isPartialName` knows; four digits follow. */
function temporaryName(random: Random): string {
  return `.small.tydfs-${randomHex(random, 4)}`;
}

function tryUnlink(path: string): void {
  try {
    unlinkSync(path);
  } catch {
    // Where it can't be removed, nothing takes it for a file: see `isPartialName`.
  }
}
