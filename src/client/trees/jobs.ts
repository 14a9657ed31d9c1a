/** What is done to the entries of a tree, as jobs: into the cluster, or out of it. */
import { hasCode } from "../../wire/errors.ts";
import { PERMISSION_BITS } from "../../wire/file.ts";
import { joinPath } from "../../wire/names.ts";
import type { GetOptions, GetResult, OperationOptions, PutOptions } from "../api.ts";
import type { TydfsClient } from "../client.ts";
import type { PutBundler, SmallJob } from "../packs/bundler.ts";
import { isSmall, smallFile } from "../packs/small_file.ts";
import { GetBundler } from "./get_bundler.ts";
import type { Bundler, Job } from "./job.ts";
import { joinLocal } from "../local_files.ts";
import type { LocalWriter } from "./local_writer.ts";
import type { TreeEntry } from "./merge.ts";

/** Makes the jobs of one tree, in one direction. */
export interface JobMaker {
  /** Moves a file or a link, in place of one that is there. */
  copy(entry: TreeEntry): Job;
  /** Makes a directory; one that is there gets the entry's mode and time. */
  directory(entry: TreeEntry): Job;
  /** Gives what is there the entry's mode and time. */
  facts(entry: TreeEntry): Job;
  /**
   * Takes away what is there, if it is still of the entry's kind: tells how many entries went. One
   * directory that is not empty stays.
   */
  remove(entry: TreeEntry, options: { recursive: boolean }): Job;
}

/** Jobs that put a local tree into the cluster. */
export class RemoteJobs implements JobMaker {
  readonly #client: TydfsClient;
  readonly #local: string;
  readonly #remote: string;
  readonly #put: PutOptions;
  readonly #bundler: PutBundler | undefined;

  /**
   * The tree at `local` becomes the one at `remote`. With a bundler, which must put with the same
   * options, small files may go together.
   */
  constructor(
    client: TydfsClient,
    trees: { local: string; remote: string; put?: PutOptions; bundler?: PutBundler },
  ) {
    this.#client = client;
    this.#local = trees.local;
    this.#remote = trees.remote;
    this.#put = trees.put ?? {};
    this.#bundler = trees.bundler;
  }

  copy(entry: TreeEntry): Job {
    const { kind, sizeBytes, mtimeMs, target } = entry;
    const path = this.#path(entry);
    const from = entry.path === "" ? this.#local : joinLocal(this.#local, entry.path);
    const run: Job["run"] = (options) =>
      kind === "link"
        ? this.#client.putLink(target ?? "", path, { ...this.#put, ...options, mtimeMs })
        : this.#client.put(from, path, { ...this.#put, ...options });
    const job: Job = { kind: kind === "link" ? "link" : "file", path, from, sizeBytes, run };
    const bundler = this.#bundler;
    if (bundler === undefined || !isSmall(entry)) return job;
    const small: SmallJob = { ...job, bundler, small: smallFile({ ...entry, local: from }, path) };
    return small;
  }

  directory(entry: TreeEntry): Job {
    const path = this.#path(entry);
    const facts = factsOf(entry);
    const run: Job["run"] = async ({ signal }) => {
      const { made } = await this.#client.makeDirectory(path, { ...facts, parents: true, signal });
      if (!made && path !== "/") await this.#client.set(path, facts, { signal });
    };
    return { kind: "directory", path, from: "", sizeBytes: 0, run };
  }

  facts(entry: TreeEntry): Job {
    const path = this.#path(entry);
    // The mode of a link says that it is one.
    const facts = entry.kind === "link" ? { mtimeMs: entry.mtimeMs } : factsOf(entry);
    const run: Job["run"] = ({ signal }) => this.#client.set(path, facts, { signal });
    return { kind: "facts", path, from: "", sizeBytes: 0, run };
  }

  remove(entry: TreeEntry, { recursive }: { recursive: boolean }): Job {
    const path = this.#path(entry);
    const run: Job["run"] = async ({ signal }) => {
      try {
        const { entry: there } = await this.#client.stat(path, { signal });
        if ((there.kind === "directory") !== (entry.kind === "directory")) return 0;
        const { files, directories } = await this.#client.remove(path, { recursive, signal });
        return files + directories;
      } catch (error) {
        if (hasCode(error, "not-found", "not-empty")) return 0;
        throw error;
      }
    };
    return { kind: "remove", path, from: "", sizeBytes: 0, run };
  }

  #path(entry: TreeEntry): string {
    return entry.path === "" ? this.#remote : joinPath(this.#remote, entry.path);
  }
}

/** A local symbolic link that was made. */
export interface MadeLink {
  local: string;
  target: string;
}

/** Jobs that get a tree out of the cluster. */
export class LocalJobs implements JobMaker {
  readonly #client: TydfsClient;
  readonly #writer: LocalWriter;
  readonly #remoteOf: (path: string) => string;
  readonly #get: GetOptions;
  readonly #bundler: Bundler;

  /** The files that `remoteOf` names, by their paths below the writer's root. */
  constructor(
    client: TydfsClient,
    trees: { writer: LocalWriter; remoteOf: (path: string) => string; get?: GetOptions },
  ) {
    this.#client = client;
    this.#writer = trees.writer;
    this.#remoteOf = trees.remoteOf;
    this.#get = trees.get ?? {};
    this.#bundler = new GetBundler(client, { writer: trees.writer, get: this.#get });
  }

  copy(entry: TreeEntry): Job {
    const { path, kind, sizeBytes, mtimeMs } = entry;
    const from = this.#remoteOf(path);
    const comesTogether = kind === "file" && isSmall(entry);
    const run = async (options: OperationOptions): Promise<MadeLink | GetResult> => {
      if (kind === "link") {
        const target = await this.#client.readLink(from, options);
        return { local: await this.#writer.makeLink(path, target, mtimeMs), target };
      }
      const local = this.#writer.prepareFile(path);
      const known = { exact: true, sizeBytes };
      return await this.#client.get(from, local, { ...this.#get, ...options, ...known });
    };
    const job = { path: this.#writer.place(path), from, sizeBytes, run };
    const bundler = comesTogether ? { bundler: this.#bundler } : {};
    return { ...job, kind: kind === "link" ? "link" : "file", ...bundler };
  }

  directory({ path }: TreeEntry): Job {
    const run: Job["run"] = async () => void await this.#writer.makeDirectory(path);
    return { kind: "directory", path: this.#writer.place(path), from: "", sizeBytes: 0, run };
  }

  facts(entry: TreeEntry): Job {
    const { path } = entry;
    const run: Job["run"] = () => this.#writer.setFacts(path, factsOf(entry));
    return { kind: "facts", path: this.#writer.place(path), from: "", sizeBytes: 0, run };
  }

  /** Only ever one entry: below a local directory may be what nobody has looked at. */
  remove({ path, kind }: TreeEntry): Job {
    const run: Job["run"] = async () => {
      try {
        return await this.#writer.remove(path, kind) ? 1 : 0;
      } catch (error) {
        if (hasCode(error, "not-empty")) return 0;
        throw error;
      }
    };
    return { kind: "remove", path: this.#writer.place(path), from: "", sizeBytes: 0, run };
  }
}

/** Mode and time of an entry. */
export function factsOf({ mode, mtimeMs }: TreeEntry): { mode: number; mtimeMs: number } {
  return { mode: mode & PERMISSION_BITS, mtimeMs };
}
