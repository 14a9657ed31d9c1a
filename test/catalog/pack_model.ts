/** Packs as plain maps, for `Model`: what their lines should answer and leave behind. */
import { type ModelFile, PLAIN } from "./model.ts";
import type { Step } from "./model_step.ts";

export const PACK_BYTES = 20;
const MIN_COPIES = 2;

/** Where a file lies in its pack, and what tells it from its copies: what made it, and as which. */
export interface ModelPlace {
  offset: number;
  size: number;
  made?: string;
}

export type PackStep =
  | { verb: "pack"; keepers: number[] }
  | {
    verb: "fill";
    pick: number;
    exclusive: boolean;
    files: { path: string; size: number }[];
  }
  /** Moves what lies in `froms`; with `some` only who wants what the file of that number does. */
  | { verb: "squeeze"; pick: number; froms: number[]; some: number | undefined; limit: number }
  | { verb: "settle"; pick: number };

/** What of the whole model is needed here. */
export interface PackHost {
  readonly paths: Map<string, ModelFile | { kind: "directory" }>;
  readonly trash: (ModelFile & { path: string })[];
  readonly chunks: Map<string, Set<number>>;
  readonly wishes: Map<string, Set<string>>;
  wishesNow(label: string): Set<string>;
  refs(label: string): number;
  newLabel(): string;
  members(keepers: number[]): Set<number>;
  refuseFile(path: string, exclusive: boolean): string | undefined;
  setFile(path: string, file: Omit<ModelFile, "kind">): void;
  supersede(path: string): void;
}

interface Move {
  from: string;
  offset: number;
  size: number;
  to: number;
}

export class PackModel {
  readonly #host: PackHost;
  readonly #packs: string[] = [];
  readonly #committed = new Set<string>();

  constructor(host: PackHost) {
    this.#host = host;
  }

  has(label: string): boolean {
    return this.#packs.includes(label);
  }

  take(step: Step): { line: string; verdict: string } | undefined {
    switch (step.verb) {
      case "pack": {
        const label = this.#host.newLabel();
        this.#packs.push(label);
        this.#host.chunks.set(label, this.#host.members(step.keepers));
        const keepers = step.keepers.map((number) => `k${number}`).join(",");
        return { line: `packed ${label} ${PACK_BYTES} ${keepers}`, verdict: "ok" };
      }
      case "fill": {
        const pack = this.#pick(step.pick);
        if (pack === undefined) return undefined;
        const list = step.files.map(({ path, size }) => `${path}=${size}`).join(",");
        const line = `fill ${step.exclusive ? "-x " : ""}${pack} ${list}`;
        return { line, verdict: this.#fill(pack, step.files, step.exclusive) };
      }
      case "squeeze": {
        const pack = this.#pick(step.pick);
        if (pack === undefined) return undefined;
        const froms = new Set(step.froms.map((pick) => this.#pick(pick) ?? pack));
        froms.delete(pack);
        const moves = this.#planMoves([...froms]);
        const words = moves.map(({ from, offset, size, to }) => `${from}@${offset}+${size}>${to}`);
        const files = this.#files();
        const wish = step.some === undefined ? undefined : files[step.some % files.length]?.wish;
        const list = words.join(",") || "none@0+1>0";
        const line = `squeeze -l${step.limit} ${pack} ${list} ${wish ?? ""}`.trim();
        return { line, verdict: this.#move(pack, moves, wish) };
      }
      case "settle": {
        const pack = this.#pick(step.pick);
        if (pack === undefined) return undefined;
        const now = this.#host.wishesNow(pack);
        const wishes = this.#host.wishes.get(pack);
        if (this.#host.refs(pack) > 0 && now.size > 0) this.#host.wishes.set(pack, now);
        else if (this.#host.refs(pack) > 0 && wishes !== undefined) this.#unite(pack, wishes);
        return { line: `settle ${pack}`, verdict: "ok" };
      }
      default:
        return undefined;
    }
  }

  /** A file has come into packs, with what it wants. */
  join(labels: readonly string[], wish: string): void {
    for (const label of labels) {
      if (this.has(label)) this.wishesOf(label).add(wish);
    }
  }

  /** What the files of a pack want together, as it is held. */
  wishesOf(label: string): Set<string> {
    const wishes = this.#host.wishes.get(label) ?? new Set([PLAIN]);
    this.#host.wishes.set(label, wishes);
    return wishes;
  }

  /** Of a pack of trash alone one wish is left, as it is held. */
  #unite(pack: string, wishes: Set<string>): void {
    const goals = [...wishes].map((wish) => Number(wish.split(" ")[0]));
    const requires = [...wishes].map((wish) => wish.split(" ")[1]);
    const require = requires.findLast((word) => word !== "_") ?? "_";
    this.#host.wishes.set(pack, new Set([`${Math.max(...goals)} ${require}`]));
  }

  /** One of the newest packs. */
  #pick(pick: number): string | undefined {
    const known = this.#packs.filter((label) => this.#host.chunks.has(label));
    return known.at(-1 - pick % Math.min(4, Math.max(1, known.length)));
  }

  #fill(pack: string, files: { path: string; size: number }[], exclusive: boolean): string {
    const again = this.#committed.has(pack);
    if (!again && this.#weak(pack)) return "no-keepers";
    const fresh = this.#host.refs(pack) === 0;
    const seen = new Set<string>();
    let offset = 0;
    const codes = files.map(({ path, size }) => {
      const place = { offset, size, made: size === 0 ? pack : `${pack} ${path.length}` };
      offset += size;
      if (seen.has(path)) return "conflict";
      seen.add(path);
      if (again) return this.#isMade(path, place) ? "made" : "conflict";
      const refused = this.#host.refuseFile(path, exclusive);
      if (refused !== undefined) return refused;
      this.#host.setFile(path, { chunks: [pack], wish: PLAIN, place });
      this.#host.supersede(path);
      return "made";
    });
    this.#committed.add(pack);
    if (!again && fresh && codes.includes("made")) this.#host.wishes.set(pack, new Set([PLAIN]));
    return ["filled", ...codes].join(" ");
  }

  #isMade(path: string, { size, made }: ModelPlace): boolean {
    const here = this.#host.paths.get(path);
    const files = this.#host.trash.filter((file) => file.path === path);
    return [...(here?.kind === "file" ? [here] : []), ...files]
      .some(({ place }) => place?.size === size && place.made === made);
  }

  #weak(pack: string): boolean {
    return (this.#host.chunks.get(pack)?.size ?? 0) < MIN_COPIES;
  }

  #files(): ModelFile[] {
    const named = [...this.#host.paths.values()].filter((entry) => entry.kind === "file");
    return [...named, ...this.#host.trash];
  }

  /** What lies in these packs, one behind the other, as far as there is room. */
  #planMoves(froms: string[]): Move[] {
    let to = 0;
    return froms.flatMap((from) => {
      const places = this.#files().filter(({ chunks, place }) => chunks[0] === from && place)
        .map(({ place }) => `${place?.offset} ${place?.size}`);
      return [...new Set(places)].map((text) => text.split(" ").map(Number))
        .sort(([a = 0, c = 0], [b = 0, d = 0]) => a - b || c - d)
        .flatMap(([offset = 0, size = 0]) => {
          if (to + size > PACK_BYTES) return [];
          to += size;
          return [{ from, offset, size, to: to - size }];
        });
    });
  }

  #move(pack: string, moves: Move[], wish: string | undefined): string {
    if (this.#weak(pack)) return "no-keepers";
    const fresh = this.#host.refs(pack) === 0;
    const wishes = fresh ? new Set<string>() : this.wishesOf(pack);
    const named = new Set<ModelFile | { kind: "directory" }>(this.#host.paths.values());
    const moved = new Set<ModelFile>();
    let source: string | undefined;
    for (const { from, offset, size, to } of moves) {
      for (const file of this.#files()) {
        const { place, chunks } = file;
        if (chunks[0] !== from || place?.offset !== offset || place.size > size) continue;
        if (wish !== undefined && file.wish !== wish) continue;
        source ??= from;
        file.chunks = [pack];
        file.place = { ...place, offset: to };
        moved.add(file);
        if (named.has(file)) wishes.add(file.wish);
      }
    }
    if (source === undefined) return "0 moved";
    this.#committed.add(pack);
    const isTrash = wishes.size === 0;
    this.#host.wishes.set(pack, isTrash ? new Set(this.wishesOf(source)) : wishes);
    return `${moved.size} moved`;
  }
}
