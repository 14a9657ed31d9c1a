/**
 * The rest after a round: waits, within bounds, until the cluster says that it is whole and the
 * catalog's and the disks' leftovers are gone. Copies that were spoiled are for the scrubs to find,
 * what nothing needs for the inventories; that all is well then is for the checker to say.
 */
import { Database } from "bun:sqlite";
import { join } from "node:path";
import type { ClusterStatus } from "../../src/wire/cluster.ts";
import type { ClientPool } from "./client_pool.ts";
import type { ChaosCluster } from "./cluster.ts";
import type { EventLog } from "./event_log.ts";
import type { Field } from "./nemesis/fault.ts";
import { chunkNames, isWhole } from "./nemesis/spoil.ts";
import { Violation } from "./violation.ts";

/** How long a cluster may take to come to rest. */
export const SETTLE_MS = 150_000;
const POLL_MS = 500;
/**
 * Looks in a row that must find nothing: a scrub may just have put a copy aside, and not have told
 * the master of it yet.
 */
const RESTFUL_LOOKS = 2;
const ASK_MS = 8_000;
/** Failpoints of what is done when nothing is to be repaired. */
const RESTING = "master.compact.";
/**
 * What a pack needs for its names is no waste. No entry of a manifest of the workload takes more;
 * and the second is for those of empty files that are gone, but share the place of one that is not.
 */
const ENTRY_BYTES = 200;
const NAMES_BYTES = 8_192;

/** Waits until the cluster is at rest. Throws a violation that names what is not. */
export async function settle(field: Field, log: EventLog, withinMs = SETTLE_MS): Promise<void> {
  const { cluster, pool } = field;
  reviveAll(cluster);
  const startMs = performance.now();
  let looks = 0;
  for (;;) {
    const passedMs = performance.now() - startMs;
    const status = await statusOf(pool);
    const unrest = status === undefined ? ["no status"] : unrestOf(field, status);
    looks = unrest.length === 0 ? looks + 1 : 0;
    if (looks >= RESTFUL_LOOKS) return void log.note("settled", { afterMs: Math.round(passedMs) });
    if (passedMs > withinMs) {
      const words = `the cluster is not at rest ${withinMs / 1000} s after the last fault`;
      throw new Violation("I3", words, unrest);
    }
    await Bun.sleep(POLL_MS);
  }
}

/** The cluster's own word; undefined when nobody answers. */
export async function statusOf(pool: ClientPool): Promise<ClusterStatus | undefined> {
  const order = { id: pool.nextId(), kind: "status", path: "/", timeoutMs: ASK_MS } as const;
  const outcome = await pool.ask(0, order);
  return "gone" in outcome || !outcome.ok ? undefined : outcome.value as ClusterStatus;
}

/** All run, and none of them has a failpoint any more but one that belongs to the rest. */
function reviveAll(cluster: ChaosCluster): void {
  for (const role of cluster.roles) {
    if (role.held) cluster.release(role);
    if (role.armed !== "" && !role.armed.startsWith(RESTING)) cluster.kill(role);
  }
}

/** What keeps the cluster from being at rest, in words. */
function unrestOf(field: Field, status: ClusterStatus): string[] {
  const { cluster } = field;
  const unrest: string[] = [];
  const byName = new Map(status.keepers.map((keeper) => [keeper.name, keeper]));
  for (const { name } of cluster.keepers) {
    const keeper = byName.get(name);
    if (keeper?.state !== "ALIVE") unrest.push(`${name} is ${keeper?.state ?? "unknown"}`);
    const inUse = keeper?.ports.reduce((sum, port) => sum + port.inUse, 0) ?? 0;
    if (inUse > 0) unrest.push(`${inUse} slots are in use on ${name}`);
  }
  const { under, lost, misplaced = 0 } = status.chunks;
  const { running, queued } = status.repairs;
  const counts = { under, lost, misplaced, running, queued };
  for (const [what, count] of Object.entries(counts)) {
    if (count > 0) unrest.push(`${count} ${what}`);
  }
  if (unrest.length > 0) return unrest;
  return [...unrestOfCatalog(cluster), ...unrestOfDisks(field)];
}

function unrestOfCatalog(cluster: ChaosCluster): string[] {
  const path = join(cluster.master.dir, "catalog.db");
  const live = cluster.keepers.map(({ name }) => `'${name}'`).join(", ");
  const copies = `(SELECT count(*) FROM replica r JOIN keeper k ON k.number = r.keeper
    WHERE r.chunk = c.no AND k.name IN (${live}))`;
  const goal = `min(c.goal, ${cluster.keepers.length})`;
  return query(path, [
    ["files in the trash", "SELECT count(*) AS n FROM trash"],
    ["uploads", "SELECT count(*) AS n FROM upload"],
    [
      "sparse packs",
      `SELECT count(*) AS n FROM chunk WHERE packed = 1 AND refs > 0 AND live < filled / 2
       AND 2 * (live + ${ENTRY_BYTES} * (SELECT count(*) FROM (
         SELECT DISTINCT chunk_offset, length FROM extent WHERE chunk = no))) + ${NAMES_BYTES} < size`,
    ],
    [
      "parted packs",
      "SELECT count(*) AS n FROM chunk WHERE packed = 1 AND refs > 0 AND parted > 0",
    ],
    ["orphans", `SELECT count(*) AS n FROM chunk c WHERE c.refs = 0 AND ${copies} > 0`],
    [
      "chunks off goal",
      `SELECT count(*) AS n FROM chunk c WHERE c.refs > 0 AND ${copies} <> ${goal}`,
    ],
  ]);
}

function query(path: string, questions: readonly [string, string][]): string[] {
  const database = new Database(path, { readonly: true });
  try {
    database.run("PRAGMA busy_timeout = 5000");
    return questions.flatMap(([what, sql]) => {
      const { n } = database.query(sql).get() as { n: number };
      return n > 0 ? [`${n} ${what}`] : [];
    });
  } finally {
    database.close();
  }
}

/** The copies that the catalog knows: chunk and keeper. */
function knownCopies(cluster: ChaosCluster): Set<string> {
  const database = new Database(join(cluster.master.dir, "catalog.db"), { readonly: true });
  const rows = database.query(`SELECT c.id || ' ' || k.name AS copy FROM replica r
    JOIN chunk c ON c.no = r.chunk JOIN keeper k ON k.number = r.keeper`).all();
  database.close();
  return new Set((rows as { copy: string }[]).map(({ copy }) => copy));
}

/** Files that nothing needs, and spoiled copies that are still there. */
function unrestOfDisks(field: Field): string[] {
  const known = knownCopies(field.cluster);
  const unrest = field.cluster.keepers.flatMap(({ name, dir }) => {
    const strays = chunkNames(dir).filter((chunk) => !known.has(`${chunk.slice(-32)} ${name}`));
    return strays.length === 0 ? [] : [`stray chunks on ${name}: ${strays.slice(0, 3)}`];
  });
  for (const path of field.spoiled.keys()) if (!isSpoiled(path)) field.spoiled.delete(path);
  if (field.spoiled.size > 0) unrest.push(`spoiled copies: ${[...field.spoiled.keys()]}`);
  return unrest;
}

function isSpoiled(path: string): boolean {
  return Bun.file(path).size > 0 && !isWhole(path);
}
