/** A catalog as plain maps: what each step should answer and leave behind. */
import { parentPath } from "../../src/wire/names.ts";
import type { Step } from "./model_step.ts";
import { type ModelPlace, PACK_BYTES, PackModel } from "./pack_model.ts";

export interface ModelFile {
  kind: "file";
  chunks: string[];
  /** The copies that it is to have, and the label that it requires of their keepers. */
  wish: string;
  /** Of a file in a pack. */
  place?: ModelPlace;
}
export type ModelEntry = ModelFile | { kind: "directory" };

/** A file in the trash, with the number of the step that brought it there. */
interface Trashed extends ModelFile {
  path: string;
  step: number;
  replaced: boolean;
}

interface ModelUpload {
  path: string;
  exclusive: boolean;
  paused: boolean;
  /** A file was committed at its path since it was touched. */
  superseded: boolean;
  /** The number of the step that touched it last. */
  touched: number;
  chunks: Map<number, { label: string; offset: number }>;
}

export const KEEPERS = 3;
const CHUNK_BYTES = 10;
/** As after a change of the setting: offsets differ. */
const SMALL_CHUNK_BYTES = 6;
const MIN_COPIES = 2;
/** What files want that no rule was applied to. */
export const PLAIN = "3 _";

/** What a catalog should do, without its tables. */
export class Model {
  readonly paths = new Map<string, ModelEntry>([["/", { kind: "directory" }]]);
  readonly uploads = new Map<string, ModelUpload>();
  /** By label, in the order of their making: the keepers that hold each. */
  readonly chunks = new Map<string, Set<number>>();
  readonly #small = new Set<string>();
  readonly #packs = new PackModel(this);
  /** The oldest first. */
  readonly trash: Trashed[] = [];
  /** Changes of names, as `kind path` or `renamed path → path`; a directory ends in "/". */
  readonly log: string[] = [];
  /** The label of each keeper, and what the files of each chunk want together. */
  readonly labels: string[] = [];
  readonly wishes = new Map<string, Set<string>>();
  readonly removed = new Set<number>();
  readonly draining = new Set<number>();
  made = 0;
  #steps = 0;

  /** The line to say for a step, and what it should answer: a code, or `ok`. */
  take(step: Step): { line: string; verdict: string } | undefined {
    this.#steps++;
    switch (step.verb) {
      case "put": {
        const label = this.newLabel();
        const line = `put ${step.exclusive ? "-x " : ""}${step.path} ${label}`;
        const verdict = this.refuseFile(step.path, step.exclusive) ?? "ok";
        if (verdict === "ok") {
          this.chunks.set(label, this.members([0, 1]));
          this.setFile(step.path, { chunks: [label], wish: PLAIN });
          this.supersede(step.path);
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
      case "cp": {
        const line = `cp ${step.replace ? "" : "-n "}${step.path} ${step.to}`;
        return { line, verdict: this.#copy(step.path, step.to, step.replace) };
      }
      case "purge": {
        this.trash.splice(0, step.limit);
        return { line: `purge ${step.limit}`, verdict: "ok" };
      }
      case "undelete": {
        const line = `undelete ${step.replace ? "" : "-n "}${step.path} ${step.to}`;
        return { line, verdict: this.#undelete(step.path, step.to, step.replace) };
      }
      case "empty": {
        const stays = this.trash.filter(({ path }) => !isWithin(path, step.path));
        this.trash.splice(0, Infinity, ...stays);
        return { line: `empty ${step.path} 999999`, verdict: "ok" };
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
        const { path, exclusive, resume, idle } = step;
        const verdict = this.refuseFile(path, exclusive) ?? "ok";
        if (verdict === "ok") {
          const chunks = resume ? this.#takeOver(path, idle) : new Map();
          const state = { paused: false, superseded: false, touched: this.#steps };
          this.uploads.set(upload, { path, exclusive, ...state, chunks });
        }
        const flags = `${exclusive ? "-x " : ""}${resume ? "-r " : ""}${idle ? "-i " : ""}`;
        return { line: `begin ${flags}${upload} ${path}`, verdict };
      }
      case "touch": {
        const [id, upload] = this.#findUpload(step.upload);
        if (upload !== undefined) {
          upload.touched = this.#steps;
          upload.paused = false;
          upload.superseded = false;
        }
        return { line: `touch ${id}`, verdict: upload === undefined ? "not-found" : "ok" };
      }
      case "place": {
        const [id, upload] = this.#findUpload(step.upload);
        const label = this.newLabel();
        this.chunks.set(label, this.members(step.keepers));
        if (step.small) this.#small.add(label);
        const keepers = step.keepers.map((number) => `k${number}`).join(",");
        const size = this.sizeOf(label);
        const offset = step.seq * size;
        if (!step.late || upload?.chunks.has(step.seq) === false) {
          upload?.chunks.set(step.seq, { label, offset });
        }
        if (upload !== undefined && !step.late) {
          upload.touched = this.#steps;
          upload.superseded = false;
        }
        return {
          line: `place ${
            step.late ? "-l " : ""
          }${id} ${step.seq} ${offset} ${label} ${size} ${keepers}`,
          verdict: "ok",
        };
      }
      case "commit": {
        const [id, upload] = this.#findUpload(step.upload);
        const labels = Array.from(
          { length: step.chunks },
          (_, seq) => upload?.chunks.get(seq)?.label ?? "none",
        );
        const list = labels.map((label) => `${label}=${this.sizeOf(label)}`).join(",");
        return { line: `commit ${id} ${list}`, verdict: this.#commit(id, upload, labels) };
      }
      case "abort": {
        const [id, upload] = this.#findUpload(step.upload);
        if (step.keep && upload !== undefined && upload.chunks.size > 0 && !upload.superseded) {
          upload.paused = true;
        } else this.uploads.delete(id);
        return { line: `abort ${step.keep ? "-k " : ""}${id}`, verdict: "ok" };
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
        if (step.stray) listed.push(this.newLabel());
        const line = (list: string) => `inventory k${step.keeper} * ${list} last`;
        if (this.removed.has(step.keeper)) return { line: line("_"), verdict: "not-found" };
        for (const label of listed) if (!this.chunks.has(label)) this.chunks.set(label, new Set());
        for (const [label, keepers] of this.chunks) {
          if (listed.includes(label)) keepers.add(step.keeper);
          else keepers.delete(step.keeper);
        }
        const list = listed.sort().map((label) => `${label}=${this.sizeOf(label)}`).join(",");
        return { line: line(list), verdict: "ok" };
      }
      default:
        return this.#takePlacement(step);
    }
  }

  #takePlacement(step: Step): { line: string; verdict: string } | undefined {
    switch (step.verb) {
      case "relabel": {
        this.labels[step.keeper] = step.label;
        this.removed.delete(step.keeper);
        const epoch = 100 + this.made++;
        return { line: `join k${step.keeper} ${epoch} ${step.label}`, verdict: "ok" };
      }
      case "apply": {
        const entry = this.paths.get(step.path);
        const wish = `${step.goal} ${step.require}`;
        if (entry?.kind === "file") {
          entry.wish = wish;
          for (const label of entry.chunks) this.wishes.set(label, this.wishesNow(label));
        }
        return { line: `apply ${step.path} ${wish}`, verdict: "ok" };
      }
      case "drain": {
        const line = `drain k${step.keeper} ${step.on ? "" : "stop"}`.trim();
        if (this.removed.has(step.keeper)) return { line, verdict: "not-found" };
        if (step.on) this.draining.add(step.keeper);
        else this.draining.delete(step.keeper);
        return { line, verdict: "ok" };
      }
      case "remove":
        return this.#removeKeeper(step.keeper, step.force);
      default:
        return this.#packs.take(step);
    }
  }

  /** All others are alive. */
  #removeKeeper(keeper: number, force: boolean): { line: string; verdict: string } {
    const others = [...Array(KEEPERS).keys()].filter((number) => number !== keeper);
    const alive = others.map((number) => `k${number}`).join(",");
    const line = `remove ${force ? "-f " : ""}k${keeper} 1000 ${alive}`;
    if (this.removed.has(keeper)) return { line, verdict: "not-found" };
    const held = [...this.chunks].filter(([, keepers]) => keepers.has(keeper));
    // The goal is never below the number of keepers here.
    const needed = held.some(([label]) => this.refs(label) > 0);
    if (needed && !force) return { line, verdict: "conflict" };
    for (const [, keepers] of held) keepers.delete(keeper);
    this.removed.add(keeper);
    this.draining.delete(keeper);
    return { line, verdict: "ok" };
  }

  members(keepers: number[]): Set<number> {
    return new Set(keepers.filter((number) => !this.removed.has(number)));
  }

  /** How many copies of a chunk lie where they must not. */
  misplaced(label: string): number {
    const requires = this.requiresOf(label);
    const keepers = [...this.chunks.get(label) ?? []];
    return keepers.filter((k) => requires.some((require) => this.labels[k] !== require)).length;
  }

  /** The labels that the files of a chunk require, together. */
  requiresOf(label: string): string[] {
    const wishes = [...this.wishes.get(label) ?? []];
    return [...new Set(wishes.map((wish) => wish.split(" ")[1] ?? "_"))]
      .filter((require) => require !== "_");
  }

  /** What the named files of a chunk want now. */
  wishesNow(label: string): Set<string> {
    const files = [...this.paths.values()].filter((entry) => entry.kind === "file");
    return new Set(files.filter(({ chunks }) => chunks.includes(label)).map(({ wish }) => wish));
  }

  refs(label: string): number {
    const lists = [
      ...[...this.paths.values()].map((entry) => entry.kind === "file" ? entry.chunks : []),
      ...this.trash.map((file) => file.chunks),
      ...[...this.uploads.values()].map((upload) => labelsOf(upload)),
    ];
    return lists.flat().filter((one) => one === label).length;
  }

  bytesOf({ chunks, place }: ModelFile): number {
    return place?.size ?? chunks.reduce((sum, label) => sum + this.sizeOf(label), 0);
  }

  sizeOf(label: string): number {
    if (this.#packs.has(label)) return PACK_BYTES;
    return this.#small.has(label) ? SMALL_CHUNK_BYTES : CHUNK_BYTES;
  }

  newLabel(): string {
    return `c${String(this.made++).padStart(4, "0")}`;
  }

  #findUpload(name: string): [string, ModelUpload | undefined] {
    const id = [...this.uploads.keys()].findLast((key) => key.startsWith(name)) ?? `${name}-none`;
    return [id, this.uploads.get(id)];
  }

  /** The chunks of the newest upload to a path, which is closed if it is interrupted. */
  #takeOver(path: string, idle: boolean): ModelUpload["chunks"] {
    const [newest] = [...this.uploads]
      .filter(([, upload]) => upload.path === path && upload.chunks.size > 0)
      .sort(([, left], [, right]) => right.touched - left.touched);
    if (newest === undefined) return new Map();
    const [id, upload] = newest;
    if (upload.paused || idle) this.uploads.delete(id);
    const files = [...this.paths.values(), ...this.trash];
    for (const label of labelsOf(upload)) {
      const inFile = files.some((file) => "chunks" in file && file.chunks.includes(label));
      if (!inFile) this.wishes.delete(label);
    }
    return new Map(upload.chunks);
  }

  supersede(path: string): void {
    for (const [id, upload] of this.uploads) {
      if (upload.path !== path) continue;
      if (upload.paused) this.uploads.delete(id);
      else upload.superseded = true;
    }
  }

  refuseFile(path: string, exclusive: boolean): string | undefined {
    if (this.#blocked(path)) return "not-directory";
    const entry = this.paths.get(path);
    if (entry?.kind === "directory") return "is-directory";
    return entry !== undefined && exclusive ? "exists" : undefined;
  }

  /** What a file wants that is committed with these chunks: as the first of them. */
  #wishOf([label]: string[]): string {
    const [require = "_"] = label === undefined ? [] : this.requiresOf(label);
    return `3 ${require}`;
  }

  #blocked(path: string): boolean {
    for (let above = path; above !== "/";) {
      above = parentPath(above);
      if (this.paths.get(above)?.kind === "file") return true;
    }
    return false;
  }

  setFile(path: string, file: Omit<ModelFile, "kind">): void {
    this.log.push(`${this.paths.has(path) ? "replaced" : "put"} ${path}`);
    this.#discard(path, true);
    this.#makeParents(path);
    this.paths.set(path, { kind: "file", ...file });
  }

  #discard(path: string, replaced: boolean): void {
    const entry = this.paths.get(path);
    if (entry?.kind === "file") {
      this.trash.push({ ...entry, path, replaced, step: this.#steps });
    }
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
    const refused = this.refuseFile(upload.path, upload.exclusive);
    if (refused !== undefined) return refused;
    let end = 0;
    for (const [seq, label] of labels.entries()) {
      if (upload.chunks.get(seq)?.offset !== end) return "conflict";
      end += this.sizeOf(label);
    }
    const weak = labels.some((label) => (this.chunks.get(label)?.size ?? 0) < MIN_COPIES);
    if (weak) return "no-keepers";
    this.uploads.delete(id);
    this.setFile(upload.path, { chunks: labels, wish: this.#wishOf(labels) });
    this.supersede(upload.path);
    return "ok";
  }

  #copy(from: string, to: string, replace: boolean): string {
    const entry = this.paths.get(from);
    if (entry === undefined) return "not-found";
    if (entry.kind === "directory") return "is-directory";
    if (from === to) return "invalid";
    const refused = this.refuseFile(to, !replace);
    if (refused !== undefined) return refused;
    const { place, wish } = entry;
    const copied = place && { offset: place.offset, size: place.size };
    this.setFile(to, { chunks: [...entry.chunks], wish, ...(copied && { place: copied }) });
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
    this.log.push(`removed ${path}${entry.kind === "directory" ? "/" : ""}`);
    // In the order in which the trash is emptied: by time, then by age of the version.
    for (const other of [path, ...below]) this.#discard(other, false);
    return "ok";
  }

  /** The latest version of a path, or all of the latest removal below it. */
  #undelete(path: string, to: string, replace: boolean): string {
    const latest = this.trash.findLast((file) => file.path === path);
    const below = this.trash.filter((file) => file.path !== path && isWithin(file.path, path))
      .filter(({ replaced }) => !replaced);
    const step = Math.max(0, ...below.map((file) => file.step));
    const files = step > (latest?.step ?? 0)
      ? below.filter((file) => file.step === step)
      : latest === undefined
      ? []
      : [latest];
    if (files.length === 0) return "not-found";
    const bytes = ({ path }: Trashed) => Buffer.from(path);
    files.sort((left, right) => Buffer.compare(bytes(left), bytes(right)));
    const places = files.map((file) => ({
      file,
      place: to + file.path.slice(path === "/" ? 0 : path.length),
    }));
    for (const { place } of places) {
      const refused = this.refuseFile(place, !replace);
      if (refused !== undefined) return refused;
    }
    for (const { file, place } of places) {
      const { chunks, wish, place: packed } = file;
      this.setFile(place, { chunks, wish, ...(packed && { place: packed }) });
      this.#packs.join(chunks, wish);
      this.trash.splice(this.trash.indexOf(file), 1);
    }
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
    this.log.push(`renamed ${from}${entry.kind === "directory" ? "/" : ""} → ${to}`);
    const moved = [from, ...this.#below(from)]
      .map((path): [string, ModelEntry | undefined] => [path, this.paths.get(path)]);
    for (const [path] of moved) this.paths.delete(path);
    this.#discard(to, true);
    this.#makeParents(to);
    for (const [path, what] of moved) {
      if (what !== undefined) this.paths.set(to + path.slice(from.length), what);
    }
    return "ok";
  }
}

function isWithin(path: string, directory: string): boolean {
  return path === directory || path.startsWith(directory === "/" ? "/" : `${directory}/`);
}

function labelsOf(upload: ModelUpload): string[] {
  return [...upload.chunks.values()].map(({ label }) => label);
}
