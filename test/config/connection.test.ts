/** Which cluster a client joins: one table of all the ways to name it. */
import { expect, test } from "bun:test";
import { chooseConnection } from "../../src/config/connection.ts";
import type { LoadedConfig, Origin } from "../../src/config/load.ts";
import { ConfigError, loadConfig } from "../../src/config/load.ts";
import type { SavedClusters } from "../../src/config/saved.ts";

const NONE: SavedClusters = { standard: undefined, urlByName: new Map() };
const SAVED: SavedClusters = {
  standard: "home",
  urlByName: new Map([["home", "url-of-home"], ["lab", "url-of-lab"]]),
};

interface Given {
  flags?: { url?: string; cluster?: string };
  env?: Record<string, string>;
  file?: { url?: string; cluster?: string };
}

function load({ flags = {}, env = {}, file = {} }: Given): LoadedConfig {
  const loaded = loadConfig({ flags, env });
  for (const key of ["url", "cluster"] as const) {
    const written = file[key];
    if (written === undefined || loaded.origin[key].kind !== "default") continue;
    const origin: Origin = { kind: "file", text: 'file "tydfs.toml", line 1', written };
    loaded.origin[key] = origin;
    loaded.settings[key] = written;
  }
  return loaded;
}

const ALL: Given = {
  flags: { url: "flag-url", cluster: "lab" },
  env: { TYDFS_URL: "env-url", TYDFS_CLUSTER: "lab" },
  file: { url: "file-url", cluster: "lab" },
};

const TABLE: [string, Given, string, string][] = [
  ["--url is first", ALL, "flag-url", "flag --url"],
  ["--cluster comes before TYDFS_URL", { ...ALL, flags: { cluster: "home" } }, "url-of-home", ""],
  ["TYDFS_URL comes before TYDFS_CLUSTER", { ...ALL, flags: {} }, "env-url", "environment"],
  [
    "TYDFS_CLUSTER comes before the file",
    { env: { TYDFS_CLUSTER: "lab" }, file: { url: "file-url" } },
    "url-of-lab",
    "environment TYDFS_CLUSTER",
  ],
  ["the file's url comes before its cluster", { file: ALL.file ?? {} }, "file-url", "line 1"],
  ["the file's cluster", { file: { cluster: "lab" } }, "url-of-lab", 'connection "lab" (file'],
  ["the default connection is last", {}, "url-of-home", '"home" (the default one)'],
];

test.each(TABLE)("chooseConnection: %s", (_name, given, url, origin) => {
  const chosen = chooseConnection(load(given), () => SAVED);
  expect(chosen.url).toBe(url);
  expect(chosen.origin.text).toContain(origin);
});

test("chooseConnection reads what is saved only when it needs it", () => {
  const mustNot = () => {
    throw new Error("read");
  };
  expect(chooseConnection(load({ env: { TYDFS_URL: "u" } }), mustNot).url).toBe("u");
  expect(chooseConnection(load(ALL), mustNot).url).toBe("flag-url");
});

test("chooseConnection has no URL where nothing is named", () => {
  expect(chooseConnection(load({}), () => NONE).url).toBe("");
  const several = { standard: undefined, urlByName: SAVED.urlByName };
  expect(chooseConnection(load({}), () => several).url).toBe("");
});

test("chooseConnection refuses a name that is not saved, wherever it stands", () => {
  for (const given of [{ flags: { cluster: "labb" } }, { env: { TYDFS_CLUSTER: "labb" } }]) {
    const choose = () => chooseConnection(load(given), () => SAVED);
    expect(choose).toThrow(ConfigError);
    expect(choose).toThrow('did you mean "lab"?');
  }
  const flag = () => chooseConnection(load({ flags: { cluster: "x" } }), () => NONE);
  expect(flag).toThrow("save it: tydfs login URL --name x");
});

test("chooseConnection passes over the master's name where no connection is saved", () => {
  const env = { TYDFS_CLUSTER: "lab" };
  expect(chooseConnection(load({ env, file: { url: "file-url" } }), () => NONE).url)
    .toBe("file-url");
  expect(chooseConnection(load({ env }), () => NONE).url).toBe("");
});
