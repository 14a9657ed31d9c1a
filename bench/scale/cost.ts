/** What an operation costs: CPU and time of this process, a batch at a time. */

/** The cost of one operation, in microseconds. */
export interface Cost {
  cpuUs: number;
  wallUs: number;
}

export interface CostOptions {
  /** Operations in one batch; the median of the batches counts. */
  batch: number;
  /** Batches of which the cost is taken; one more, before them, is not counted. */
  batches?: number;
}

/**
 * Runs `operation` in batches and returns the median cost of one. On a machine that others use too
 * the CPU says more than the time.
 */
export async function costOf(
  operation: (n: number) => unknown,
  { batch, batches = 7 }: CostOptions,
): Promise<Cost> {
  const costs: Cost[] = [];
  for (let round = 0; round <= batches; round++) {
    const taken = await takeCost(async () => {
      for (let n = 0; n < batch; n++) await operation(round * batch + n);
    });
    if (round > 0) costs.push({ cpuUs: taken.cpuUs / batch, wallUs: taken.wallUs / batch });
  }
  const middle = (key: keyof Cost) =>
    costs.map((cost) => cost[key]).sort((left, right) => left - right)[costs.length >> 1] ?? NaN;
  return { cpuUs: middle("cpuUs"), wallUs: middle("wallUs") };
}

/** The cost of one run of `task`. */
export async function takeCost(task: () => unknown): Promise<Cost> {
  const cpu = process.cpuUsage();
  const startMs = performance.now();
  await task();
  const { user, system } = process.cpuUsage(cpu);
  return { cpuUs: user + system, wallUs: (performance.now() - startMs) * 1_000 };
}
