/** A cluster's names in memory, as far as a watch sees them: who was sent what, and how often. */
import { readFileSync, statSync } from "node:fs";
import { TydfsError } from "../../../src/wire/errors.ts";
import type { Entry } from "../../../src/wire/file.ts";
import { LINK_MODE } from "../../../src/wire/file.ts";
import { baseName, parentPath } from "../../../src/wire/names.ts";
import { fileChecksum, sumsOf } from "../../../src/wire/sums.ts";
import { compareBytes, keyOf } from "../../../src/client/trees/merge.ts";
import type { PutResult, StatResult } from "../../../src/client/client.ts";
import type { PackedOutcome, SmallFile } from "../../../src/client/packs/small_file.ts";
import type { WatchClient } from "../../../src/client/watch/remote_side.ts";

interface FakeEntry {
  kind: "file" | "directory";
  bytes: Uint8Array;
  mode: number;
  mtimeMs: number;
  version: number;
}

export class FakeRemote implements WatchClient {
  readonly entries = new Map<string, FakeEntry>();
  /** The calls that change something, `put /a`, in order. */
  readonly calls: string[] = [];
  /** Called before each call with its name and path; what it throws is thrown. */
  before: (name: string, path: string) => void | Promise<void> = () => {};
  /** Called when a put has read its source. */
  onRead: (local: string) => void = () => {};
  /** Files that came together, each time. */
  readonly packed: number[] = [];
  #version = 0;

  async put(local: string, remote: string): Promise<PutResult> {
    await this.#begin("put", remote);
    const facts = statSync(local);
    const bytes = new Uint8Array(readFileSync(local));
    this.onRead(local);
    return this.#store(remote, bytes, facts.mode & 0o777, Math.trunc(facts.mtimeMs));
  }

  async putLink(
    target: string,
    remote: string,
    options: { mtimeMs?: number } = {},
  ): Promise<PutResult> {
    await this.#begin("putLink", remote);
    return this.#store(remote, Buffer.from(target), LINK_MODE, options.mtimeMs ?? 0);
  }

  /** Puts those that can be put, as single puts do; all others are left. */
  async putPacked(files: readonly SmallFile[]): Promise<PackedOutcome[]> {
    this.packed.push(files.length);
    const outcomes: PackedOutcome[] = [];
    for (const { path, local, mtimeMs, target } of files) {
      const put = target === undefined
        ? this.put(local, path)
        : this.putLink(target, path, { mtimeMs });
      outcomes.push(await put.catch(() => undefined));
    }
    return outcomes;
  }

  async rename(from: string, to: string): Promise<string> {
    await this.#begin("rename", `${from} ${to}`);
    if (this.entries.get(to)?.kind === "directory") return this.rename(from, `${to}/x`);
    const moved = [...this.entries].filter(([path]) =>
      path === from || path.startsWith(`${from}/`)
    );
    if (moved.length === 0) throw new TydfsError("not-found", `Cannot move ${from}`);
    this.#parents(to);
    for (const [path, entry] of moved) {
      this.entries.delete(path);
      this.entries.set(to + path.slice(from.length), entry);
    }
    return to;
  }

  async remove(remote: string): Promise<{ files: number; directories: number }> {
    await this.#begin("remove", remote);
    this.#must(remote);
    if ([...this.entries.keys()].some((path) => path.startsWith(`${remote}/`))) {
      throw new TydfsError("not-empty", `Cannot remove ${remote}`);
    }
    this.entries.delete(remote);
    return { files: 1, directories: 0 };
  }

  async makeDirectory(
    remote: string,
    options: { mode?: number } = {},
  ): Promise<{ path: string; made: boolean }> {
    await this.#begin("make", remote);
    const there = this.entries.get(remote);
    if (there?.kind === "file") throw new TydfsError("exists", `Cannot make ${remote}`);
    if (there !== undefined) return { path: remote, made: false };
    this.#parents(remote);
    this.#directory(remote, options.mode ?? 0o755);
    return { path: remote, made: true };
  }

  async set(remote: string, facts: { mode?: number; mtimeMs?: number }): Promise<void> {
    await this.#begin("set", remote);
    Object.assign(this.#must(remote), facts);
  }

  async stat(remote: string): Promise<StatResult> {
    await this.before("stat", remote);
    const entry = remote === "/" ? this.#root() : this.#entry(remote, this.#must(remote));
    return { entry, checksum: entry.checksum, replicas: 3, chunks: [] };
  }

  async *list(remote: string): AsyncGenerator<Entry> {
    await this.before("list", remote);
    if (remote !== "/") this.#must(remote);
    const prefix = remote === "/" ? "/" : `${remote}/`;
    const below = [...this.entries].filter(([path]) => path.startsWith(prefix));
    yield* below.map(([path, entry]) => this.#entry(path, entry))
      .sort((left, right) => compareBytes(keyOf(left), keyOf(right)));
  }

  /** All paths below `root`, directories with a slash, and the text of the files. */
  tree(root: string): Record<string, string> {
    const prefix = `${root}/`;
    return Object.fromEntries(
      [...this.entries].filter(([path]) => path.startsWith(prefix)).sort().map(([path, entry]) => {
        const name = path.slice(prefix.length);
        return entry.kind === "directory"
          ? [`${name}/`, ""]
          : [name, Buffer.from(entry.bytes).toString()];
      }),
    );
  }

  async #begin(name: string, path: string): Promise<void> {
    this.calls.push(`${name} ${path}`);
    await this.before(name, path.split(" ")[0] ?? "");
  }

  #store(path: string, bytes: Uint8Array, mode: number, mtimeMs: number): PutResult {
    this.#parents(path);
    if (this.entries.get(path)?.kind === "directory") {
      throw new TydfsError("is-directory", `Cannot put ${path}: a directory is there`);
    }
    const version = ++this.#version;
    this.entries.set(path, { kind: "file", bytes, mode, mtimeMs, version });
    const { checksum } = this.#entry(path, this.#must(path));
    const facts = {
      sizeBytes: bytes.length,
      checksum,
      copies: 2,
      goal: 3,
      elapsedMs: 1,
      resumedBytes: 0,
    };
    return { path, version, ...facts };
  }

  #parents(path: string): void {
    const parent = parentPath(path);
    if (parent === "/") return;
    const there = this.entries.get(parent);
    if (there?.kind === "file") {
      throw new TydfsError("not-directory", `Cannot use ${path}: ${baseName(parent)} is a file`);
    }
    if (there !== undefined) return;
    this.#parents(parent);
    this.#directory(parent, 0o755);
  }

  #directory(path: string, mode: number): void {
    const bytes = new Uint8Array();
    this.entries.set(path, { kind: "directory", bytes, mode, mtimeMs: 0, version: 0 });
  }

  #must(path: string): FakeEntry {
    const entry = this.entries.get(path);
    if (entry === undefined) throw new TydfsError("not-found", `Cannot find ${path}`);
    return entry;
  }

  #root(): Entry {
    const facts = { size: 0, version: 0, mtimeMs: 0, mode: 0o755, owner: "", checksum: "" };
    return { path: "/", kind: "directory", ...facts, updating: false };
  }

  #entry(path: string, entry: FakeEntry): Entry {
    const { kind, bytes, mode, mtimeMs, version } = entry;
    const checksum = kind === "directory" ? "" : fileChecksum([sumsOf(bytes)]);
    const facts = { size: bytes.length, version, mtimeMs, mode, owner: "ann", checksum };
    return { path, kind, ...facts, updating: false };
  }
}
