/** Waiting for what goes on in the cluster. */
import { expect, test } from "bun:test";
import type { ClientSession } from "../../src/cli/session.ts";
import { waitShowing } from "../../src/cli/wait_line.ts";
import { FakeOutput } from "./fake_output.ts";

function session(signal: AbortSignal, quiet = false) {
  const output = new FakeOutput();
  const connected = { output, signal, json: false, quiet } as unknown as ClientSession;
  return { output, connected };
}

test("waitShowing returns what it has seen last", async () => {
  const { connected, output } = session(new AbortController().signal);
  const look = () => Promise.resolve({ value: 7, line: "seven", isOver: true });
  expect(await waitShowing(connected, look, "It goes on")).toBe(7);
  expect(output.messages).not.toContain("tydfs: It goes on");
});

test.each([false, true])(
  "waitShowing says that only the waiting was ended (quiet: %p)",
  async (quiet) => {
    const control = new AbortController();
    const { connected, output } = session(control.signal, quiet);
    const waiting = waitShowing(connected, () => {
      queueMicrotask(() => control.abort(new Error("Interrupted")));
      return Promise.resolve({ value: 7, line: "seven", isOver: false });
    }, "It goes on");
    expect(waiting).rejects.toThrow("Interrupted");
    await waiting.catch(() => {});
    expect(output.messages.includes("tydfs: It goes on")).toBe(!quiet);
  },
);
