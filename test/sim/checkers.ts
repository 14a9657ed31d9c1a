/**
 * What must hold in a simulated cluster: at every moment, when a put is acknowledged, and when all
 * is quiet. They look at the catalog's file and at the drives themselves, not at what the parts say
 * of themselves.
 */
import type { Database } from "bun:sqlite";
import { checkCatalog } from "../../src/catalog/check.ts";
import { openCatalogForReading } from "../../src/catalog/open.ts";
import { portRow } from "../../src/tables/port_table.ts";
import { JournalPiece, parseArchiveName } from "../../src/wire/archive.ts";
import { decode } from "../../src/wire/codec.ts";
import { FrameReader } from "../../src/wire/journal_frame.ts";
import { sumsOf } from "../../src/wire/sums.ts";
import type { Cluster } from "./cluster.ts";
import type { Inode } from "./drive.ts";
import type { KeeperNode } from "./keeper_node.ts";
import type { MasterNode } from "./master_node.ts";

interface ReplicaRow {
  id: string;
  size: number;
  sums: Uint8Array;
  refs: number;
  goal: number;
  copies: number;
  keeper: string;
}

const ID_CHARS = 32;
const REPLICAS = `SELECT c.id, c.size, c.sums, c.refs, c.goal, c.copies, k.id AS keeper
  FROM replica r JOIN chunk c ON c.no = r.chunk JOIN keeper k ON k.number = r.keeper`;
const SHORT = "SELECT id FROM chunk WHERE refs > 0 AND copies = 0";
const OF_VERSION = `${REPLICAS} JOIN extent e ON e.chunk = c.no JOIN inode i ON i.id = e.inode
  WHERE i.version = ?`;
const IS_VERSION = `SELECT version FROM inode WHERE version = ?1
  UNION SELECT version FROM committed WHERE version = ?1`;
const ON_RECORD = `SELECT c.refs, c.orphaned_ms AS orphanedMs FROM replica r
  JOIN chunk c ON c.no = r.chunk JOIN keeper k ON k.number = r.keeper WHERE c.id = ? AND k.id = ?`;
const OF_CHUNK = `${REPLICAS} WHERE c.id = ?`;
/**
 * More than half of a pack is dead, even when its manifest and more for each name counts as alive:
 * nothing excuses that for ever.
 */
const SPARSE = `SELECT 'sparse pack ' || id AS what FROM chunk WHERE packed = 1 AND refs > 0
  AND (live + (size - filled) + 100 * refs) * 2 < size`;
/** A chunk that several files have as a whole may be torn for ever. */
const MISPLACED = `SELECT 'misplaced chunk ' || id AS what FROM chunk
  WHERE refs > 0 AND misplaced > 0 AND (packed = 1 OR parted = 0)`;
const LEFTOVERS = `SELECT 'upload ' || id AS what FROM upload
  UNION ALL SELECT 'trash ' || path FROM trash
  UNION ALL SELECT 'emptying of ' || name FROM keeper WHERE draining = 1
  UNION ALL ${SPARSE}
  UNION ALL SELECT 'parted pack ' || id FROM chunk WHERE packed = 1 AND refs > 0 AND parted > 0
  UNION ALL ${MISPLACED}`;

export interface CheckedParts {
  cluster: Cluster;
  master: MasterNode;
  keepers: readonly KeeperNode[];
  catalogPath: string;
}

export class Checkers {
  readonly #parts: CheckedParts;
  #database: Database;
  /** Sums of files' bytes: those never change in place. */
  readonly #sums = new WeakMap<Uint8Array, string>();

  constructor(parts: CheckedParts) {
    this.#parts = parts;
    this.#database = openCatalogForReading(parts.catalogPath);
    parts.master.onCatalog = (path) => {
      this.#database.close();
      this.#database = openCatalogForReading(path);
    };
    for (const keeper of parts.keepers) {
      keeper.drive.onRemove = (path) => this.#removed(keeper, path);
    }
  }

  close(): void {
    this.#database.close();
  }

  /** Every replica on record is on its keeper's disk, whole and durable; nothing is lost. */
  always(): void {
    const { cluster } = this.#parts;
    const good = new Set<string>();
    const rows = this.#rows(REPLICAS).filter(({ refs }) => refs > 0);
    for (const row of rows) {
      const keeper = this.#keeperOf(row.keeper);
      const state = this.#stateOf(row);
      if (state !== "bad") good.add(row.id);
      // A disk that could not be read has had its copies put aside, which is reported later; and
      // what was recovered lacks what nobody waited for, until the inventories come.
      else if (keeper?.hadReadErrors !== true && !cluster.wiped) {
        cluster.violate(`a replica on record is not on the disk: ${row.id} at ${keeper?.name}`);
      }
    }
    for (const { id } of rows) {
      if (!good.has(id)) cluster.violate(`chunk ${id} is in use and has no good copy`);
    }
    for (const { id } of this.#database.query<{ id: string }, []>(SHORT).all()) {
      cluster.violate(`chunk ${id} is in use and has no copy on record`);
    }
  }

  /** A put was acknowledged: its chunks are on `min_copies` disks. */
  acknowledged(version: number): void {
    const { cluster } = this.#parts;
    if (this.#database.query(IS_VERSION).get(version) === null) {
      cluster.violate(`version ${version} was acknowledged, and is not in the catalog`);
    }
    if (cluster.calm) this.#archived(version);
    this.#countCopies(this.#rows(OF_VERSION, version), "a put was acknowledged");
  }

  /** Files were moved into a pack: it is as durable as if they had been put, and all adds up. */
  moved(pack: string): void {
    this.#countCopies(this.#rows(OF_CHUNK, pack), "files were moved");
    this.catalog();
  }

  /** Demands `min_copies` durable copies of each chunk of these rows. */
  #countCopies(rows: readonly ReplicaRow[], what: string): void {
    const { cluster, keepers } = this.#parts;
    const copies = new Map<string, number>();
    for (const row of rows) {
      const isGood = this.#stateOf(row) !== "bad";
      copies.set(row.id, (copies.get(row.id) ?? 0) + (isGood ? 1 : 0));
    }
    for (const [id, found] of copies) {
      // Its answer may have come late: a copy that was damaged since may have left the record. So
      // may one that somebody asked for before it had landed, until its keeper reports it anew.
      const [known] = rows.filter((row) => row.id === id);
      const offRecord = keepers.filter(({ id: keeper, drive }) => {
        if (known === undefined || keeper === undefined) return false;
        if (rows.some((row) => row.id === id && row.keeper === keeper)) return false;
        return drive.damaged.has(pathOf(id)) || this.#stateOf({ ...known, keeper }) !== "bad";
      });
      const count = found + offRecord.length;
      if (count >= cluster.settings.min_copies) continue;
      cluster.violate(`${what} with ${count} durable copies of chunk ${id}`);
    }
  }

  /** The operation that made a version lies durably in the archives of `journal_copies` keepers. */
  #archived(version: number): void {
    const { cluster, keepers } = this.#parts;
    const holders = keepers.filter(({ drive }) =>
      drive.walk("archive").some((path) => holdsOperation(drive.find(path), path, version))
    );
    if (holders.length >= cluster.settings.journal_copies) return;
    cluster.violate(`version ${version} was acknowledged with ${holders.length} archives of it`);
  }

  /** A keeper gave out a chunk: it is the file of that name, and no other. */
  served(node: string, id: string, bytes: Uint8Array): void {
    const keeper = this.#parts.keepers.find(({ name }) => name === node);
    const there = keeper?.drive.find(pathOf(id))?.bytes;
    if (there !== undefined && Buffer.compare(there, bytes) === 0) return;
    this.#parts.cluster.violate(`${node} gives out chunk ${id}, which it does not have like that`);
  }

  /**
   * A keeper removes a file: no chunk that is on record there and that was in use a moment ago. (A
   * copy too many leaves the record first.)
   */
  #removed(keeper: KeeperNode, path: string): void {
    const { cluster, master } = this.#parts;
    const chunk = path.slice(path.lastIndexOf("/") + 1);
    if (chunk.length !== ID_CHARS || keeper.drive.damaged.has(path) || cluster.clocksJumped) return;
    const row = this.#database.query<{ refs: number; orphanedMs: number | null }, string[]>(
      ON_RECORD,
    ).get(chunk, keeper.id ?? "");
    const nowMs = master.process?.clock.wallMs() ?? 0;
    const isDue = (row?.orphanedMs ?? 0) <= nowMs - cluster.settings.grace;
    if (row === null || (row.refs === 0 && isDue)) return;
    cluster.violate(`${keeper.name} removes chunk ${chunk} before the grace has passed`);
  }

  /** Every invariant of the catalog. */
  catalog(): void {
    for (const problem of checkCatalog(this.#database)) {
      this.#parts.cluster.violate(`the catalog is broken: ${problem}`);
    }
  }

  /** What is still to be done before all is quiet; empty: nothing. */
  unrest(): string[] {
    const { keepers, master } = this.#parts;
    return [
      ...master.process?.alive === true ? [] : ["the master is down"],
      ...master.recovering ? ["the master recovers"] : [],
      ...keepers.filter(({ running }) => !running).map(({ name }) => `${name} is down`),
      ...this.#replicaUnrest(),
      ...this.#diskUnrest(),
      ...this.#slotUnrest(),
      ...this.#database.query<{ what: string }, []>(LEFTOVERS).all().map(({ what }) => what),
    ];
  }

  #replicaUnrest(): string[] {
    const rows = this.#rows(REPLICAS);
    const goalMax = this.#parts.keepers.length;
    return rows.flatMap((row) => {
      const { id, refs, goal, copies, keeper } = row;
      if (refs === 0) return [`orphan ${id} is on record at ${this.#keeperOf(keeper)?.name}`];
      if (copies !== Math.min(goal, goalMax)) return [`${id} has ${copies} of ${goal} copies`];
      // Damaged bytes have been found and replaced by now; a sidecar's need not have been.
      const isWhole = this.#keeperOf(keeper)?.hasBytes(id, this.#isRight(row)) === true;
      return isWhole && this.#stateOf(row) !== "bad" ? [] : [`${id} is bad at ${keeper}`];
    });
  }

  /** Files on the keepers' disks that nobody needs. */
  #diskUnrest(): string[] {
    const known = new Set(this.#rows(REPLICAS).map(({ id, keeper }) => `${keeper}/${id}`));
    return this.#parts.keepers.flatMap(({ name, id, drive }) => [
      ...drive.walk("tmp").map((path) => `${name} has the temporary file ${path}`),
      ...drive.walk("chunks").filter((path) => {
        const chunk = path.slice(path.lastIndexOf("/") + 1).slice(0, ID_CHARS);
        const place = path.replace(/\.json$/, "");
        const isDamaged = drive.damaged.has(place) || drive.damaged.has(`${place}.json`);
        return !known.has(`${id}/${chunk}`) && !isDamaged;
      }).map((path) => `${name} has the file ${path} that is on no record`),
    ]);
  }

  #slotUnrest(): string[] {
    const { keepers, master, cluster } = this.#parts;
    const { tables } = master;
    if (tables === undefined) return ["the master has no tables"];
    const nowMs = cluster.time.nowMs;
    const taken = keepers.flatMap(({ ports }, number) =>
      [0, 1].map((index) => tables.ports.inUse(portRow(number, index), nowMs))
        .filter((inUse) => inUse > 0).map((inUse) => `row ${number}: ${inUse} slots are in use`)
        .concat(
          [0, 1].flatMap((row) => row < (ports === undefined ? 0 : 1) ? ports?.held(row) ?? [] : [])
            .map((grant) => `a keeper holds grant ${grant}`),
        )
    );
    const states = keepers.map((_, number) => tables.keepers.find(number)?.state);
    return [
      ...taken,
      ...states.filter((state) => state !== "ALIVE").map((s) => `a keeper is ${s}`),
    ];
  }

  #rows(sql: string, ...values: (number | string)[]): ReplicaRow[] {
    return this.#database.query<ReplicaRow, (number | string)[]>(sql).all(...values);
  }

  #keeperOf(id: string): KeeperNode | undefined {
    return this.#parts.keepers.find((keeper) => keeper.id === id);
  }

  #stateOf(row: ReplicaRow): "good" | "damaged" | "bad" {
    return this.#keeperOf(row.keeper)?.holds(row.id, this.#isRight(row)) ?? "bad";
  }

  #isRight({ size, sums }: ReplicaRow): (bytes: Uint8Array) => boolean {
    const wanted = sums.toHex();
    return (bytes) => bytes.length === size && this.#sumsOf(bytes) === wanted;
  }

  #sumsOf(bytes: Uint8Array): string {
    const known = this.#sums.get(bytes) ?? sumsOf(bytes).toHex();
    this.#sums.set(bytes, known);
    return known;
  }
}

function pathOf(chunk: string): string {
  return `chunks/${chunk.slice(0, 2)}/${chunk.slice(2, 4)}/${chunk}`;
}

/** Whether a file of an archive that survives a power loss has this operation. */
function holdsOperation(inode: Inode | undefined, path: string, sequence: number): boolean {
  const bytes = inode?.durable;
  if (bytes === undefined || path.endsWith(".tmp")) return false;
  const file = parseArchiveName(path.slice(path.lastIndexOf("/") + 1));
  if (file.kind === "snapshot") return file.sequence >= sequence;
  return [...new FrameReader().read(bytes)].some((payload) => {
    const { from, to } = decode(JournalPiece, payload, "a piece of the journal");
    return from <= sequence && sequence <= to;
  });
}
