/** Stats of single paths: those that come while others are under way are asked for together. */
import { Gatherer } from "../base/gatherer.ts";
import { fileStat } from "../wire/file.ts";
import type { Stat } from "../wire/stat_many.ts";
import { fileStatMany, STAT_MANY_MAX } from "../wire/stat_many.ts";
import type { OperationOptions } from "./api.ts";
import type { ClientContext } from "./context.ts";
import { signalOf } from "./context.ts";

/** So many are asked for by themselves at once. */
const ALONE_MAX = 4;

interface SingleStat {
  path: string;
  signal: AbortSignal;
}

export class SingleStats {
  readonly #gatherer: Gatherer<SingleStat, Stat>;

  constructor({ trackers }: ClientContext) {
    const repeatable = true;
    this.#gatherer = new Gatherer<SingleStat, Stat>({
      aloneMax: ALONE_MAX,
      itemsMax: STAT_MANY_MAX,
      mayJoin: () => true,
      alone: ({ path, signal }) => trackers.ask(fileStat, { path }, { signal, repeatable }),
      together: async (items) => {
        const paths = items.map(({ path }) => path);
        const options = { signal: signalOf({}), repeatable };
        const { stats } = await trackers.ask(fileStatMany, { paths }, options);
        return stats.map((stat) => stat ?? undefined);
      },
    });
  }

  /** What is known of `path`, which is in its one form. Throws what `file.stat` does. */
  stat(path: string, options: OperationOptions): Promise<Stat> {
    const signal = signalOf(options);
    return this.#gatherer.run({ path, signal }, signal);
  }
}
