/**
 * A prober: somebody who asks keepers for chunks that are just being stored there. What it is given
 * must be the chunk as it will stay; a keeper may as well say that it has none.
 */
import type { Random } from "../../src/base/random.ts";
import { signTicket } from "../../src/wire/ticket.ts";
import { type Cluster, TICKET_KEY } from "./cluster.ts";
import { SimTransport } from "./transport.ts";

/** The share of PUTs that are probed, and how soon. */
const SHARE = 0.2;
const SOON_MS = 12;

/** Probes from now on; `onServed` hears what was given out. */
export function probe(
  cluster: Cluster,
  random: Random,
  onServed: (node: string, chunk: string, bytes: Uint8Array) => void,
): void {
  const prober = cluster.process("prober", "prober");
  cluster.ports.onServed = onServed;
  const transport = new SimTransport(cluster.ports, prober);
  cluster.ports.onPut = (address, chunk) => {
    if (random.next() > SHARE) return;
    prober.after(random.next() * SOON_MS, () => {
      const expiresMs = prober.clock.wallMs() + 60_000;
      const ticket = signTicket(TICKET_KEY, { op: "get", chunk, expiresMs });
      transport.whole(address, { chunk, ticket }).catch(() => {});
    });
  };
}
