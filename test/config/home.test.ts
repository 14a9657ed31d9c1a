/** Where a user's own files lie. */
import { expect, test } from "bun:test";
import { configHome, stateHome } from "../../src/config/home.ts";

const CASES: [Record<string, string>, string | undefined, string | undefined][] = [
  [{ HOME: "/home/ann" }, "/home/ann/.config/tydfs", "/home/ann/.local/state/tydfs"],
  [{ HOME: "/h", XDG_CONFIG_HOME: "/c", XDG_STATE_HOME: "/s" }, "/c/tydfs", "/s/tydfs"],
  [{ HOME: "/h", XDG_CONFIG_HOME: "relative" }, "/h/.config/tydfs", "/h/.local/state/tydfs"],
  [{}, undefined, undefined],
];

test.each(CASES)("configHome and stateHome of %j", (env, config, state) => {
  expect(configHome(env)).toBe(config);
  expect(stateHome(env)).toBe(state);
});
