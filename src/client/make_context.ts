/** What a client stands on, from its effects and settings. */
import { systemClock } from "../base/clock.ts";
import { Limiter } from "../base/limit.ts";
import { silentLog } from "../base/log.ts";
import { systemRandom } from "../base/random.ts";
import type { Bus } from "../wire/bus.ts";
import { httpTransport } from "../wire/chunk_http.ts";
import { subjectsOf } from "../wire/subjects.ts";
import type { ClientEffects, ClientSettings } from "./api.ts";
import type { ClientContext } from "./context.ts";
import { Receivers } from "./receiver/receivers.ts";
import { RecentFailures } from "./recent_failures.ts";
import type { WaitNotice } from "./trackers.ts";
import { Trackers } from "./trackers.ts";
import { BlockPool } from "./transfer.ts";

const WAIT_MS_DEFAULT = 30_000;
const PARALLEL_DEFAULT = 4;
/** Large chunks that are summed at once: hashing is faster than any disk or wire. */
const SUMS_MAX = 1;
/**
 * Files of one chunk in transfer at once: as many as a small cluster has slots for. More would not
 * come sooner, and ask again and again.
 */
const WHOLES_MAX = 16;

/** What the client of a real cluster stands on: NATS, HTTP, and the machine's clock and dice. */
export function realEffects(bus: Bus, cluster: string): ClientEffects {
  const [clock, random] = [systemClock, systemRandom];
  const receivers = new Receivers(clock);
  return { bus, subjects: subjectsOf(cluster), transport: httpTransport, receivers, clock, random };
}

/** The context of one client; reasons for waiting are told once each. */
export function makeContext(effects: ClientEffects, settings: ClientSettings): ClientContext {
  const { bus, subjects, transport, clock, random, receivers } = effects;
  const told = new Set<string>();
  const onWait = (notice: WaitNotice) => {
    if (told.has(notice.code)) return;
    told.add(notice.code);
    settings.onWait?.(notice);
  };
  return {
    transport,
    receivers,
    clock,
    random,
    trackers: new Trackers({ bus, subjects, clock, random, onWait }),
    log: settings.log ?? silentLog,
    owner: settings.owner ?? "",
    waitMs: settings.waitMs ?? WAIT_MS_DEFAULT,
    parallel: settings.parallel ?? PARALLEL_DEFAULT,
    streams: new Limiter(settings.parallel ?? PARALLEL_DEFAULT),
    sums: new Limiter(SUMS_MAX),
    wholes: new Limiter(WHOLES_MAX),
    blocks: new BlockPool(),
    failures: new RecentFailures(clock),
    onWait,
  };
}
