/** Lines that are cut, cut one way, reset, or narrow: nftables and tc in the hosts' namespaces. */
import type { Random } from "../../../src/base/random.ts";
import { randomInt } from "../../../src/base/random.ts";
import type { Host } from "../hosts.ts";
import type { Fault, Field } from "./fault.ts";
import { choose } from "./fault.ts";

let rules = 0;

/** One host hears none of the others, nor they it. */
export function isolate(field: Field, random: Random): Fault | undefined {
  const host = choose(random, hostsOf(field));
  if (host === undefined) return undefined;
  const others = hostsOf(field).filter((other) => other !== host);
  return block(field, host, others, "drop", "in and out");
}

/** One host hears nothing of another, which hears it. */
export function cutOneWay(field: Field, random: Random): Fault | undefined {
  const [host, other] = pair(field, random);
  return host && other && block(field, host, [other], "drop", "in");
}

/** What one host sends to another is answered by a reset. */
export function reset(field: Field, random: Random): Fault | undefined {
  const [host, other] = pair(field, random);
  return host && other && block(field, host, [other], "reject with tcp reset", "in");
}

/** What a host sends passes a narrow line. */
export function narrow(field: Field, random: Random): Fault | undefined {
  const host = choose(random, hostsOf(field));
  const { hosts } = field.cluster.options;
  if (host === undefined || hosts.run(host, ["tc", "qdisc"]).includes("tbf")) return undefined;
  const megabits = 2 + randomInt(random, 60);
  const shape = ["tbf", "rate", `${megabits}mbit`, "burst", "64kb", "latency", "400ms"];
  hosts.run(host, ["tc", "qdisc", "add", "dev", "eth0", "root", ...shape]);
  const end = () => void hosts.run(host, ["tc", "qdisc", "del", "dev", "eth0", "root"]);
  return { what: { host: host.name, megabits }, end };
}

function hostsOf({ cluster }: Field): Host[] {
  return [cluster.client, ...new Set(cluster.roles.map(({ host }) => host))];
}

function pair(field: Field, random: Random): [Host?, Host?] {
  const host = choose(random, hostsOf(field));
  const other = choose(random, hostsOf(field).filter((each) => each !== host));
  return host === undefined || other === undefined ? [] : [host, other];
}

function block(
  { cluster }: Field,
  host: Host,
  others: readonly Host[],
  verdict: string,
  way: "in" | "in and out",
): Fault {
  const { hosts } = cluster.options;
  const table = `fault${++rules}`;
  const addresses = others.map(({ address }) => address).join(", ");
  const match = verdict === "drop" ? "" : "meta l4proto tcp ";
  const hooks = way === "in" ? ["input"] : ["input", "output"];
  const chains = hooks.map((hook) => {
    const side = hook === "input" ? "saddr" : "daddr";
    return `chain ${hook} { type filter hook ${hook} priority 0\n ` +
      `ip ${side} { ${addresses} } ${match}${verdict}\n }\n`;
  });
  hosts.run(host, ["nft", `table ip ${table} {\n ${chains.join("")} }`]);
  const what = { host: host.name, others: others.map(({ name }) => name), verdict, way };
  return { what, end: () => void hosts.run(host, ["nft", `delete table ip ${table}`]) };
}
