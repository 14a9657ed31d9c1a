/** A catalog as plain maps: what each step should answer and leave behind. */
import { parentPath } from "../../src/wire/names.ts";

interface ModelFile {
  kind: "file";
  chunks: string[];
}
export type ModelEntry = ModelFile | { kind: "directory" };

interface ModelUpload {
  path: string;
  exclusive: boolean;
  chunks: Map<number, string>;
}

export type Step =
  | { verb: "put"; path: string; exclusive: boolean }
  | { verb: "mkdir"; path: string; parents: boolean }
  | { verb: "rm"; path: string; recursive: boolean }
  | { verb: "mv"; path: string; to: string; replace: boolean }
  | { verb: "begin"; upload: string; path: string; exclusive: boolean }
  | { verb: "place"; upload: string; seq: number; keepers: number[] }
  | { verb: "commit"; upload: string; chunks: number }
  | { verb: "abort"; upload: string }
  | { verb: "purge"; limit: number }
  | { verb: "gone"; keeper: number; pick: number }
  | { verb: "forget"; pick: number }
  | { verb: "relabel"; keeper: number; label: string }
  | { verb: "apply"; path: string; require: string }
  | { verb: "inventory"; keeper: number; picks: boolean[]; stray: boolean };

export const KEEPERS = 3;
export const CHUNK_BYTES = 10;
const MIN_COPIES = 2;

/** What a catalog should do, without its tables. */
export class Model {
  readonly paths = new Map<string, ModelEntry>([["/", { kind: "directory" }]]);
  readonly uploads = new Map<string, ModelUpload>();
  /** By label, in the order of their making: the keepers that hold each. */
  readonly chunks = new Map<string, Set<number>>();
  /** The oldest first. */
  readonly trash: ModelFile[] = [];
  /** The label of each keeper, and what each chunk requires. */
  readonly labels: string[] = [];
  readonly requires = new Map<string, string>();
  made = 0;

  /** The line to say for a step, and what it should answer: a code, or `ok`. */
  take(step: Step): { line: string; verdict: string } | undefined {
    switch (step.verb) {
      case "put": {
        const label = this.#newLabel();
        const line = `put ${step.exclusive ? "-x " : ""}${step.path} ${label}`;
        const verdict = this.#refuseFile(step.path, step.exclusive) ?? "ok";
        if (verdict === "ok") {
          this.chunks.set(label, new Set([0, 1]));
          this.#setFile(step.path, [label]);
        }
        return { line, verdict };
      }
      case "mkdir": {
        const line = `mkdir ${step.parents ? "-p " : ""}${step.path}`;
        return { line, verdict: this.#makeDirectory(step.path, step.parents) };
      }
      case "rm": {
        const line = `rm ${step.recursive ? "-r " : ""}${step.path}`;
        return { line, verdict: this.#remove(step.path, step.recursive) };
      }
      case "mv": {
        const line = `mv ${step.replace ? "" : "-n "}${step.path} ${step.to}`;
        return { line, verdict: this.#rename(step.path, step.to, step.replace) };
      }
      case "purge": {
        this.trash.splice(0, step.limit);
        return { line: `purge ${step.limit}`, verdict: "ok" };
      }
      default:
        return this.#takeUpload(step);
    }
  }

  #takeUpload(step: Step): { line: string; verdict: string } | undefined {
    switch (step.verb) {
      case "begin": {
        // An id is used for one upload: ids are never used again.
        const upload = `${step.upload}${this.made++}`;
        const verdict = this.#refuseFile(step.path, step.exclusive) ?? "ok";
        if (verdict === "ok") {
          const { path, exclusive } = step;
          this.uploads.set(upload, { path, exclusive, chunks: new Map() });
        }
        return { line: `begin ${step.exclusive ? "-x " : ""}${upload} ${step.path}`, verdict };
      }
      case "place": {
        const [id, upload] = this.#findUpload(step.upload);
        const label = this.#newLabel();
        this.chunks.set(label, new Set(step.keepers));
        upload?.chunks.set(step.seq, label);
        const keepers = step.keepers.map((number) => `k${number}`).join(",");
        const offset = step.seq * CHUNK_BYTES;
        const line = `place ${id} ${step.seq} ${offset} ${label} ${CHUNK_BYTES} ${keepers}`;
        return { line, verdict: "ok" };
      }
      case "commit": {
        const [id, upload] = this.#findUpload(step.upload);
        const labels = Array.from(
          { length: step.chunks },
          (_, seq) => upload?.chunks.get(seq) ?? "none",
        );
        const list = labels.map((label) => `${label}=${CHUNK_BYTES}`).join(",");
        return { line: `commit ${id} ${list}`, verdict: this.#commit(id, upload, labels) };
      }
      case "abort": {
        const [id] = this.#findUpload(step.upload);
        this.uploads.delete(id);
        return { line: `abort ${id}`, verdict: "ok" };
      }
      default:
        return this.#takeChunk(step);
    }
  }

  #takeChunk(step: Step): { line: string; verdict: string } | undefined {
    const labels = [...this.chunks.keys()];
    switch (step.verb) {
      case "gone": {
        const label = labels[step.pick % labels.length];
        if (label === undefined) return undefined;
        this.chunks.get(label)?.delete(step.keeper);
        return { line: `gone k${step.keeper} ${label}`, verdict: "ok" };
      }
      case "forget": {
        const label = labels[step.pick % labels.length];
        if (label === undefined) return undefined;
        if (this.refs(label) === 0 && this.chunks.get(label)?.size === 0) this.chunks.delete(label);
        return { line: `forget ${label} 999999`, verdict: "ok" };
      }
      case "inventory": {
        const listed = labels.filter((_, index) => step.picks[index % step.picks.length]);
        if (step.stray) listed.push(this.#newLabel());
        for (const label of listed) if (!this.chunks.has(label)) this.chunks.set(label, new Set());
        for (const [label, keepers] of this.chunks) {
          if (listed.includes(label)) keepers.add(step.keeper);
          else keepers.delete(step.keeper);
        }
        const list = listed.sort().map((label) => `${label}=${CHUNK_BYTES}`).join(",");
        return { line: `inventory k${step.keeper} * ${list} last`, verdict: "ok" };
      }
      default:
        return this.#takePlacement(step);
    }
  }

  #takePlacement(step: Step): { line: string; verdict: string } | undefined {
    switch (step.verb) {
      case "relabel": {
        this.labels[step.keeper] = step.label;
        const epoch = 100 + this.made++;
        return { line: `join k${step.keeper} ${epoch} ${step.label}`, verdict: "ok" };
      }
      case "apply": {
        const entry = this.paths.get(step.path);
        for (const label of entry?.kind === "file" ? entry.chunks : []) {
          this.requires.set(label, step.require);
        }
        return { line: `apply ${step.path} 3 ${step.require}`, verdict: "ok" };
      }
      default:
        return undefined;
    }
  }

  /** How many copies of a chunk lie where they must not. */
  misplaced(label: string): number {
    const require = this.requires.get(label) ?? "_";
    const keepers = [...this.chunks.get(label) ?? []];
    return require === "_" ? 0 : keepers.filter((k) => this.labels[k] !== require).length;
  }

  refs(label: string): number {
    const lists = [
      ...[...this.paths.values()].map((entry) => entry.kind === "file" ? entry.chunks : []),
      ...this.trash.map((file) => file.chunks),
      ...[...this.uploads.values()].map((upload) => [...upload.chunks.values()]),
    ];
    return lists.flat().filter((one) => one === label).length;
  }

  #newLabel(): string {
    return `c${String(this.made++).padStart(4, "0")}`;
  }

  #findUpload(name: string): [string, ModelUpload | undefined] {
    const id = [...this.uploads.keys()].find((key) => key.startsWith(name)) ?? `${name}-none`;
    return [id, this.uploads.get(id)];
  }

  #refuseFile(path: string, exclusive: boolean): string | undefined {
    if (this.#blocked(path)) return "not-directory";
    const entry = this.paths.get(path);
    if (entry?.kind === "directory") return "is-directory";
    return entry !== undefined && exclusive ? "exists" : undefined;
  }

  #blocked(path: string): boolean {
    for (let above = path; above !== "/";) {
      above = parentPath(above);
      if (this.paths.get(above)?.kind === "file") return true;
    }
    return false;
  }

  #setFile(path: string, chunks: string[]): void {
    this.#discard(path);
    this.#makeParents(path);
    this.paths.set(path, { kind: "file", chunks });
  }

  #discard(path: string): void {
    const entry = this.paths.get(path);
    if (entry?.kind === "file") this.trash.push(entry);
    this.paths.delete(path);
  }

  #makeParents(path: string): void {
    for (let above = parentPath(path); above !== "/"; above = parentPath(above)) {
      this.paths.set(above, { kind: "directory" });
    }
  }

  #below(path: string): string[] {
    return [...this.paths.keys()].filter((other) => other.startsWith(path + "/"));
  }

  #commit(id: string, upload: ModelUpload | undefined, labels: string[]): string {
    if (upload === undefined) return "not-found";
    const refused = this.#refuseFile(upload.path, upload.exclusive);
    if (refused !== undefined) return refused;
    if (labels.includes("none") || upload.chunks.size !== labels.length) return "conflict";
    const weak = labels.some((label) => (this.chunks.get(label)?.size ?? 0) < MIN_COPIES);
    if (weak) return "no-keepers";
    this.uploads.delete(id);
    this.#setFile(upload.path, labels);
    return "ok";
  }

  #makeDirectory(path: string, parents: boolean): string {
    if (this.#blocked(path)) return "not-directory";
    const entry = this.paths.get(path);
    if (entry !== undefined) return parents && entry.kind === "directory" ? "ok" : "exists";
    if (!parents && !this.paths.has(parentPath(path))) return "not-found";
    this.#makeParents(path);
    this.paths.set(path, { kind: "directory" });
    return "ok";
  }

  #remove(path: string, recursive: boolean): string {
    if (path === "/") return "invalid";
    const entry = this.paths.get(path);
    if (entry === undefined) return "not-found";
    const below = this.#below(path);
    if (below.length > 0 && !recursive) return "not-empty";
    // In the order in which the trash is emptied: by time, then by age of the version.
    for (const other of [path, ...below]) this.#discard(other);
    return "ok";
  }

  #rename(from: string, to: string, replace: boolean): string {
    if (from === "/" || to === "/") return "invalid";
    const entry = this.paths.get(from);
    if (entry === undefined) return "not-found";
    if (from === to) return "ok";
    if (entry.kind === "directory" && to.startsWith(from + "/")) return "invalid";
    if (this.#blocked(to)) return "not-directory";
    const target = this.paths.get(to);
    if (target !== undefined && target.kind !== entry.kind) {
      return target.kind === "file" ? "not-directory" : "is-directory";
    }
    if (target?.kind === "directory" || (target !== undefined && !replace)) return "exists";
    const moved = [from, ...this.#below(from)]
      .map((path): [string, ModelEntry | undefined] => [path, this.paths.get(path)]);
    for (const [path] of moved) this.paths.delete(path);
    this.#discard(to);
    this.#makeParents(to);
    for (const [path, what] of moved) {
      if (what !== undefined) this.paths.set(to + path.slice(from.length), what);
    }
    return "ok";
  }
}
