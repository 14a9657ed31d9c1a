/** What a cluster must come to when it is left alone after a fault, whatever the fault was. */
import { readdirSync } from "node:fs";
import { basename, join } from "node:path";
import type { TydfsClient } from "../../src/client/client.ts";
import { type TestCluster, until } from "../cluster/harness.ts";

/** Two seconds is the promise; the rest is for looking, on a machine that is busy. */
const FREED_MS = 4_000;
const SETTLED_MS = 40_000;

/** Waits until no stream is in use. */
export async function untilFree(client: TydfsClient): Promise<void> {
  const free = async () => {
    const { keepers } = await client.status();
    return keepers.flatMap(({ ports }) => ports).every(({ inUse }) => inUse === 0);
  };
  await until("the slots are free", free, FREED_MS);
}

/**
 * Waits until all chunks are at their goal and the disks of `keepers` hold exactly what the files
 * need: nothing missing, no orphan, no draft. All keepers must run.
 */
export async function untilSettled(
  cluster: TestCluster,
  client: TydfsClient,
  keepers: readonly number[],
): Promise<void> {
  let differing = "";
  const settled = async () => {
    const { chunks, repairs } = await client.status();
    if (chunks.under + chunks.lost + repairs.running + repairs.queued > 0) {
      differing = JSON.stringify({ chunks, repairs });
      return false;
    }
    differing = await compare(cluster, client, keepers);
    return differing === "";
  };
  await until("the disks hold what the files need", settled, SETTLED_MS).catch((error: Error) => {
    throw new Error(`${error.message}: ${differing}`);
  });
}

/** What is on the disks and not in the catalog, or the reverse; drafts too. Empty: nothing. */
async function compare(
  cluster: TestCluster,
  client: TydfsClient,
  keepers: readonly number[],
): Promise<string> {
  const names = new Map((await client.status()).keepers.map(({ id, name }) => [id, name]));
  const wanted = new Set<string>();
  for await (const { path, kind } of client.list("/", { recursive: true })) {
    if (kind !== "file") continue;
    for (const { id, holders } of (await client.stat(path, { locations: true })).chunks) {
      for (const { keeper } of holders) wanted.add(`${names.get(keeper) ?? keeper}:${id}`);
    }
  }
  const there = new Set<string>();
  const drafts: string[] = [];
  for (const k of keepers) {
    for (const path of cluster.replicas(k)) there.add(`keeper-${k}:${basename(path)}`);
    const incoming = join(cluster.keeperDir(k), "tmp");
    drafts.push(...readdirSync(incoming));
  }
  const missing = [...wanted].filter((replica) => !there.has(replica));
  const unknown = [...there].filter((replica) => !wanted.has(replica));
  const found = { missing, unknown, drafts };
  return missing.length + unknown.length + drafts.length === 0 ? "" : JSON.stringify(found);
}
