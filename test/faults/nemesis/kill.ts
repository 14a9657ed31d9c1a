/** `kill -9` at random moments, of one process or of many at once. */
import { randomInt } from "../../../src/base/random.ts";
import type { Random } from "../../../src/base/random.ts";
import type { Fault, Field } from "./fault.ts";
import { chooseKeeper } from "./fault.ts";

export function killMaster({ cluster }: Field): Fault | undefined {
  cluster.kill(cluster.master);
  return { what: { role: "master" } };
}

export function killKeeper(field: Field, random: Random): Fault | undefined {
  const role = chooseKeeper(field, random);
  if (role === undefined) return undefined;
  field.cluster.kill(role);
  return { what: { role: role.name } };
}

/** All keepers and the master, within a moment. */
export function killAll({ cluster }: Field): Fault | undefined {
  for (const role of cluster.roles) cluster.kill(role);
  return { what: { role: "all" } };
}

/** The nats-server; the master starts another. */
export function killNats({ cluster }: Field): Fault | undefined {
  const pid = cluster.natsPid;
  if (pid === 0) return undefined;
  process.kill(pid, "SIGKILL");
  return { what: { pid } };
}

export function killClient({ pool }: Field, random: Random): Fault | undefined {
  const number = randomInt(random, pool.size);
  return { what: { client: number, pid: pool.kill(number) } };
}

/** A keeper that stops in good order, and stays away for the fault's time. */
export function stopKeeper(field: Field, random: Random): Fault | undefined {
  const role = chooseKeeper(field, random);
  if (role === undefined) return undefined;
  const down = field.cluster.hold(role, "SIGTERM");
  const end = async () => {
    await down;
    field.cluster.release(role);
  };
  return { what: { role: role.name }, end };
}

/** A keeper that is killed, and stays away for the fault's time. */
export function loseKeeper(field: Field, random: Random): Fault | undefined {
  const role = chooseKeeper(field, random);
  if (role === undefined) return undefined;
  const down = field.cluster.hold(role);
  const end = async () => {
    await down;
    field.cluster.release(role);
  };
  return { what: { role: role.name }, end };
}
