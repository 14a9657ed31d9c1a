/** SIGSTOP and SIGCONT: a process that hangs, and goes on as if nothing had been. */
import type { Random } from "../../../src/base/random.ts";
import { randomInt } from "../../../src/base/random.ts";
import type { Fault, Field } from "./fault.ts";
import { chooseKeeper } from "./fault.ts";

export function pauseMaster({ cluster }: Field): Fault | undefined {
  return pause("master", cluster.master.process?.pid);
}

export function pauseKeeper(field: Field, random: Random): Fault | undefined {
  const role = chooseKeeper(field, random);
  return pause(role?.name ?? "", role?.process?.pid);
}

export function pauseNats({ cluster }: Field): Fault | undefined {
  return pause("nats-server", cluster.natsPid);
}

export function pauseClient({ pool }: Field, random: Random): Fault | undefined {
  const number = randomInt(random, pool.size);
  return pause(`client ${number}`, pool.pid(number));
}

function pause(role: string, pid: number | undefined): Fault | undefined {
  if (pid === undefined || pid === 0 || !signal(pid, "SIGSTOP")) return undefined;
  return { what: { role, pid }, end: () => void signal(pid, "SIGCONT") };
}

/** Whether the process was there. */
function signal(pid: number, name: NodeJS.Signals): boolean {
  try {
    process.kill(pid, name);
    return true;
  } catch {
    return false;
  }
}
