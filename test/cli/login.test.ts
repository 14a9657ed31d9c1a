/** `login`, `logout` and `config show`: what they save, print and hide; nobody is connected to. */
import { afterEach, beforeEach, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { runCli } from "../../src/cli/program.ts";
import { readSaved, savedPath } from "../../src/config/saved.ts";
import { FakeOutput } from "./fake_output.ts";

const URL = "tydfs://client:s3cret@127.0.0.1:1/lab";

let home = "";
beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), "tydfs-login-"));
});
afterEach(() => rmSync(home, { recursive: true, force: true }));

async function run(words: string[], env: Record<string, string> = {}) {
  const output = new FakeOutput();
  const status = await runCli(words, { HOME: home, ...env }, output);
  return { status, lines: output.lines.join("\n"), messages: output.messages.join("\n") };
}

async function logIn(name: string, ...flags: string[]) {
  return await run(["login", URL, "--name", name, "--no-check", ...flags]);
}

test("login saves a connection, the first as the default, and shows no secret", async () => {
  const first = await logIn("home");
  expect(first).toMatchObject({ status: 0, messages: "" });
  expect(first.lines).toBe(
    'saved "home" · tydfs://client:***@127.0.0.1:1/lab · not checked · the default',
  );
  expect((await logIn("lab")).lines).toContain("choose it with --cluster lab");
  expect((await logIn("barn", "--default")).lines).toContain("the default");
  const { standard, urlByName } = readSaved(savedPath({ HOME: home }));
  expect(standard).toBe("barn");
  expect([...urlByName]).toEqual([["home", URL], ["lab", URL], ["barn", URL]]);
});

test("login --list shows what is saved, with secrets hidden", async () => {
  expect((await run(["login", "--list"])).messages).toBe("No connection is saved yet");
  await logIn("home");
  await logIn("lab");
  const text = await run(["login", "--list"]);
  expect(text.lines).toBe(
    "home  tydfs://client:***@127.0.0.1:1/lab  (default)\n" +
      "lab   tydfs://client:***@127.0.0.1:1/lab",
  );
  expect(JSON.parse((await run(["login", "--list", "--json"])).lines)).toEqual([
    { name: "home", url: "tydfs://client:***@127.0.0.1:1/lab", default: true },
    { name: "lab", url: "tydfs://client:***@127.0.0.1:1/lab", default: false },
  ]);
});

test("login checks first, and saves nothing that does not answer", async () => {
  const outcome = await run(["login", URL, "--name", "home"]);
  expect(outcome.status).toBe(5);
  expect(outcome.messages).toStartWith("tydfs: Cannot reach a master at 127.0.0.1:1: ");
  expect(outcome.messages).not.toContain("s3cret");
  expect(readSaved(savedPath({ HOME: home })).urlByName.size).toBe(0);
});

const WRONG: [string[], string][] = [
  [["login", "http://x", "--no-check"], "it must look like tydfs://client:SECRET@HOST:4222"],
  [["login", "tydfs://keeper:k@h", "--no-check"], 'it is for the role "keeper"'],
  [["login", URL, "--name", "a b", "--no-check"], 'Cannot use "a b" as the name of a connection'],
];

test.each(WRONG)("%j is refused without its secret", async (words, reason) => {
  const { status, messages } = await run(words);
  expect(status).toBeGreaterThan(0);
  expect(messages).toContain(reason);
  expect(messages).not.toContain("s3cret");
});

test("login needs a home to save in", async () => {
  const { status, messages } = await run(["login", URL, "--no-check"], { HOME: "" });
  expect(status).toBe(2);
  expect(messages).toContain("set HOME or XDG_CONFIG_HOME");
});

test("logout forgets one; what is left alone becomes the default", async () => {
  await logIn("home");
  await logIn("lab");
  expect((await run(["logout", "hoem"])).messages).toContain('did you mean "home"?');
  expect((await run(["logout", "home"])).lines).toBe('forgot "home" · the default is "lab"');
  expect((await run(["logout", "lab"])).lines).toContain("there is no default now");
  expect((await run(["logout", "lab"])).status).toBe(3);
});

test("config show names the place of each value, and hides secrets", async () => {
  await logIn("home");
  const file = join(home, "my.toml");
  writeFileSync(file, '\nas = "ann"\nwait = "5s"\n');
  const env = { TYDFS_PARALLEL: "7" };
  const { status, lines } = await run(
    ["config", "show", "--json", "--config", file, "--wait", "9s"],
    env,
  );
  expect(status).toBe(0);
  expect(JSON.parse(lines)).toMatchObject({
    url: {
      value: "tydfs://client:***@127.0.0.1:1/lab",
      from: 'saved connection "home" (the default one)',
    },
    cluster: { value: null, from: "default" },
    as: { value: "ann", from: `file "${file}", line 2` },
    wait: { value: "9s", from: "flag --wait" },
    parallel: { value: 7, from: "environment TYDFS_PARALLEL" },
  });
  const secrets = await run(["config", "show", "url", "--show-secrets"]);
  expect(secrets.lines).toContain(URL);
});

test("config show takes keys as they are written anywhere, and the settings of a role", async () => {
  const { lines } = await run(["config", "show", "--role", "master", "--chunk-size", "cluster"]);
  expect(lines).toBe("");
  const shown = await run(["config", "show", "--role", "master", "chunk-size", "cluster"]);
  expect(shown.lines).toBe("chunk_size  64MiB  default\ncluster     main   default");
  const wrong = await run(["config", "show", "replicas"]);
  expect(wrong.messages).toContain("it is no setting of a client, but of master");
  expect((await run(["config", "show", "relpicas"])).messages)
    .toContain('did you mean "replicas"?');
});

test("config check counts what a file sets, or tells its first mistake", async () => {
  const file = join(home, "my.toml");
  writeFileSync(file, 'as = "ann"\nwait = "5s"\n');
  expect((await run(["config", "check", file])).lines).toBe(`"${file}" is right · 2 settings`);
  writeFileSync(file, 'as = "ann"\nwiat = "5s"\n');
  const wrong = await run(["config", "check", file]);
  expect(wrong.status).toBe(2);
  expect(wrong.messages).toContain(`Unknown key "wiat" in "${file}", line 2`);
  expect(wrong.messages).toContain('did you mean "wait"?');
});

test("a variable that looks like a setting is warned of, unless --quiet", async () => {
  const env = { TYDFS_PARALEL: "3" };
  expect((await run(["version"], env)).messages).toContain("did you mean TYDFS_PARALLEL?");
  expect((await run(["version", "--json"], { TYDFS_OTHER_TOOL: "1" })).messages).toBe("");
  expect((await run(["config", "show", "--quiet"], env)).messages).toBe("");
});
