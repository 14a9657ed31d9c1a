/**
 * A keeper's disk that is lost while the keeper is down: all its chunks, or the whole directory, so
 * that another keeper comes back in its place. Only done to a cluster that is at its goal.
 */
import { readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import type { Random } from "../../../src/base/random.ts";
import type { Fault, Field } from "./fault.ts";
import { chooseKeeper } from "./fault.ts";

/** All chunks of a keeper are gone, its name is not. */
export async function loseChunks(field: Field, random: Random): Promise<Fault | undefined> {
  const role = chooseKeeper(field, random);
  if (role === undefined) return undefined;
  await field.cluster.hold(role);
  rmSync(join(role.dir, "chunks"), { recursive: true, force: true });
  field.cluster.release(role);
  return { what: { role: role.name } };
}

/** A keeper's directory is empty: it comes back as another, and the old one never does. */
export async function loseDirectory(field: Field, random: Random): Promise<Fault | undefined> {
  const { cluster } = field;
  const role = chooseKeeper(field, random);
  if (role === undefined) return undefined;
  await cluster.hold(role);
  for (const name of readdirSync(role.dir)) {
    rmSync(join(role.dir, name), { recursive: true, force: true });
  }
  const successor = cluster.replaceKeeper(role);
  return { what: { role: role.name, successor: successor.name } };
}
