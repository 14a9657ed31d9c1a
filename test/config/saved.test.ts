/** Saved connections: what is written is read back, by its user only, and no secret is shown. */
import { afterEach, beforeEach, expect, test } from "bun:test";
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ConfigError } from "../../src/config/load.ts";
import {
  maskUrl,
  parseSavedName,
  readSaved,
  savedPath,
  writeSaved,
} from "../../src/config/saved.ts";

let home = "";
let path = "";

beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), "tydfs-saved-"));
  path = savedPath({ XDG_CONFIG_HOME: join(home, "config") }) ?? "";
});
afterEach(() => rmSync(home, { recursive: true, force: true }));

const URL = "tydfs://client:s3cret@10.0.0.7:4222/lab";

test("writeSaved is read back, from a file and directory that are its user's", () => {
  writeSaved(path, { standard: "home", urlByName: new Map([["home", URL], ["b.c-d", "x"]]) });
  const { standard, urlByName } = readSaved(path);
  expect(standard).toBe("home");
  expect([...urlByName]).toEqual([["home", URL], ["b.c-d", "x"]]);
  expect(statSync(path).mode & 0o777).toBe(0o600);
  expect(statSync(join(home, "config/tydfs")).mode & 0o777).toBe(0o700);
  expect(readdirSync(join(home, "config/tydfs"))).toEqual(["clusters.toml"]);
});

test("writeSaved closes a file that was open to others", () => {
  writeSaved(path, { standard: undefined, urlByName: new Map() });
  writeFileSync(path, "", { mode: 0o644 });
  writeSaved(path, { standard: undefined, urlByName: new Map([["a", URL]]) });
  expect(statSync(path).mode & 0o777).toBe(0o600);
  expect(readFileSync(path, "utf8")).toContain(URL);
});

test("readSaved has nothing without a file, and without a home", () => {
  expect(readSaved(path).urlByName.size).toBe(0);
  expect(readSaved(undefined).standard).toBeUndefined();
  expect(savedPath({})).toBeUndefined();
});

test("readSaved takes no default that is not there", () => {
  writeSaved(path, { standard: "gone", urlByName: new Map([["a", URL]]) });
  expect(readSaved(path).standard).toBeUndefined();
});

test.each(["default = ", "clusters = 3", "[clusters.a]\nname = 1", "[clusters]\na = 'x'"])(
  "readSaved refuses %j, and names the file",
  (text) => {
    writeSaved(path, { standard: undefined, urlByName: new Map() });
    writeFileSync(path, text);
    expect(() => readSaved(path)).toThrow(ConfigError);
    expect(() => readSaved(path)).toThrow("clusters.toml");
  },
);

test("parseSavedName takes plain names only", () => {
  for (const name of ["home", "b.c-d_1", "x".repeat(63)]) expect(parseSavedName(name)).toBe(name);
  for (const name of ["", "-a", "a b", "a/b", "x".repeat(64), "ü", '"']) {
    expect(() => parseSavedName(name)).toThrow(ConfigError);
  }
});

test("maskUrl hides the secret, whatever is in it", () => {
  expect(maskUrl(URL)).toBe("tydfs://client:***@10.0.0.7:4222/lab");
  expect(maskUrl("tydfs://client:a@b:c@host")).toBe("tydfs://client:***@host");
  expect(maskUrl("nats://user:pw@h:1")).toBe("nats://user:***@h:1");
  expect(maskUrl("nats://h:1")).toBe("nats://h:1");
  expect(maskUrl("30s")).toBe("30s");
});
