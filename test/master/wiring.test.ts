/** What the master's threads share at their start. */
import { expect, test } from "bun:test";
import { systemClock } from "../../src/base/clock.ts";
import { untilHeard } from "../../src/master/wiring.ts";
import { FakeBus } from "./fake_bus.ts";

test("untilHeard bears a NATS server that goes away while a thread starts", async () => {
  const bus = new FakeBus(systemClock);
  let tries = 0;
  bus.flush = () => {
    return ++tries < 3 ? Promise.reject(new Error("connection disconnected")) : Promise.resolve();
  };
  await untilHeard(bus);
  expect(tries).toBe(3);
});
