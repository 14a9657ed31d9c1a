/** A keeper that is started on a directory which another one has: it must be refused. */
import type { Random } from "../../../src/base/random.ts";
import type { Fault, Field } from "./fault.ts";
import { choose, chooseKeeper } from "./fault.ts";
import { Violation } from "../violation.ts";
import { PATH } from "../hosts.ts";
import { SETTINGS } from "../cluster.ts";

const REFUSED_MS = 20_000;
const WATCH_MS = 20;
/** How long the owner may still be on its way to being refused. */
const AFTERMATH_MS = 5_000;

export async function startTwice(field: Field, random: Random): Promise<Fault | undefined> {
  const { cluster } = field;
  const owner = chooseKeeper(field, random);
  if (owner === undefined) return undefined;
  const life = owner.process;
  const { binary, hosts, dir } = cluster.options;
  const other = choose(random, cluster.keepers.filter((each) => each !== owner));
  const host = other?.host ?? owner.host;
  const args = ["keeper", "--data", owner.dir, "--name", "impostor", "--port", "0"];
  const env = { ...process.env, ...SETTINGS, PATH, TYDFS_URL: cluster.keeperUrl };
  const child = Bun.spawn([...hosts.enter(host), binary, ...args, "--host", host.address], {
    ...{ cwd: dir, env, stdin: "ignore", stdout: "ignore", stderr: "pipe" },
  });
  // When the owner dies meanwhile, the directory is free to be taken, and the owner is refused.
  owner.contested = true;
  const giveUpMs = performance.now() + REFUSED_MS;
  const watch = setInterval(() => {
    if (owner.process !== life || performance.now() > giveUpMs) child.kill("SIGKILL");
  }, WATCH_MS);
  const said = await new Response(child.stderr).text();
  const exit = await child.exited;
  clearInterval(watch);
  const isTaken = life !== undefined && owner.process === life;
  setTimeout(() => owner.contested = false, isTaken ? 0 : AFTERMATH_MS);
  if (isTaken && !(exit > 0 && said.includes("another keeper runs on it"))) {
    const words = `a second keeper on the directory of "${owner.name}" was not refused`;
    cluster.options.onViolation(new Violation("I16", words, [`exit ${exit}`, said]));
  }
  return { what: { role: owner.name, exit, isTaken } };
}
