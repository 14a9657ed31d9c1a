/**
 * Reads all sidecars of a keeper's data directory into the book, those of copies that were put
 * aside too. It only reads, so that a directory may be mounted read-only; and it never stops at
 * what can't be read.
 */
import { forEachLimited } from "../base/limit.ts";
import type { Disk } from "../chunks/disk.ts";
import { walkShelves } from "../chunks/inventory.ts";
import { CHUNKS, QUARANTINE, READY_FILE, SIDECAR_ENDING } from "../chunks/places.ts";
import type { ChunkFacts } from "../chunks/sidecar.ts";
import { parseSidecar } from "../chunks/sidecar.ts";
import { TydfsError } from "../wire/errors.ts";
import { isId } from "../wire/ids.ts";
import { quotePath } from "../wire/names.ts";
import { listPack } from "./pack_list.ts";
import type { VersionBook } from "./versions.ts";

/** A keeper's data directory. */
export interface Source {
  /** As the user named it. */
  directory: string;
  disk: Disk;
  /** Copies that were put aside, by chunk; the keeper found something wrong with each. */
  aside: Map<string, string[]>;
}

export interface SurveyOptions {
  book: VersionBook;
  /** Only files at this path or below it. */
  under: string;
  signal: AbortSignal;
  /** Told now and then how many sidecars were read. */
  onProgress: (sidecars: number) => void;
}

/** What the directories hold besides what went into the book. */
export interface SurveyCounts {
  sidecars: number;
  /** Sidecars and directories that can't be read, or are none. */
  unreadable: number;
  /** Chunks that don't say of which file they are a part; of packs the manifest says it. */
  nameless: number;
  /** Chunks without a sidecar. */
  bare: number;
}

const READS_AT_ONCE = 16;
/** Chunks without an origin that are looked at for a manifest; there should be none. */
const NAMELESS_MAX = 100_000;

/** Opens a directory. Throws `usage` when it is no keeper's. */
export function openSource(directory: string, disk: Disk): Source {
  if (!hasChunks(disk)) {
    const state = `there is no directory "${CHUNKS}" in it; name a keeper's data directory`;
    throw new TydfsError("usage", `Cannot rescue from ${quotePath(directory)}: ${state}`);
  }
  return { directory, disk, aside: new Map() };
}

function hasChunks(disk: Disk): boolean {
  try {
    return disk.sizeOf(CHUNKS) !== undefined;
  } catch (error) {
    // A file, as a pattern of the shell's may name one.
    if (error instanceof Error && "code" in error && error.code === "ENOTDIR") return false;
    throw error;
  }
}

/** Whether a keeper seems to run on a directory: one that was killed leaves its mark, too. */
export function seemsInUse({ disk }: Source): boolean {
  return disk.sizeOf(READY_FILE) !== undefined;
}

/** Reads the directories one after the other. */
export async function survey(
  sources: readonly Source[],
  options: SurveyOptions,
): Promise<SurveyCounts> {
  const counts = { sidecars: 0, unreadable: 0, nameless: 0, bare: 0 };
  const readers = sources.map((source, home) => new SidecarReader(source, home, options, counts));
  for (const reader of readers) {
    const { source } = reader;
    const disk = forgiving(source.disk, counts);
    for await (const { path, names } of walkShelves(disk, "")) {
      await reader.readShelf(path, names, (name) => name);
    }
    // Named "ID.MARK" there.
    const names = await disk.list(QUARANTINE);
    await reader.readShelf(QUARANTINE, names, (name) => name.slice(0, 32));
  }
  // Last, when all sidecars are known: any of them tells more.
  for (const reader of readers) await reader.readNameless();
  return counts;
}

/** A disk on which directories that can't be read are empty, and counted. */
function forgiving(disk: Disk, counts: SurveyCounts): Disk {
  return {
    ...disk,
    list: (path) =>
      disk.list(path).catch(() => {
        counts.unreadable++;
        return [];
      }),
  };
}

class SidecarReader {
  readonly source: Source;
  readonly #home: number;
  /** Sidecars without an origin, whose chunks are there. */
  readonly #nameless: { path: string; id: string }[] = [];
  readonly #options: SurveyOptions;
  readonly #counts: SurveyCounts;

  constructor(source: Source, home: number, options: SurveyOptions, counts: SurveyCounts) {
    this.source = source;
    this.#home = home;
    this.#options = options;
    this.#counts = counts;
  }

  /** Reads the sidecars of a directory; `idOf` tells of which chunk a file is a copy. */
  async readShelf(path: string, names: string[], idOf: (name: string) => string): Promise<void> {
    this.#options.signal.throwIfAborted();
    const present = new Set(names);
    const copies = names.filter((name) => !name.endsWith(SIDECAR_ENDING) && isId(idOf(name)));
    if (path === QUARANTINE) {
      for (const name of copies) {
        const aside = this.source.aside.get(idOf(name)) ?? [];
        this.source.aside.set(idOf(name), [...aside, `${path}/${name}`]);
      }
    } else {
      this.#counts.bare += copies.filter((name) => !present.has(name + SIDECAR_ENDING)).length;
    }
    const sidecars = names.filter((name) => name.endsWith(SIDECAR_ENDING));
    await forEachLimited(sidecars, READS_AT_ONCE, async (name) => {
      const beside = name.slice(0, -SIDECAR_ENDING.length);
      if (isId(idOf(beside))) {
        await this.#read(`${path}/${name}`, idOf(beside), present.has(beside));
      }
    });
    this.#options.onProgress(this.#counts.sidecars);
  }

  async #read(path: string, id: string, present: boolean): Promise<void> {
    const { book, under } = this.#options;
    this.#counts.sidecars++;
    try {
      const bytes = await this.source.disk.read(path);
      if (bytes === undefined) return;
      const facts = parseSidecar(id, bytes);
      if (facts.origin?.packed === true) return await this.#readPack(path, bytes, facts, present);
      const file = facts.origin?.path;
      if (file !== undefined && !isUnder(file, under)) return;
      if (book.add(facts, this.#home, present)) return;
      this.#counts.nameless++;
      if (present && this.#nameless.length < NAMELESS_MAX) this.#nameless.push({ path, id });
    } catch {
      // Other copies have sidecars, too: what is missing in the end is told by the plan.
      this.#counts.unreadable++;
    }
  }

  /**
   * Looks for packs among chunks without an origin, as a copy has none whose source could not tell
   * it: the names are in their bytes.
   */
  async readNameless(): Promise<void> {
    await forEachLimited(this.#nameless, READS_AT_ONCE, async ({ path, id }) => {
      this.#options.signal.throwIfAborted();
      try {
        const bytes = await this.source.disk.read(path);
        if (bytes === undefined) return;
        await this.#readPack(path, bytes, parseSidecar(id, bytes), true);
        this.#counts.nameless--;
      } catch {
        // It is no pack, or its end is damaged: it stays without a name.
      }
    });
  }

  async #readPack(
    path: string,
    sidecar: Uint8Array,
    facts: ChunkFacts,
    present: boolean,
  ): Promise<void> {
    const { book, under } = this.#options;
    if (!book.wantsPack(facts.chunk, present)) return;
    const { disk } = this.source;
    const beside = path.slice(0, -SIDECAR_ENDING.length);
    const files = await listPack({ disk, path: beside, facts, sidecar });
    book.addPack(facts, files.filter((file) => isUnder(file.path, under)), this.#home, present);
  }
}

/** Whether a path is `under` or lies below it. */
function isUnder(path: string, under: string): boolean {
  return under === "/" || path === under || path.startsWith(`${under}/`);
}
